"""How often a trial was begun by a driver that did not live to its end.

A candidate that kills its worker is counted by the pool. One that is evaluated in the driver's own
process takes the count with it; the trial's log (`nas.execution.run_log`) still has every
beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.execution.leases import ATTEMPTS

DRIVER = "driver"  # the worker that is the driver itself
FURTHER = 0.01  # of a stage: that much more than ever before is progress, not a repetition
_ENDS = ("ended", "rests", "stopped")


@dataclass
class Attempts:
    """The attempts of one trial that ended with their process, since the last that made progress.

    `reached` holds, by stage, the share of it that was done when an attempt came to it: a training
    goes on from its checkpoint. So a search that is killed every hour gets on, and a candidate
    that ends its driver at the same place each time does not go on for ever.
    """

    count: int = 0
    stage: str = ""
    reached: dict[str, float] = field(default_factory=dict)

    @property
    def used_up(self) -> bool:
        """Whether the trial has had all the attempts that it gets."""
        return self.count >= ATTEMPTS

    def why(self, folder: Path) -> str:
        """Say why there is no other attempt; `folder` is the trial's."""
        return (
            f"the search's process ended in the middle of it in each of {ATTEMPTS} attempts, the "
            f"last one in {self.stage or 'its beginning'}, and none got further than the first. If "
            f"it was stopped for another reason, remove {folder} to have it done again"
        )

    def note(self, row: Mapping[str, Any]) -> None:
        """Count an event of the trial's log."""
        event = row["event"]
        if event == "given" and row["worker"] == DRIVER:
            self.count += 1
        elif event in _ENDS or event == "given":  # by a pool, which counts for itself
            self.count, self.stage, self.reached = 0, "", {}
        elif event == "stage" and self.count:
            self.stage = row["stage"]
            share = row.get("done", 0) / (row.get("total", 0) or 1)
            if share >= self.reached.get(self.stage, -1.0) + FURTHER:
                self.reached[self.stage] = share
                self.count = 1


def attempts(log: Path) -> Attempts:
    """Read a trial's attempts from its log; there are none where there is no log."""
    found = Attempts()
    for row in _rows(log):
        with suppress(KeyError, TypeError):
            found.note(row)
    return found


def _rows(log: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError):
        for line in log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                yield json.loads(line)
