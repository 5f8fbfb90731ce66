"""What a phone tells about its state, and which cores are its strongest."""

from __future__ import annotations

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.phone.conditions import (
    Core,
    parse_conditions,
    read_conditions,
    strongest_mask,
)
from tests.helpers.phone_states import UNFIT
from tests.helpers.phones import StartPhone, adb_of


def test_everything_is_read() -> None:
    found = parse_conditions(UNFIT)
    assert found.thermal_status == 2
    assert found.temperatures == {"skin": 33.5}
    assert (found.battery_percent, found.battery_celsius, found.charging) == (17, 28.5, True)
    assert (found.wakefulness, found.load) == ("Asleep", 9.3)
    assert (found.fingerprint, found.boot_id) == ("maker/phone:10/X/1", "abc-def")
    assert [core.number for core in found.cores] == [0, 1, 10]
    assert found.capped_cores == (1,)


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
