"""The state of a phone at one moment: heat, battery, load, frequency caps; and how adb reads it.

`nas.devices.phone.idle_state` knows what is usual for one phone, `nas.devices.phone.fitness`
whether a phone may be measured now.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from nas.devices.adb.connection import Adb

COLDEST_CELSIUS = -40.0
"""Sensors that are not there report values such as -274."""
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
    """One core of a phone: its number, its highest frequency and the one allowed now, in kHz.

    `capacity` is the scheduler's figure of its strength; None where the phone does not tell it.
    """

    number: int
    max_khz: int
    allowed_khz: int
    capacity: int | None = None


@dataclass(frozen=True)
class Conditions:
    """A phone's state at one moment; fields are None where the phone does not tell.

    Heat: `thermal_status` is Android's, 0 to 6; `temperatures` holds degrees Celsius by sensor,
    `hot_sensors` those of them that cause the thermal status, `cooling` the cooling devices that
    slow the processor down now. `thermal_overridden`: the status was set by hand.

    Battery: its level in percent, its temperature, whether a cable charges it, Android's
    `battery_status`, and whether its saver is on. `battery_frozen`: the level was set by hand.

    Work: `load` is the load average of one minute, `load_before` of five; `runnable` counts the
    threads that want to run. `busy_share` is the share of a second that the processor was busy; it
    is read only where the load is high. `wakefulness` is Android's ("Awake", "Asleep").

    `fingerprint` names the build, `boot_id` the time since the last start.
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
        """Numbers of the cores whose allowed frequency is below their highest."""
        return tuple(core.number for core in self.cores if 0 < core.allowed_khz < core.max_khz)

    def to_dict(self) -> dict[str, Any]:
        """Return the conditions as JSON types."""
        values = asdict(self)
        values["cores"] = len(self.cores)
        values["capped_cores"] = list(self.capped_cores)
        values["cooling"] = list(self.cooling)
        return values


def read_conditions(adb: Adb) -> Conditions:
    """Read a phone's state, in one command; raises PhoneError as `Adb.shell`."""
    return parse_conditions(adb.shell(_SCRIPT, 20.0).stdout)


def read_busy_share(adb: Adb) -> float | None:
    """Measure the share of a second that all cores are busy; None where the phone does not tell."""
    rows = re.findall(r"^cpu +([\d ]+)$", adb.shell(_BUSY_SCRIPT, 20.0).stdout, re.MULTILINE)
    if len(rows) != 2:
        return None
    first, last = ([int(ticks) for ticks in row.split()] for row in rows)
    spent = [after - before for before, after in zip(first, last, strict=False)]
    total, waiting = sum(spent[:8]), sum(spent[3:5])
    return 1 - waiting / total if total > 0 and len(spent) >= 5 else None


def parse_conditions(text: str) -> Conditions:
    """Parse the output of `read_conditions`' command; what is missing becomes None."""
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
    """Read the battery's fields.

    A battery that is not there, or has neither a voltage nor a charge, as boards report it, has no
    level.
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
    """List each sensor's name, degrees and status; cached ones are old and left out."""
    _, _, current = text.partition("Current temperatures from HAL:")
    current = re.split(r"^\S", current, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(
        r"mValue=(-?[\d.]+|-?NaN|-?Infinity)\b.*?mName=([^,}]+)(?:, mStatus=(\d+))?", current
    )
    return [(name, float(value), int(status or 0)) for value, name, status in rows]


def _cooling(text: str) -> tuple[str, ...]:
    """List the cooling devices that slow the processor down now."""
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
    """Return the hexadecimal mask of the strongest clusters that together hold `threads` threads.

    Strength is the scheduler's capacity where the phone tells it, else the highest frequency; None
    where it tells neither.

    >>> strongest_mask(tuple(Core(n, 1 + (n > 3), 1) for n in range(8)), 4)
    'f0'
    """
    if not cores:
        return None
    has_capacities = all(core.capacity is not None for core in cores)
    chosen: list[Core] = []
    strengths = {core: (core.capacity or 0) if has_capacities else core.max_khz for core in cores}
    for strength in sorted(set(strengths.values()), reverse=True):
        chosen += [core for core in cores if strengths[core] == strength]
        if len(chosen) >= threads:
            break
    return f"{sum(1 << core.number for core in chosen):x}"
