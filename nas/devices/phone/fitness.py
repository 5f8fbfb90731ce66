"""Whether a phone may be measured now: the limits that its state must hold, and the waiting.

A latency from a hot or busy phone says nothing about the network. A measurement starts only where
every limit holds, and the phone's conditions before and after are kept beside it. What is usual for
a phone at rest (`nas.devices.phone.idle_state`) is no reason to wait.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from nas.devices.adb.connection import Adb
from nas.devices.failures import DeviceFailure, Evidence, phone_error
from nas.devices.phone.conditions import Conditions, read_busy_share, read_conditions
from nas.devices.phone.idle_state import IDLE_SHARE, Habits, IdleState
from nas.errors import ConfigError, unknown

STUCK_SECONDS = 120.0
"""A phone at rest whose hot sensor has not moved for so long does not cool: the sensor is stuck."""
LIMITS_VARIABLE = "NAS_LIMITS"
"""The environment variable that holds a run's limits for all its processes: "load=2,battery=0"."""


@dataclass(frozen=True)
class Limits:
    """The state that a phone must be in for its latencies to count.

    `thermal_status` is the highest allowed, `battery_percent` the lowest. `load_per_core` bounds
    the load average of the last minute, divided by the number of cores. `frequency` is the least
    share of its highest frequency that each core must be allowed; None: as much as is usual for
    the phone. A phone that is not fit is looked at again every `poll_seconds`, for `wait_seconds`
    at most.
    """

    thermal_status: int = 0
    battery_percent: int = 20
    load_per_core: float = 1.0
    frequency: float | None = None
    wait_seconds: float = 600.0
    poll_seconds: float = 5.0

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Limits:
        """Change the default limits by texts `NAME=VALUE`, as `--limit` takes them.

        Raises ConfigError on an unknown name or a value out of bounds.
        """
        changes: dict[str, float] = {}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in _NAMES:
                raise unknown("limit", name, _NAMES)
            what, least, most = _NAMES[name]
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if not least <= number <= most:
                raise ConfigError(f"--limit {text}: expected a number from {least:g} to {most:g}")
            changes[what] = int(number) if what in _WHOLE else number
        return replace(cls(), **changes)  # type: ignore[arg-type]

    @classmethod
    def from_environment(cls) -> Limits:
        """Read the limits that `LIMITS_VARIABLE` holds; raises ConfigError as `parse`."""
        return cls.parse(filter(None, os.environ.get(LIMITS_VARIABLE, "").split(",")))

    def complaints(self, state: Conditions, usual: IdleState | None = None) -> list[str]:
        """List why the phone is not fit now, each reason with the option that loosens it.

        The list is empty where the phone is fit. Without `usual`, this is the first look at it.
        """
        usual = IdleState().updated(state) if usual is None else usual
        reasons = (
            self._hot(state, usual), self._throttled(state, usual), self._low(state, usual),
            self._busy(state, usual),
        )  # fmt: skip
        return [reason for reason in reasons if reason]

    def over_load(self, state: Conditions) -> bool:
        """Whether the load is over the limit, be it usual for the phone or not."""
        return bool(state.load and state.cores and state.load > self._most_load(state))

    def _most_load(self, state: Conditions) -> float:
        return self.load_per_core * len(state.cores)

    def _hot(self, state: Conditions, usual: IdleState) -> str | None:
        status = state.thermal_status
        if status is None or status <= max(self.thermal_status, usual.thermal_status):
            return None
        sensors = ", ".join(f"{name} {value:g} °C" for name, value in state.hot_sensors.items())
        by = f" by {sensors}" if sensors else ""
        if state.thermal_overridden:
            by = ", set by hand: `adb shell cmd thermalservice reset` ends that"
        return f"hot (thermal status {status}{by}; --limit thermal={status} allows it)"

    def _throttled(self, state: Conditions, usual: IdleState) -> str | None:
        numbers = usual.capped_cores(state)
        if self.frequency is not None:
            least = self.frequency
            numbers = tuple(c.number for c in state.cores if c.allowed_khz < least * c.max_khz)
        if not numbers:
            return None
        capped = [core for core in state.cores if core.number in numbers]
        worst = min(capped, key=lambda core: core.allowed_khz / core.max_khz)
        share = math.floor(100 * worst.allowed_khz / worst.max_khz) / 100
        expected = usual.allowed_khz.get(worst.number, worst.max_khz)
        saver = ", its battery saver is on" if state.battery_saver else ""
        return (
            f"throttled (cores {', '.join(map(str, numbers))} capped, {worst.number} at "
            f"{worst.allowed_khz / 1e6:.2f} instead of {expected / 1e6:.2f} GHz{saver}; "
            f"--limit frequency={share:g} allows it)"
        )

    def _low(self, state: Conditions, usual: IdleState) -> str | None:
        level = state.battery_percent
        if level is None or level >= self.battery_percent or level == usual.battery_percent:
            return None
        frozen = ", set by hand: `adb shell dumpsys battery reset` ends that"
        return (
            f"low on battery ({level} %, {self.battery_percent} % wanted"
            f"{frozen if state.battery_frozen else ''}; --limit battery={level} allows it)"
        )

    def _busy(self, state: Conditions, usual: IdleState) -> str | None:
        if state.load is None or not self.over_load(state):
            return None
        working = state.busy_share is not None and state.busy_share > IDLE_SHARE
        if state.load <= usual.allowed_load and not working:
            return None
        allowed = math.ceil(10 * state.load / len(state.cores)) / 10
        words = f"load {state.load:g} over {self._most_load(state):g}"
        words += f", usually {usual.load:g}" if usual.load is not None else ""
        words += f", processor {state.busy_share:.0%} busy" if state.busy_share is not None else ""
        return f"busy ({words}; --limit load={allowed:g} (a core) allows it)"


_NAMES = {
    "thermal": ("thermal_status", 0.0, 6.0),
    "battery": ("battery_percent", 0.0, 100.0),
    "load": ("load_per_core", 0.0, 1e6),
    "frequency": ("frequency", 0.0, 1.0),
    "wait": ("wait_seconds", 0.0, 1e6),
}
"""The limits as `--limit` names them: the field, the least and the most."""
_WHOLE = ("thermal_status", "battery_percent")


def wait_until_fit(
    adb: Adb,
    limits: Limits,
    tell: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    habits: Habits | None = None,
) -> Conditions:
    """Wait until every limit holds, and return the phone's conditions then.

    `habits` learns what is usual for the phone; without them this is the first look at it. Raises
    a transient PhoneError where the limits do not hold within `limits.wait_seconds`.
    """
    habits, tell = habits or Habits(), tell or _to_nobody
    started, since, announced, last = time.monotonic(), time.monotonic(), "", None
    while True:
        state = read_conditions(adb)
        if limits.over_load(state):
            state = replace(state, busy_share=read_busy_share(adb))
        if last is None or (last.hot_sensors, last.cooling) != (
            state.hot_sensors,
            state.cooling,
        ):
            since, last = time.monotonic(), state
        usual = habits.look(state)
        if time.monotonic() - since >= STUCK_SECONDS and not state.cooling:
            usual = replace(usual, thermal_status=state.thermal_status or 0)
        reasons = limits.complaints(state, usual)
        if not reasons:
            words = usual.in_words(state)
            if habits.learn(usual) and words:
                tell(f"phone {adb.serial}: usual for it, and no reason to wait: {words}")
            return state
        kinds = " ".join(reason.split(" ")[0] for reason in reasons)
        text = ", ".join(reasons)
        if kinds != announced:
            tell(f"phone {adb.serial} is {text}: waiting, {limits.wait_seconds:g} s at most")
            announced = kinds
        if time.monotonic() + limits.poll_seconds > started + limits.wait_seconds:
            failure = DeviceFailure("throttled", f"still {text} after {limits.wait_seconds:g} s")
            raise phone_error(failure, Evidence(adb.serial), _advice(kinds))
        sleep(limits.poll_seconds)


def _advice(kinds: str) -> str:
    rows = {"hot": "let it cool down", "throttled": "let it cool down", "low": "charge it"}
    rows["busy"] = "end what runs there"
    advice = " and ".join(dict.fromkeys(rows[kind] for kind in kinds.split()))
    return f"{advice}, or allow it"


def _to_nobody(text: str) -> None:
    """Drop the text: nobody wants to hear it."""
