"""Measurements on emulated phones: results, failures as results, hygiene, locks."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb import AdbServer
from nas.devices.benchmark_tool import CACHE_FOLDER, Delegate
from nas.devices.failures import (
    FAILURE_CLASSES,
    PhoneError,
    PhoneSetAsideError,
    PhoneStableError,
    PhoneTransientError,
)
from nas.devices.hygiene import Limits
from nas.devices.logs import parse_log
from nas.devices.measurement import Measurement, TimingProtocol
from nas.devices.phone import failed
from nas.devices.phonelaunch import doubt
from nas.devices.phonelock import phone_lock
from nas.devices.placement import is_cpu
from nas.devices.probegraphs import write_probe
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError
from tests.emulated_phone import models, placing
from tests.emulated_phone.network import read
from tests.emulated_phone.phone import TOOL_PATH, EmulatedPhone
from tests.emulated_phone.profiles import PROFILES
from tests.nas.devices.conftest import StartPhone, adb_of, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return models.small_unet(tmp_path / "unet.tflite")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return models.plain(tmp_path / "plain.tflite")


def clean(phone: EmulatedPhone) -> bool:
    """Nothing on the phone beyond the cache, nothing running, NNAPI's log as it was."""
    allowed = ("benchmark_model", "portable-nas/")
    base = "data/local/tmp/"
    extra = [name for name in phone.files() if not name.removeprefix(base).startswith(allowed)] + [
        name for name in phone.files() if name.endswith(".part")
    ]
    vlog = phone.folder / "props/debug.nn.vlog"
    deadline = time.monotonic() + 3
    while phone.running() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not extra and not phone.running() and (not vlog.exists() or not vlog.read_text().strip())


def test_a_robust_measurement(start_phone: StartPhone, adb_server: AdbServer, unet: Path) -> None:
    phone = start_phone()
    protocol = replace(PROTOCOL, launches=2)
    found = device_of(phone, adb_server, interleave=True).measure(unet, protocol)
    network = read(unet.read_bytes())
    plan = placing.plan_nnapi(phone.profile, network, reference=False)
    expected = placing.modelled_ms(phone.profile, network, plan)
    assert found.latency_ms == pytest.approx(expected, rel=0.03)
    assert found.source == "synthetic"
    assert found.device == f"adb:{phone.address}"
    assert len(found.samples_ms) == 2
    assert found.count == 20
    assert [(row.index, row.op, row.accelerator) for row in found.placement] == [
        (0, "CONV_2D", "vendor-npu"),
        (1, "MAX_POOL_2D", "vendor-npu"),
        (2, "CONV_2D", "vendor-npu"),
        (3, "TRANSPOSE_CONV_2D", "cpu"),
        (4, "CONCATENATION", "vendor-npu"),
        (5, "CONV_2D", "vendor-npu"),
        (6, "CONV_2D", "vendor-npu"),
    ]
    conv = [9 * 3 * 4 * 256, 9 * 4 * 4 * 64, 9 * 8 * 4 * 256, 9 * 4 * 3 * 256]
    share = sum(conv) / (sum(conv) + 4 * 4 * 4 * 64)
    assert found.accelerated_mac_share == pytest.approx(share)
    conditions = found.conditions
    assert conditions["statistic"] == "median"
    assert conditions["fallbacks"] == {"TRANSPOSE_CONV_2D": [3]}
    assert len(conditions["reference_ms"]) == 2
    assert conditions["before"]["battery_percent"] == conditions["after"]["battery_percent"] == 83
    assert conditions["lock"] == "host and phone"
    assert set((phone.folder / "tasksets.txt").read_text().split()) == {"f0"}
    assert Measurement.from_dict(found.to_dict()) == found
    assert clean(phone)


def test_what_a_measurement_depends_on(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    found = device_of(phone, adb_server, method="paper").identity()
    assert found["build"].startswith("emulated/modern")
    assert (found["delegate"], found["method"]) == ("nnapi", "paper")
    phone.path(TOOL_PATH).write_text(phone.path(TOOL_PATH).read_text() + "# another tool\n")
    other = device_of(phone, adb_server, method="paper").identity()
    assert found["tool"] != other["tool"]


def test_the_papers_protocol(start_phone: StartPhone, adb_server: AdbServer, unet: Path) -> None:
    phone = start_phone("mate30-like", reference_gmacs_per_s=1e-6, wait_scale=0.0)
    found = device_of(phone, adb_server, method="paper").measure(unet, PROTOCOL)
    assert [row.accelerator for row in found.placement if row.op == "TRANSPOSE_CONV_2D"] == [
        "nnapi-reference"
    ]
    assert found.latency_ms > 4_000
    assert found.count >= 10  # the tool's own limits of seconds, not ours
    assert found.conditions["statistic"] == "mean"
    assert (phone.folder / "tasksets.txt").read_text().split() == ["f0"]
    assert found.conditions["delegation"]["coverage"] == "complete"


def test_few_runs_are_told(start_phone: StartPhone, adb_server: AdbServer, unet: Path) -> None:
    """A network of 54 s gets three timed runs of the ten that the paper asked for."""
    phone = start_phone("mate30-like", reference_gmacs_per_s=64 * 64 / 54_000 / 1e6)
    found = device_of(phone, adb_server, method="paper").measure(unet, PROTOCOL)
    assert found.latency_ms == pytest.approx(54_000, rel=0.05)
    assert found.count == 3


@pytest.mark.parametrize("profile", ["mate30-like", "reno3-like", "pixel4-like"])
def test_phones_like_the_papers(
    start_phone: StartPhone, adb_server: AdbServer, unet: Path, tmp_path: Path, profile: str
) -> None:
    phone = start_phone(profile)
    device = device_of(phone, adb_server, method="paper")
    found = device.measure(unet, PROTOCOL)
    fallen = {row.op for row in found.placement if is_cpu(row.accelerator)}
    assert (
        fallen
        == {
            "mate30-like": {"TRANSPOSE_CONV_2D"},
            "reno3-like": set(),
            "pixel4-like": {"TRANSPOSE_CONV_2D", "CONCATENATION", "CONV_2D"},
        }[profile]
    )
    if profile == "pixel4-like":  # only the convolution right after the concatenation
        rows = [row.index for row in found.placement if is_cpu(row.accelerator)]
        assert rows == [3, 4, 5]
    refused = models.back_projection(tmp_path / "dbpn-like.tflite")
    with pytest.raises(DeviceStableError, match="ANEURALNETWORKS_OP_FAILED") as caught:
        device.measure(refused, PROTOCOL)
    assert isinstance(caught.value, PhoneStableError)
    document = failed(device.spec, caught.value)
    assert document["failure"]["class"] == "nnapi_error"
    assert document["failure"]["code"] == "ANEURALNETWORKS_OP_FAILED"
    assert document["failure"]["phase"] == "completing NNAPI compilation"
    assert document["latency_ms"] is None
    assert [row["op"] for row in document["placement"]] == ["CONV_2D", "TRANSPOSE_CONV_2D"]
    assert clean(phone)


def test_too_many_pixels_fail_while_running(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone("mate30-like", max_pixels=100)
    with pytest.raises(PhoneStableError, match="running computation") as caught:
        device_of(phone, adb_server).measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == "nnapi_error"


@pytest.mark.parametrize(
    ("delegate", "place"),
    [("gpu", "gpu"), ("cpu", "cpu"), ("nnapi:vendor-npu", "vendor-npu")],
)
def test_delegates(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, delegate: str, place: str
) -> None:
    device = device_of(start_phone(), adb_server, delegate=Delegate.parse(delegate))
    found = device.measure(plain, PROTOCOL)
    assert {row.accelerator for row in found.placement} == {place}
    assert found.accelerated_mac_share == (0.0 if place == "cpu" else 1.0)


@pytest.mark.parametrize(
    ("delegate", "failure"),
    [
        ("nnapi:none-such", "delegate_refused"),
        ("external:/vendor/lib64/libnone.so", "delegate_refused"),
        ("hexagon", "delegate_refused"),
    ],
)
def test_delegates_that_the_phone_refuses(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, delegate: str, failure: str
) -> None:
    device = device_of(start_phone(), adb_server, delegate=Delegate.parse(delegate))
    with pytest.raises(PhoneStableError) as caught:
        device.measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == failure


def test_a_delegate_that_does_not_take_the_references_type(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    write_probe(tmp_path / "int8.tflite", "int8", "CONV_2D", ("CONV_2D",))
    device = device_of(
        start_phone("pixel4-like"), adb_server, delegate=Delegate("hexagon"), interleave=True
    )
    found = device.measure(tmp_path / "int8.tflite", PROTOCOL)
    assert {row.accelerator for row in found.placement} == {"hexagon"}
    assert len(found.conditions["reference_ms"]) == 1


def test_an_external_delegate(start_phone: StartPhone, adb_server: AdbServer, plain: Path) -> None:
    delegate = Delegate.parse("external:/vendor/lib64/libneuron_delegate.so")
    found = device_of(start_phone("reno3-like"), adb_server, delegate=delegate).measure(
        plain, PROTOCOL
    )
    assert {row.accelerator for row in found.placement} == {"external"}


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
    with pytest.raises(PhoneStableError) as caught:
        device.measure(plain, PROTOCOL)
    expected = "unparsable" if kind == "garbage" else kind
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


def test_a_driver_that_always_dies_makes_the_candidate_infeasible(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("driver-crash", times=3)
    with pytest.raises(PhoneStableError, match="3 times, while the reference model ran") as caught:
        device_of(phone, adb_server).measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == "driver_crash"


def test_a_hanging_tool_times_out_and_is_ended(
    start_phone: StartPhone,
    adb_server: AdbServer,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nas.devices.phone.PROBE_TIMEOUT_SECONDS", 0.7)
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
    with pytest.raises(PhoneTransientError) as caught:
        device.measure(plain, PROTOCOL)
    assert not isinstance(caught.value, PhoneSetAsideError)
    assert isinstance(caught.value, DeviceTransientError)
    with pytest.raises(PhoneSetAsideError, match="2 measurements in a row"):
        device.measure(plain, PROTOCOL)
    phone.plug()
    assert adb_server.reconnect(phone.address, 10)
    with pytest.raises(PhoneSetAsideError):  # it stays aside
        device.measure(plain, PROTOCOL)


def test_a_phone_that_refuses_everything_is_set_aside(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("crash", times=1000)
    device = device_of(phone, adb_server, set_aside_after=2)
    for _ in range(2):
        with pytest.raises(PhoneStableError):
            device.measure(plain, PROTOCOL)
    with pytest.raises(PhoneSetAsideError):
        device.measure(plain, PROTOCOL)


def test_an_unknown_serial_fails_at_once(adb_server: AdbServer, plain: Path) -> None:
    from nas.devices.phone import AdbDevice

    started = time.monotonic()
    with pytest.raises(PhoneTransientError, match=r"phone \$\(reboot\); is not connected"):
        AdbDevice("$(reboot);", server=adb_server).measure(plain, PROTOCOL)
    assert time.monotonic() - started < 2


def test_a_drifting_block_is_measured_again(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, interleave=True)
    fault = phone.inject("slow", seconds=3.0)
    opened = len(phone.opened)

    def restore() -> None:
        while len([n for n in phone.opened[opened:] if "num_runs=10" in n]) < 3:
            time.sleep(0.005)
        fault.unlink()

    thread = threading.Thread(target=restore)
    thread.start()
    found = device.measure(plain, replace(PROTOCOL, launches=2))
    thread.join()
    assert found.conditions["blocks"] > 1
    assert found.conditions["steady"]
    assert found.conditions["drift"] < 0.05


def test_a_phone_that_gets_hot_is_measured_again_when_cool(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server, limits=Limits(wait_seconds=10, poll_seconds=0.05))

    def heat() -> None:
        while not any("num_runs=10" in name for name in phone.opened):
            time.sleep(0.005)
        phone.set_state(celsius=60)
        while sum("dumpsys thermalservice" in name for name in phone.opened) < 4:
            time.sleep(0.005)
        phone.set_state(celsius=30)

    thread = threading.Thread(target=heat)
    thread.start()
    found = device.measure(plain, PROTOCOL)
    thread.join()
    assert found.conditions["blocks"] == 2
    assert found.conditions["after"]["thermal_status"] == 0
    told = " ".join(device.told)  # type: ignore[attr-defined]
    assert "afterwards hot" in told
    assert "waiting" in told


def test_one_trial_at_a_time_between_threads(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    found: list[Any] = []

    def measure() -> None:
        device = device_of(phone, adb_server, lock_wait_seconds=30)
        found.append(device.measure(plain, TimingProtocol(launches=1, runs=5)))

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert clean(phone)


def test_a_held_phone_names_its_owner(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    with (
        phone_lock(adb, CACHE_FOLDER, 1.0),
        pytest.raises(PhoneTransientError, match=r"held by .* \(.*pid \d+ on ") as caught,
        phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 0.1),
    ):
        pass
    assert caught.value.failure.failure_class == "held"


def test_the_lock_holds_between_hosts(
    start_phone: StartPhone,
    adb_server: AdbServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Another host has another lock folder, but the same phone."""
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    with phone_lock(adb, CACHE_FOLDER, 1.0) as held:
        assert held.by == "host and phone"
        monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "other host"))
        with (
            pytest.raises(PhoneTransientError, match="held by another trial"),
            phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 0.3),
        ):
            pass
    with phone_lock(adb, CACHE_FOLDER, 3.0):
        pass


def test_a_killed_process_leaves_no_lock(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    script = (
        "import sys, time\n"
        "from nas.devices.adb import Adb, AdbServer\n"
        "from nas.devices.phonelock import phone_lock\n"
        f"adb = Adb(AdbServer('127.0.0.1', {adb_server.port}), {phone.address!r})\n"
        f"with phone_lock(adb, {CACHE_FOLDER!r}, 5):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    adb = adb_of(phone, adb_server)
    with pytest.raises(PhoneTransientError), phone_lock(adb, CACHE_FOLDER, 0.2):
        pass
    process.kill()
    process.wait()
    with phone_lock(adb, CACHE_FOLDER, 3.0):
        pass
    assert clean(phone)


def test_four_phones_side_by_side_take_as_long_as_one(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    """Their speed is waited for, so that this machine's cores don't decide."""
    phones = [start_phone(wait_scale=1.0, gmacs_per_s=0.002) for _ in range(4)]
    devices = [device_of(phone, adb_server, interleave=False) for phone in phones]
    protocol = TimingProtocol(launches=2, runs=5, warmup=1)

    def took(some: list[Any]) -> float:
        started = time.monotonic()
        threads = [threading.Thread(target=d.measure, args=(plain, protocol)) for d in some]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - started

    took(devices)  # send the files
    assert took(devices) < 2.5 * took(devices[:1])


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


def test_delegation_without_numbers_is_no_measurement() -> None:
    words = "Explicitly applied NNAPI delegate, and the model graph will be partially executed by "
    words += "the delegate w/ 1 delegate kernels.\nInitialized session in 5ms.\n"
    passing = frozenset({"partially_delegated"})
    for numbers in ("", "count=0\ncount=0\n", "count=1 curr=5\ncount=2 curr=0(all same)\n"):
        found = doubt(parse_log(words + numbers, 0), passing)
        assert found is not None
        assert found.failure_class == "unparsable"
    good = words + "count=1 curr=5\ncount=2 curr=7(all same)\n"
    assert doubt(parse_log(good, 0), passing) is None
    assert doubt(parse_log(good, 0), frozenset()) is not None


def test_profiles_survive_json() -> None:
    from tests.emulated_phone.profiles import Profile

    for profile in PROFILES.values():
        assert Profile.from_json(profile.to_json()) == profile
