"""Phones that are absent, unknown, or several of one serial."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.adb.wire import AdbEntry
from nas.devices.failures import (
    PhoneTransientError,
)
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.launch import PhoneOptions
from nas.errors import ConfigError

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_two_phones_of_one_serial(
    adb_server: AdbServer, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """adb lists cheap phones so, which all report 0123456789ABCDEF."""
    twins = [AdbEntry("0123456789ABCDEF", "device")] * 2
    monkeypatch.setattr(AdbServer, "entries", lambda server: twins)
    device = AdbDevice("0123456789ABCDEF", PhoneOptions(attempts=1), adb_server)
    for ask in (device.check, device.answer, lambda: device.measure(plain, PROTOCOL)):
        with pytest.raises(ConfigError, match=r"2 phones report this serial.*by HOST:PORT"):
            ask()
    device.expect()
    for ask in (device.check, device.answer):
        with pytest.raises(PhoneTransientError, match="2 phones report this serial"):
            ask()


def test_an_unknown_serial_fails_at_once(adb_server: AdbServer, plain: Path) -> None:
    started, patient = time.monotonic(), PhoneOptions(reconnect_seconds=600)
    with pytest.raises(PhoneTransientError, match=r"phone \$\(reboot\); is not connected"):
        AdbDevice("$(reboot);", patient, adb_server).measure(plain, PROTOCOL)
    assert time.monotonic() - started < 300
