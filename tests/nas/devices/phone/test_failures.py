"""Failures on emulated phones: as results, met again, or a phone set aside."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.failures import (
    FAILURE_CLASSES,
    PhoneError,
    PhoneSetAsideError,
    PhoneStableError,
    PhoneTransientError,
)
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.lock import phone_lock
from nas.errors import ConfigError, DeviceTransientError
from tests.emulated_phone import models, placing
from tests.emulated_phone.network import read
from tests.emulated_phone.relay import HOST, Relay
from tests.helpers.phones import StartPhone, adb_of, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_silent_cpu_is_a_failure(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    graph = models.Builder()
    path = graph.write(graph.transpose_conv(graph.input, 4), tmp_path / "up.tflite")
    with pytest.raises(PhoneStableError, match="will not be executed") as caught:
        device_of(start_phone(), adb_server).measure(path, PROTOCOL)
    assert caught.value.failure.failure_class == "not_delegated"


def test_a_phone_without_nnapi(start_phone: StartPhone, adb_server: AdbServer, plain: Path) -> None:
    phone = start_phone("no-nnapi")
    with pytest.raises(ConfigError, match=r"Android 8\.0\) has no NNAPI: take --delegate gpu"):
        device_of(phone, adb_server).measure(plain, PROTOCOL)


def test_not_a_model(start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_text("hello")
    with pytest.raises(ConfigError, match=r"no \.tflite file"):
        device_of(start_phone(), adb_server).measure(tmp_path / "x.tflite", PROTOCOL)


@pytest.mark.parametrize("kind", ["crash", "oom", "garbage"])
def test_stable_failures_of_the_tool(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, kind: str
) -> None:
    phone = start_phone()
    phone.inject(kind)
    device = device_of(phone, adb_server)
    expected = "unparsable" if kind == "garbage" else kind
    with pytest.raises(PhoneStableError, match=expected) as caught:
        device.measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == expected
    assert "\n" not in str(caught.value)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    assert clean(phone)


@pytest.mark.parametrize(
    ("kind", "match", "seconds"),
    [
        ("unplug", "shell.*num_runs=10", 0.3),
        ("reboot", "shell.*num_runs=10", 0.3),
        ("cut", "transport", 0.0),
        ("cut", "stream", 0.0),
        ("close", "shell.*num_runs=10", 0.0),
        ("driver-crash", "", 0.0),
    ],
)
def test_transient_failures_are_met_again(
    start_phone: StartPhone,
    adb_server: AdbServer,
    plain: Path,
    kind: str,
    match: str,
    seconds: float,
) -> None:
    phone = start_phone()
    phone.inject(kind, match=match, seconds=seconds)
    device = device_of(phone, adb_server)
    found = device.measure(plain, PROTOCOL)
    assert found.latency_ms > 0
    assert any("attempt 1 of 3" in text for text in device.told)  # type: ignore[attr-defined]
    assert device.failures_in_a_row == 0
    assert clean(phone)


def test_a_fault_of_the_tool_is_for_the_start_that_it_names(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("crash", match="num_runs=77")
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    with pytest.raises(PhoneStableError, match="crash"):
        device.measure(plain, replace(PROTOCOL, runs=77))


def test_a_driver_that_always_dies_makes_the_candidate_infeasible(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("driver-crash", times=3)
    with pytest.raises(PhoneStableError, match="3 times, while the control model ran") as caught:
        device_of(phone, adb_server).measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == "driver_crash"


def test_a_hanging_tool_times_out_and_is_ended(
    start_phone: StartPhone,
    adb_server: AdbServer,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.devices.phone.session.PROBE_TIMEOUT_SECONDS", 0.7)
    phone = start_phone()
    phone.inject("tool-hang", seconds=30)
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    assert "took more than 0.7 s" in device.told[0]  # type: ignore[attr-defined]
    assert clean(phone)


def test_a_phone_that_keeps_failing_is_set_aside(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, attempts=1, set_aside_after=2, reconnect_seconds=0.2)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    phone.unplug()
    with pytest.raises(PhoneTransientError, match="device_offline") as caught:
        device.measure(plain, PROTOCOL)
    assert not isinstance(caught.value, PhoneSetAsideError)
    assert isinstance(caught.value, DeviceTransientError)
    with pytest.raises(PhoneSetAsideError, match="2 measurements in a row"):
        device.measure(plain, PROTOCOL)
    phone.plug()
    assert adb_server.reconnect(phone.address, 10)
    with pytest.raises(PhoneSetAsideError, match="is set aside"):  # for good
        device.measure(plain, PROTOCOL)


def test_a_phone_that_refuses_everything_is_set_aside(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    """The candidate is not blamed once, as the control model tells whose fault it is."""
    phone = start_phone()
    phone.inject("crash", times=1000)
    device = device_of(phone, adb_server, set_aside_after=2)
    with pytest.raises(PhoneTransientError, match="fails with the control model, too") as caught:
        device.measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == "crash"
    with pytest.raises(PhoneSetAsideError, match="2 measurements in a row"):
        device.measure(plain, PROTOCOL)


def test_an_adb_server_elsewhere_that_goes_away_is_waited_for(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone, relay = start_phone(), Relay(adb_server.port)
    server = AdbServer(HOST, relay.port)
    fresh = device_of(phone, server)
    device = device_of(phone, server, attempts=2, reconnect_seconds=60.0)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    relay.close()
    with pytest.raises(ConfigError, match="start it there"):
        fresh.measure(plain, PROTOCOL)  # never seen: a wrong address
    fresh.expect()
    fresh.options = replace(fresh.options, attempts=1)
    with pytest.raises(PhoneTransientError, match="start it there") as caught:
        fresh.measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == "device_offline"
    threading.Timer(1.0, relay.open).start()
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    assert "start it there" in device.told[0]  # type: ignore[attr-defined]
    assert device.failures_in_a_row == 0
    relay.close()


FAULTS: list[tuple[str, str, float]] = [
    ("unplug", "shell", 0.2),
    ("close", "shell", 0.0),
    ("cut", "stream", 0.0),
    ("crash", "", 0.0),
    ("garbage", "", 0.0),
    ("driver-crash", "", 0.0),
    ("op-failed", "", 0.0),
    ("reboot", "shell", 0.2),
    ("close", "sync", 0.0),
    ("oom", "", 0.0),
]


def test_under_random_faults_every_call_ends_as_a_result_or_a_typed_failure(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, set_aside_after=1000)
    network_ms = {}
    ended = []
    for number, (kind, match, seconds) in enumerate(FAULTS):
        path = models.plain(tmp_path / f"{number}.tflite", width=4 + number % 2)
        network = read(path.read_bytes())
        plan = placing.plan_nnapi(phone.profile, network, reference=False)
        network_ms[number] = placing.modelled_ms(phone.profile, network, plan)
        phone.inject(kind, match=match, seconds=seconds)
        try:
            found = device.measure(path, TimingProtocol(launches=1, runs=5, timeout_seconds=5))
        except PhoneError as error:
            ended.append(error.failure.failure_class)
        else:
            assert found.latency_ms == pytest.approx(network_ms[number], rel=0.05)
            ended.append("result")
        for left in phone.faults.glob("*.json"):
            left.unlink()
    assert len(ended) == len(FAULTS)
    assert set(ended) <= {"result", *FAILURE_CLASSES}
    assert ended.count("result") >= 4
    assert clean(phone)
    with phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 1.0):
        pass
