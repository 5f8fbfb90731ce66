"""The state of a phone around a measurement: heat, battery, load, frequency caps; and the waiting.

A number from a hot or busy phone is no number: a run starts only where every limit holds, and what
was seen before and after is kept beside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from nas.devices.adb.connection import Adb
from nas.devices.failures import Evidence, Failure, phone_error

COLDEST_CELSIUS = -40.0
"""Sensors that are not there report values such as -274."""
_CPU = "/sys/devices/system/cpu"
_SCRIPT = f"""
echo '#thermal'; dumpsys thermalservice
echo '#battery'; dumpsys battery
echo '#power'; dumpsys power | grep -m1 mWakefulness=
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
    """A phone at one moment; None where it does not tell. Temperatures in degrees Celsius."""

    thermal_status: int | None = None
    temperatures: dict[str, float] = field(default_factory=dict)
    battery_percent: int | None = None
    battery_celsius: float | None = None
    charging: bool | None = None
    wakefulness: str | None = None
    load: float | None = None
    fingerprint: str = ""
    boot_id: str = ""
    cores: tuple[Core, ...] = ()

    @property
    def capped_cores(self) -> tuple[int, ...]:
        """Cores whose allowed frequency is below their highest: the phone is throttled."""
        return tuple(core.number for core in self.cores if 0 < core.allowed_khz < core.max_khz)

    def to_dict(self) -> dict[str, Any]:
        """The conditions as JSON types."""
        values = asdict(self)
        values["cores"] = len(self.cores)
        values["capped_cores"] = list(self.capped_cores)
        return values


@dataclass(frozen=True)
class Limits:
    """What a phone must be like for a number to count.

    `load_per_core` bounds the load average of the last minute over the number of cores. A phone
    that is not fit is looked at again every `poll_seconds`, for `wait_seconds` at most.
    """

    thermal_status: int = 0
    battery_percent: int = 20
    load_per_core: float = 1.0
    wait_seconds: float = 600.0
    poll_seconds: float = 5.0

    def complaints(self, found: Conditions) -> list[str]:
        """Why the phone is not fit now; empty where it is."""
        reasons = []
        if found.thermal_status is not None and found.thermal_status > self.thermal_status:
            reasons.append(f"hot (thermal status {found.thermal_status})")
        if found.capped_cores:
            reasons.append(f"throttled (cores {', '.join(map(str, found.capped_cores))} capped)")
        level = found.battery_percent
        if level is not None and level < self.battery_percent:
            reasons.append(f"low on battery ({level} %, {self.battery_percent} % wanted)")
        if found.load is not None and found.cores:
            bound = self.load_per_core * len(found.cores)
            if found.load > bound:
                reasons.append(f"busy (load {found.load:g} over {bound:g})")
        return reasons


def read_conditions(adb: Adb) -> Conditions:
    """Everything that is kept about a phone's state, in one command."""
    return parse_conditions(adb.shell(_SCRIPT, 20.0).stdout)


def parse_conditions(text: str) -> Conditions:
    """The conditions that the command printed."""
    sections = dict(re.findall(r"^#(\w+)\n(.*?)(?=^#\w+\n|\Z)", text, re.M | re.S))
    thermal, battery = sections.get("thermal", ""), sections.get("battery", "")
    status = re.search(r"Thermal Status: (\d+)", thermal)
    wakefulness = re.search(r"mWakefulness=(\w+)", sections.get("power", ""))
    load = re.match(r"([\d.]+) ", sections.get("load", ""))
    level, celsius = (_number(battery, name) for name in ("level", "temperature"))
    powered = re.findall(r"(?:AC|USB|Wireless|Dock) powered: (true|false)", battery)
    return Conditions(
        thermal_status=int(status[1]) if status else None,
        temperatures=_temperatures(thermal),
        battery_percent=level,
        battery_celsius=celsius / 10 if celsius is not None else None,
        charging="true" in powered if powered else None,
        wakefulness=wakefulness[1] if wakefulness else None,
        load=float(load[1]) if load else None,
        fingerprint=sections.get("build", "").strip(),
        boot_id=sections.get("boot", "").strip(),
        cores=_cores(sections.get("cpu", "")),
    )


def _number(text: str, name: str) -> int | None:
    match = re.search(rf"^\s*{name}: (-?\d+)\s*$", text, re.MULTILINE)
    return int(match[1]) if match else None


def _temperatures(text: str) -> dict[str, float]:
    """Current ones only: the cached ones of the same listing are old."""
    _, _, current = text.partition("Current temperatures from HAL:")
    current = re.split(r"^\S", current, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"mValue=(-?[\d.]+).*?mName=([^,}]+)", current)
    return {name: float(value) for value, name in rows if float(value) > COLDEST_CELSIUS}


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
) -> Conditions:
    """The conditions once every limit holds; a transient PhoneError where they never do."""
    deadline = time.monotonic() + limits.wait_seconds
    told = ""
    while True:
        found = read_conditions(adb)
        reasons = limits.complaints(found)
        if not reasons:
            return found
        text = ", ".join(reasons)
        if tell is not None and text != told:
            tell(f"phone {adb.serial} is {text}: waiting")
            told = text
        if time.monotonic() + limits.poll_seconds > deadline:
            failure = Failure("throttled", f"still {text} after {limits.wait_seconds:g} s")
            raise phone_error(failure, Evidence(adb.serial), "let it cool down or charge it")
        sleep(limits.poll_seconds)
