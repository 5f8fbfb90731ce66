"""What a lost link or a killed host leaves on a phone, and what a measurement tells of gaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.adb import AdbServer
from nas.devices.failures import PhoneStableError
from nas.devices.measurement import TimingProtocol
from tests.nas.devices.conftest import StartPhone, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_a_network_that_is_too_big_is_told_with_what_to_do(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("oom")
    with pytest.raises(PhoneStableError, match="take a smaller network or picture"):
        device_of(phone, adb_server).measure(plain, PROTOCOL)


def test_lines_that_the_phones_log_lost_are_told_with_the_measurement(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    log = phone.folder / "logcat.txt"

    def lose() -> None:
        lines = log.read_text().splitlines()
        if lines and "logcat -d" in phone.opened[-1]:
            stamp, pid = lines[-1][:18], lines[-1].split()[2]
            row = f"{stamp} {pid} {pid} I chatty  : uid=2000(shell) tool expire 5 lines"
            log.write_text("\n".join([*lines, row, ""]))

    phone.on_open = lose
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).conditions["lost_lines"] == 5
    phone.on_open = lambda: None
    assert device.measure(plain, PROTOCOL).conditions["lost_lines"] == 0
