"""A phone's clock that is set while something is timed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import Method
from tests.helpers.phones import StartPhone, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


@pytest.mark.parametrize("seconds", [3600.0, -20.0])
@pytest.mark.parametrize(("profile", "method"), [("modern", "robust"), ("pixel4-like", "paper")])
def test_a_phones_clock_that_is_set_in_the_middle_gives_no_wrong_latency(
    start_phone: StartPhone,
    adb_server: AdbServer,
    plain: Path,
    profile: str,
    method: Method,
    seconds: float,
) -> None:
    phone = start_phone(profile)
    device = device_of(phone, adb_server, method=method)
    expected = device.measure(plain, PROTOCOL).latency_ms
    phone.inject("clock-jump", match="num_runs=10", seconds=seconds)
    assert device.measure(plain, PROTOCOL).latency_ms == pytest.approx(expected, rel=0.1)
    assert re.search(r"clock jumped by -?\d+\.\d s", device.told[0])  # type: ignore[attr-defined]
    assert clean(phone)
