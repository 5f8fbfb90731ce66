"""The idle state of one phone: what it shows when it does nothing.

It is learned at the first look and kept until the phone is started again. Some phones never look
fit: vendors' waiting threads count as load, a core is kept below its highest frequency for good, a
sensor reads nonsense, a board has no battery. All that is usual for such a phone, and only what
goes beyond it disturbs a measurement. Signs of heat or of work keep a state from being learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from nas.devices.phone.conditions import COLDEST_CELSIUS, Conditions
from nas.errors import RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

IDLE_SHARE = 0.25
"""A processor that is busy for less of its time does nothing of note."""
LEAST_CAP = 0.25
"""No vendor keeps a core below this share of its highest frequency; a phone in need does."""
WARM_CELSIUS, BROKEN_CELSIUS = 60.0, 115.0
"""No part of a phone at rest is as warm as the first; no sensor of a phone that runs is as warm as
the second."""
BATTERY_CELSIUS = 40.0
"""The battery of a phone at rest is cooler."""
_NOT_CHARGED = (1, 4, 5)
"""Android's battery states of a level that won't rise: unknown, not charging, full."""


@final
@dataclass(frozen=True)
class IdleState:
    """What one phone shows at rest, as far as it was learned.

    `load` is its load average, `allowed_khz` each core's allowed frequency by the core's number,
    `thermal_status` the status that a broken sensor causes, `battery_percent` the level of a
    battery that never charges.
    """

    load: float | None = None
    allowed_khz: Mapping[int, int] = field(default_factory=dict)
    thermal_status: int = 0
    battery_percent: int | None = None

    @property
    def allowed_load(self) -> float:
        """The load average up to which a load is usual; 0 where no load was learned."""
        return 0.0 if self.load is None else 1.25 * self.load + 1

    def updated(self, state: Conditions) -> IdleState:
        """Return the idle state with what `state` teaches; signs of heat or work teach nothing."""
        return replace(
            self,
            allowed_khz=self._caps(state),
            load=self._load(state),
            thermal_status=max(self.thermal_status, _broken_sensor_status(state)),
            battery_percent=_never_charged(state) or self.battery_percent,
        )

    def capped_cores(self, state: Conditions) -> tuple[int, ...]:
        """List the cores whose allowed frequency is below the usual, or else their highest one."""
        return tuple(
            core.number
            for core in state.cores
            if 0 < core.allowed_khz < self.allowed_khz.get(core.number, core.max_khz)
        )

    def _caps(self, state: Conditions) -> dict[int, int]:
        """Take in the allowed frequencies: the highest one seen of a core is its usual one."""
        highest = dict(self.allowed_khz)
        policy = all(core.allowed_khz >= LEAST_CAP * core.max_khz for core in state.cores)
        for core in state.cores:
            if core.number in highest:
                highest[core.number] = max(highest[core.number], core.allowed_khz)
            elif policy and self._calm(state):
                highest[core.number] = core.allowed_khz
        return highest

    def _calm(self, state: Conditions) -> bool:
        """Whether the phone shows no sign of heat."""
        likely = [celsius for celsius in state.temperatures.values() if celsius < BROKEN_CELSIUS]
        status = max(self.thermal_status, _broken_sensor_status(state))
        return (
            (state.thermal_status or 0) <= status
            and not state.cooling
            and (state.battery_celsius or 0.0) < BATTERY_CELSIUS
            and max(likely, default=0.0) < WARM_CELSIUS
        )

    def _load(self, state: Conditions) -> float | None:
        if state.load is None or not _idle(state):
            return self.load
        return state.load if self.load is None or state.load > self.allowed_load else self.load

    def in_words(self, state: Conditions) -> str:
        """Say in words what a healthy phone at rest would not show; empty for a healthy phone."""
        rows = []
        numbers_at: dict[str, list[str]] = {}
        for core in state.cores:
            allowed = self.allowed_khz.get(core.number, core.max_khz)
            if allowed < core.max_khz:
                ghz = f"{allowed / 1e6:.2f} of {core.max_khz / 1e6:.2f} GHz"
                numbers_at.setdefault(ghz, []).append(str(core.number))
        if numbers_at:
            cores = "; ".join(
                f"{', '.join(numbers)} at {ghz}" for ghz, numbers in numbers_at.items()
            )
            rows.append(f"cores kept below their highest frequency ({cores})")
        if self.load is not None and self.load > max(1, len(state.cores)):
            rows.append(f"a load of {self.load:g} while its processor is idle")
        if self.thermal_status:
            sensors = ", ".join(state.hot_sensors) or "a sensor"
            rows.append(f"thermal status {self.thermal_status} ({sensors} never changes)")
        if self.battery_percent is not None:
            rows.append(f"a battery that stays at {self.battery_percent} %")
        return ", ".join(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON types."""
        caps = {str(number): khz for number, khz in self.allowed_khz.items()}
        return {**vars(self), "allowed_khz": caps}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IdleState:
        """Read what `to_dict` wrote; raises KeyError, TypeError or ValueError on anything else."""
        caps = {int(number): int(khz) for number, khz in values["allowed_khz"].items()}
        return cls(**{**values, "allowed_khz": caps})


@final
@dataclass
class Habits:
    """Learns the idle state of one phone over many looks, and keeps it in a file.

    `path` is the file, None to keep `usual` in memory only. `boot` names the build and the last
    start of the phone: one that was started again, or updated, is learned anew.
    """

    path: Path | None = None
    usual: IdleState = field(default_factory=IdleState)
    boot: str = ""

    @classmethod
    def of(cls, serial: str) -> Habits:
        """Open the habits of the phone with that serial, in the user's cache."""
        return cls(cache_folder() / "phones" / f"{content_key(serial)}.json")

    def look(self, state: Conditions) -> IdleState:
        """Return the idle state after this look and all before it; nothing is kept yet."""
        boot = content_key([state.fingerprint, state.boot_id])
        if boot != self.boot:
            self.usual, self.boot = self._kept(boot), boot
        return self.usual.updated(state)

    def learn(self, usual: IdleState) -> bool:
        """Keep `usual`, in the file if it can be written; returns whether it has changed."""
        news = usual != self.usual
        self.usual = usual
        if news and self.path is not None:
            with suppress(RunError):  # then the next process learns it, too
                write_json(self.path, {"boot": self.boot, "usual": usual.to_dict()})
        return news

    def _kept(self, boot: str) -> IdleState:
        if self.path is None or not self.path.exists():
            return IdleState()
        try:
            values = read_json(self.path)
            return IdleState.from_dict(values["usual"]) if values["boot"] == boot else IdleState()
        except (RunError, KeyError, TypeError, ValueError, AttributeError):
            return IdleState()  # damaged: learned anew


def _idle(state: Conditions) -> bool:
    """Whether the load is no work: the processor has been idle for some minutes.

    Threads that wait in the kernel count as load and need no processor. Where the phone does not
    tell how busy its processor is, few of its threads want to run.
    """
    before, now = state.load_before, state.load or 0.0
    if before is None or abs(now - before) > 0.25 * max(now, before) + 1:
        return False
    if state.busy_share is not None:
        return state.busy_share <= IDLE_SHARE
    cores = max(1, len(state.cores))
    return state.runnable is not None and state.runnable - 1 <= math.ceil(IDLE_SHARE * cores)


def _broken_sensor_status(state: Conditions) -> int:
    """Return the thermal status where only sensors that can't be right cause it, else 0."""
    hot = state.hot_sensors.values()
    believable = [celsius for celsius in hot if COLDEST_CELSIUS < celsius < BROKEN_CELSIUS]
    if not hot or believable or state.cooling:
        return 0
    return state.thermal_status or 0


def _never_charged(state: Conditions) -> int | None:
    return (
        state.battery_percent if state.charging and state.battery_status in _NOT_CHARGED else None
    )
