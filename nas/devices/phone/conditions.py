"""The state of a phone around a measurement: heat, battery, load, frequency caps; and the waiting.

A number from a hot or busy phone is no number: a run starts only where every limit holds, and what
was seen before and after is kept beside it. What is usual for a phone at rest is no reason to wait
(`nas.devices.phone.usual`).
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nas.devices.adb.connection import Adb
from nas.devices.failures import Evidence, Failure, phone_error
from nas.devices.phone.usual import COLDEST_CELSIUS, IDLE_SHARE, Habits, Usual
from nas.errors import ConfigError, unknown

STUCK_SECONDS = 120.0
"""A phone at rest whose hot sensor has not moved for so long does not cool: the sensor is stuck."""
LIMITS_VARIABLE = "NAS_LIMITS"
"""The limits that differ from the default, for every process of a run: "load=2,battery=0"."""
_CPU = "/sys/devices/system/cpu"
_CPU_COOLING = 2
"""Android's kind of a cooling device that slows the processor down."""
_BUSY_SCRIPT = "cat /proc/stat; sleep 1; cat /proc/stat"
_SCRIPT = f"""
echo '#thermal'; dumpsys thermalservice
echo '#battery'; dumpsys battery
echo '#power'; dumpsys power | grep -E 'mWakefulness=|Battery Saver is currently|mLowPowerMode'
echo '#load'; cat /proc/loadavg
echo '#build'; getprop ro.build.fingerprint
echo '#boot'; cat /proc/sys/kernel/random/boot_id
echo '#cpu'
cd {_CPU} && for cpu in cpu[0-9]*; do
  top=; cap=; capacity=
  read -r top < $cpu/cpufreq/cpuinfo_max_freq; read -r cap < $cpu/cpufreq/scaling_max_freq
  [ -r $cpu/cpu_capacity ] && read -r capacity < $cpu/cpu_capacity
  echo "$cpu $top $cap $capacity"
done
true
"""


@dataclass(frozen=True)
class Core:
    """One core: its number, its highest frequency, the one allowed now (kHz), its capacity."""

    number: int
    max_khz: int
    allowed_khz: int
    capacity: int | None = None


@dataclass(frozen=True)
class Conditions:
    """A phone at one moment; None where it does not tell. Temperatures in degrees Celsius.

    `load` is the average of a minute, `load_before` of five; `runnable` the threads that want to
    run; `busy_share` how much of its time the processor was busy, looked at only where the load is
    high. `hot_sensors` are those that cause the thermal status, `cooling` what slows the processor
    down. What is `overridden` or `frozen` was set by hand.
    """

    thermal_status: int | None = None
    temperatures: dict[str, float] = field(default_factory=dict)
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    wakefulness: str | None = None
    load: float | None = None
    load_before: float | None = None
    runnable: int | None = None
    busy_share: float | None = None
    hot_sensors: dict[str, float] = field(default_factory=dict)
    cooling: tuple[str, ...] = ()
    thermal_overridden: bool = False
    battery_status: int | None = None
    battery_frozen: bool = False
    battery_saver: bool | None = None
    fingerprint: str = ""
    boot_id: str = ""
    cores: tuple[Core, ...] = ()

    @property
    def capped_cores(self) -> tuple[int, ...]:
        """Cores whose allowed frequency is below their highest."""
        return Usual().capped_cores(self)

    def to_dict(self) -> dict[str, Any]:
        """The conditions as JSON types."""
        values = asdict(self)
        values["cores"] = len(self.cores)
        values["capped_cores"] = list(self.capped_cores)
        values["cooling"] = list(self.cooling)
        return values


@dataclass(frozen=True)
class Limits:
    """What a phone must be like for a number to count.

    `load_per_core` bounds the load average of the last minute over the number of cores. `frequency`
    is the least share of its highest frequency that each core must be allowed; None: as much as is
    usual for the phone. A phone that is not fit is looked at again every `poll_seconds`, for
    `wait_seconds` at most.
    """

    thermal_status: int = 0
    battery_percent: int = 20
    load_per_core: float = 1.0
    frequency: float | None = None
    wait_seconds: float = 600.0
    poll_seconds: float = 5.0

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Limits:
        """The limits that `NAME=VALUE` change, as `--limit` takes them; ConfigError on others."""
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
            changes[what] = int(number) if isinstance(getattr(cls, what), int) else number
        return replace(cls(), **changes)  # type: ignore[arg-type]

    @classmethod
    def from_environment(cls) -> Limits:
        """The limits of this process and those that it starts: see `LIMITS_VARIABLE`."""
        return cls.parse(filter(None, os.environ.get(LIMITS_VARIABLE, "").split(",")))

    def complaints(self, found: Conditions, usual: Usual | None = None) -> list[str]:
        """Why the phone is not fit now, each with what loosens it; empty where it is fit.

        Without `usual`, this is the first look at the phone.
        """
        usual = Usual().updated(found) if usual is None else usual
        reasons = (
            self._hot(found, usual), self._throttled(found, usual), self._low(found, usual),
            self._busy(found, usual),
        )  # fmt: skip
        return [reason for reason in reasons if reason]

    def over_load(self, found: Conditions) -> bool:
        """Whether the load alone would make the phone busy, were it not usual."""
        return bool(found.load and found.cores and found.load > self._most_load(found))

    def _most_load(self, found: Conditions) -> float:
        return self.load_per_core * len(found.cores)

    def _hot(self, found: Conditions, usual: Usual) -> str | None:
        status = found.thermal_status
        if status is None or status <= max(self.thermal_status, usual.thermal_status):
            return None
        sensors = ", ".join(f"{name} {value:g} °C" for name, value in found.hot_sensors.items())
        by = f" by {sensors}" if sensors else ""
        if found.thermal_overridden:
            by = ", set by hand: `adb shell cmd thermalservice reset` ends that"
        return f"hot (thermal status {status}{by}; --limit thermal={status} allows it)"

    def _throttled(self, found: Conditions, usual: Usual) -> str | None:
        numbers = usual.capped_cores(found)
        if self.frequency is not None:
            least = self.frequency
            numbers = tuple(c.number for c in found.cores if c.allowed_khz < least * c.max_khz)
        if not numbers:
            return None
        capped = [core for core in found.cores if core.number in numbers]
        worst = min(capped, key=lambda core: core.allowed_khz / core.max_khz)
        share = math.floor(100 * worst.allowed_khz / worst.max_khz) / 100
        expected = usual.allowed_khz.get(worst.number, worst.max_khz)
        saver = ", its battery saver is on" if found.battery_saver else ""
        return (
            f"throttled (cores {', '.join(map(str, numbers))} capped, {worst.number} at "
            f"{worst.allowed_khz / 1e6:.2f} instead of {expected / 1e6:.2f} GHz{saver}; "
            f"--limit frequency={share:g} allows it)"
        )

    def _low(self, found: Conditions, usual: Usual) -> str | None:
        level = found.battery_percent
        if level is None or level >= self.battery_percent or level == usual.battery_percent:
            return None
        frozen = ", set by hand: `adb shell dumpsys battery reset` ends that"
        return (
            f"low on battery ({level} %, {self.battery_percent} % wanted"
            f"{frozen if found.battery_frozen else ''}; --limit battery={level} allows it)"
        )

    def _busy(self, found: Conditions, usual: Usual) -> str | None:
        if found.load is None or not self.over_load(found):
            return None
        working = found.busy_share is not None and found.busy_share > IDLE_SHARE
        if found.load <= usual.allowed_load and not working:
            return None
        allowed = math.ceil(10 * found.load / len(found.cores)) / 10
        said = f"load {found.load:g} over {self._most_load(found):g}"
        said += f", usually {usual.load:g}" if usual.load is not None else ""
        said += f", processor {found.busy_share:.0%} busy" if found.busy_share is not None else ""
        return f"busy ({said}; --limit load={allowed:g} (a core) allows it)"


_NAMES = {
    "thermal": ("thermal_status", 0.0, 6.0),
    "battery": ("battery_percent", 0.0, 100.0),
    "load": ("load_per_core", 0.0, 1e6),
    "frequency": ("frequency", 0.0, 1.0),
    "wait": ("wait_seconds", 0.0, 1e6),
}
"""The limits as `--limit` names them: the field, the least and the most."""


def read_conditions(adb: Adb) -> Conditions:
    """Everything that is kept about a phone's state, in one command."""
    return parse_conditions(adb.shell(_SCRIPT, 20.0).stdout)


def read_busy_share(adb: Adb) -> float | None:
    """How much of a second all cores together are busy, from 0 to 1; None where it is not told."""
    rows = re.findall(r"^cpu +([\d ]+)$", adb.shell(_BUSY_SCRIPT, 20.0).stdout, re.MULTILINE)
    if len(rows) != 2:
        return None
    first, last = ([int(ticks) for ticks in row.split()] for row in rows)
    spent = [after - before for before, after in zip(first, last, strict=False)]
    total, waiting = sum(spent[:8]), sum(spent[3:5])
    return 1 - waiting / total if total > 0 and len(spent) >= 5 else None


def parse_conditions(text: str) -> Conditions:
    """The conditions that the command printed."""
    text = text.replace("\r\n", "\n")
    sections = dict(re.findall(r"^#(\w+)\n(.*?)(?=^#\w+\n|\Z)", text, re.M | re.S))
    thermal, power = sections.get("thermal", ""), sections.get("power", "")
    status = re.search(r"Thermal Status: (\d+)", thermal)
    wakefulness = re.search(r"mWakefulness=(\w+)", power)
    saver = re.search(r"(?:Battery Saver is currently: |mLowPowerMode\w*=)(\w+)", power)
    load = re.match(r"([\d.]+) ([\d.]+) [\d.]+ (\d+)/", sections.get("load", ""))
    return Conditions(
        thermal_status=int(status[1]) if status else None,
        temperatures=_temperatures(thermal),
        hot_sensors={name: value for name, value, level in _sensors(thermal) if level > 0},
        cooling=_cooling(thermal),
        thermal_overridden="IsStatusOverride: true" in thermal,
        wakefulness=wakefulness[1] if wakefulness else None,
        battery_saver=saver[1].upper() in ("ON", "TRUE") if saver else None,
        load=float(load[1]) if load else None,
        load_before=float(load[2]) if load else None,
        runnable=int(load[3]) if load else None,
        fingerprint=sections.get("build", "").strip(),
        boot_id=sections.get("boot", "").strip(),
        cores=_cores(sections.get("cpu", "")),
        **_battery(sections.get("battery", "")),
    )


def _battery(text: str) -> dict[str, Any]:
    """What is told of the battery; no level of one that is not there, or has neither a voltage nor
    a charge, as boards report it.
    """
    level, celsius = (_number(text, name) for name in ("level", "temperature"))
    scale, voltage = (_number(text, name) for name in ("scale", "voltage"))
    powered = re.findall(r"(?:AC|USB|Wireless|Dock) powered: (true|false)", text)
    none = bool(re.search(r"^\s*present: false", text, re.MULTILINE)) or voltage == 0
    none = none or (level == 0 and not celsius) or level is None or level < 0 or scale == 0
    if none:
        level = celsius = None
    elif level is not None and scale is not None:
        level = round(100 * level / scale)
    return {
        "battery_percent": level,
        "battery_celsius": celsius / 10 if celsius is not None else None,
        "battery_status": _number(text, "status"),
        "battery_frozen": "UPDATES STOPPED" in text,
        "charging": "true" in powered if powered else None,
    }


def _number(text: str, name: str) -> int | None:
    match = re.search(rf"^\s*{name}: (-?\d+)\s*$", text, re.MULTILINE)
    return int(match[1]) if match else None


def _temperatures(text: str) -> dict[str, float]:
    return {name: value for name, value, _ in _sensors(text) if value > COLDEST_CELSIUS}


def _sensors(text: str) -> list[tuple[str, float, int]]:
    """Name, degrees and status of each: current ones only, as those kept in a cache are old."""
    _, _, current = text.partition("Current temperatures from HAL:")
    current = re.split(r"^\S", current, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(
        r"mValue=(-?[\d.]+|-?NaN|-?Infinity)\b.*?mName=([^,}]+)(?:, mStatus=(\d+))?", current
    )
    return [(name, float(value), int(status or 0)) for value, name, status in rows]


def _cooling(text: str) -> tuple[str, ...]:
    """What slows the processor down now, because of heat."""
    _, _, current = text.partition("Current cooling devices from HAL:")
    rows = re.findall(r"mValue=(\d+), mType=(\d+), mName=([^,}]+)", current)
    return tuple(name for value, kind, name in rows if int(value) and int(kind) == _CPU_COOLING)


def _cores(text: str) -> tuple[Core, ...]:
    rows = re.findall(r"^cpu(\d+) (\d+) (\d+)(?: (\d+))?\s*$", text, re.MULTILINE)
    cores = [
        Core(int(number), int(top), int(cap), int(capacity) if capacity else None)
        for number, top, cap, capacity in rows
    ]
    return tuple(sorted(cores, key=lambda core: core.number))


def strongest_mask(cores: tuple[Core, ...], threads: int) -> str | None:
    """The hexadecimal mask of the strongest cores, by whole clusters, that hold `threads` threads.

    Strength is the scheduler's capacity where the phone tells it, else the highest frequency; None
    where it tells neither.

    >>> strongest_mask(tuple(Core(n, 1 + (n > 3), 1) for n in range(8)), 4)
    'f0'
    """
    if not cores:
        return None
    told = all(core.capacity is not None for core in cores)
    chosen: list[Core] = []
    strengths = {core: (core.capacity or 0) if told else core.max_khz for core in cores}
    for strength in sorted(set(strengths.values()), reverse=True):
        chosen += [core for core in cores if strengths[core] == strength]
        if len(chosen) >= threads:
            break
    return f"{sum(1 << core.number for core in chosen):x}"


def wait_until_fit(
    adb: Adb,
    limits: Limits,
    tell: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    habits: Habits | None = None,
) -> Conditions:
    """The conditions once every limit holds; a transient PhoneError where they never do.

    `habits` learns what is usual for the phone; without them this is the first look at it.
    """
    habits, tell = habits or Habits(), tell or _to_nobody
    started, since, told, last = time.monotonic(), time.monotonic(), "", None
    while True:
        found = read_conditions(adb)
        if limits.over_load(found):
            found = replace(found, busy_share=read_busy_share(adb))
        if last is None or (last.hot_sensors, last.cooling) != (found.hot_sensors, found.cooling):
            since, last = time.monotonic(), found
        usual = habits.look(found)
        if time.monotonic() - since >= STUCK_SECONDS and not found.cooling:
            usual = replace(usual, thermal_status=found.thermal_status or 0)
        reasons = limits.complaints(found, usual)
        if not reasons:
            if habits.learn(usual) and usual.said(found):
                tell(
                    f"phone {adb.serial}: usual for it, and no reason to wait: {usual.said(found)}"
                )
            return found
        kinds = " ".join(reason.split(" ")[0] for reason in reasons)
        text = ", ".join(reasons)
        if kinds != told:
            tell(f"phone {adb.serial} is {text}: waiting, {limits.wait_seconds:g} s at most")
            told = kinds
        if time.monotonic() + limits.poll_seconds > started + limits.wait_seconds:
            failure = Failure("throttled", f"still {text} after {limits.wait_seconds:g} s")
            raise phone_error(failure, Evidence(adb.serial), _advice(kinds))
        sleep(limits.poll_seconds)


def _advice(kinds: str) -> str:
    rows = {"hot": "let it cool down", "throttled": "let it cool down", "low": "charge it"}
    rows["busy"] = "end what runs there"
    advice = " and ".join(dict.fromkeys(rows[kind] for kind in kinds.split()))
    return f"{advice}, or allow it"


def _to_nobody(text: str) -> None:
    """Nobody wants to hear it."""
