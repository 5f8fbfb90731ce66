"""The pace of this machine's processor: launches while it was slow are recognised by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

from nas.devices.host import worker as host_worker
from nas.devices.host.process import HostLaunch


@final
class Pace:
    """The processor's best pace so far, by which a slow launch is recognised."""

    def __init__(self) -> None:
        self.best_ms: float | None = None

    def remember(self, best_ms: float) -> None:
        """Take in the best pace of an earlier process on this machine."""
        self.best_ms = min(best_ms, self.best_ms or math.inf)

    def learn(self, launches: Sequence[HostLaunch]) -> None:
        """Take in the paces beside all runs of `launches`."""
        seen = [pace for launch in launches for pace in launch.answer["paces_ms"]]
        self.best_ms = min([*seen, self.best_ms or math.inf]) if seen else self.best_ms

    def slow(self, launch: HostLaunch) -> bool:
        """Whether most of the launch's runs were on a slow processor."""
        return self.best_ms is not None and launch.pace_ms > host_worker.SLOW * self.best_ms

    def summary(self, launches: Sequence[HostLaunch], repeated: int) -> dict[str, Any]:
        """Return the paces of a measurement as JSON types, for its conditions.

        If all launches were slow, the best pace is learned anew: the processor as a whole has
        become slower.
        """
        slow = sum(map(self.slow, launches))
        best = self.best_ms
        if slow == len(launches):
            self.best_ms = None
            self.learn(launches)
        return {
            "best_ms": best,
            "launches_ms": [round(launch.pace_ms, 4) for launch in launches],
            "slow_launches": slow,
            "repeated_launches": repeated,
            "repeated_runs": sum(launch.answer["disturbed_runs"] for launch in launches),
        }


PACE = Pace()
"""The pace of this machine, as far as this process has seen it."""
