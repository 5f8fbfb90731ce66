from __future__ import annotations

from typing import Any

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneTransientError
from nas.devices.phone.conditions import (
    Conditions,
    Core,
    Limits,
    parse_conditions,
    read_conditions,
    strongest_mask,
    wait_until_fit,
)
from tests.nas.devices.conftest import StartPhone, adb_of

TEXT = """#thermal
IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=99.0, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=33.5, mType=3, mName=skin, mStatus=0}
\tTemperature{mValue=-274.0, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=9, mType=2, mName=fan}
#battery
  AC powered: false
  USB powered: true
  level: 17
  temperature: 285
#power
  mWakefulness=Asleep
#load
9.30 5.11 4.20 3/1200 4711
#build
maker/phone:10/X/1
#boot
abc-def
#cpu
cpu0 1800000 1800000 250
cpu1 1800000 1500000 250
cpu10 2840000 2840000 1024
"""


def test_everything_is_read() -> None:
    found = parse_conditions(TEXT)
    assert found.thermal_status == 2
    assert found.temperatures == {"skin": 33.5}
    assert (found.battery_percent, found.battery_celsius, found.charging) == (17, 28.5, True)
    assert (found.wakefulness, found.load) == ("Asleep", 9.3)
    assert (found.fingerprint, found.boot_id) == ("maker/phone:10/X/1", "abc-def")
    assert [core.number for core in found.cores] == [0, 1, 10]
    assert found.capped_cores == (1,)


def test_a_phone_that_tells_nothing_is_not_refused() -> None:
    found = parse_conditions("Can't find service: thermalservice\n")
    assert found == Conditions()
    assert Limits().complaints(found) == []


def test_every_complaint() -> None:
    reasons = Limits(load_per_core=1.0).complaints(parse_conditions(TEXT))
    assert [reason.split(" ")[0] for reason in reasons] == ["hot", "throttled", "low", "busy"]


def cores(*strengths: int, told: bool = True) -> tuple[Core, ...]:
    return tuple(
        Core(n, 1000 if told else s, 1000, s if told else None) for n, s in enumerate(strengths)
    )


@pytest.mark.parametrize(
    ("row", "threads", "mask"),
    [
        (cores(1, 1, 1, 1, 2, 2, 2, 3), 4, "f0"),
        (cores(1, 1, 1, 1, 2, 2, 2, 3), 1, "80"),
        (cores(1, 1, 1, 1, 2, 2, 3, 3), 2, "c0"),
        (cores(3, 2, 2, 2, 1, 1, 1, 1), 4, "f"),
        (cores(1, 1, 1, 1), 8, "f"),
        (cores(1, 2, told=False), 1, "2"),
        ((), 4, None),
    ],
)
def test_mask_of_the_strongest_cores(row: tuple[Core, ...], threads: int, mask: str | None) -> None:
    assert strongest_mask(row, threads) == mask


def test_conditions_of_an_emulated_phone(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone("mate30-like", load=2.5)
    found = read_conditions(adb_of(phone, adb_server))
    assert (found.thermal_status, found.battery_percent, found.load) == (0, 83, 2.5)
    assert found.boot_id == phone.boot_id
    assert strongest_mask(found.cores, 4) == "f0"
    assert strongest_mask(found.cores, 2) == "c0"


@pytest.mark.parametrize(
    ("bad", "good", "reason"),
    [
        ({"celsius": 50}, {"celsius": 30}, "hot"),
        ({"battery": 5}, {"battery": 50}, "low on battery"),
        ({"load": 40}, {"load": 1}, "busy"),
        ({"cap_khz": 1000}, {"cap_khz": 9_000_000}, "throttled"),
    ],
)
def test_waiting_until_the_phone_is_fit(
    start_phone: StartPhone,
    adb_server: AdbServer,
    bad: dict[str, Any],
    good: dict[str, Any],
    reason: str,
) -> None:
    phone = start_phone()
    phone.set_state(**bad)
    told: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            phone.set_state(**good)

    limits = Limits(wait_seconds=60, poll_seconds=0.01)
    found = wait_until_fit(adb_of(phone, adb_server), limits, told.append, sleep)
    assert limits.complaints(found) == []
    assert len(slept) == 2
    assert len(told) == 1  # said once, not every time it looks
    assert reason in told[0]


def test_a_phone_that_stays_hot(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone(temperature=((0.0, 60.0),))
    with pytest.raises(PhoneTransientError, match=r"throttled: still hot.*let it cool") as caught:
        wait_until_fit(adb_of(phone, adb_server), Limits(wait_seconds=0.1, poll_seconds=0.05))
    assert caught.value.failure.failure_class == "throttled"
