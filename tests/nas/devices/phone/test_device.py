"""Measurements on emulated phones: figures, placement, delegates, hygiene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.failures import (
    PhoneStableError,
)
from nas.devices.measurement import Measurement, TimingProtocol
from nas.devices.placement import is_cpu
from nas.devices.probe_graphs import write_probe
from nas.errors import DeviceStableError
from tests.emulated_phone import models, placing
from tests.emulated_phone.network import read
from tests.emulated_phone.phone import TOOL_PATH
from tests.emulated_phone.profiles import PROFILES
from tests.helpers.phones import StartPhone, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


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
    document = caught.value.to_dict(device.spec)
    assert document["failure"]["class"] == "nnapi_error"
    assert document["failure"]["code"] == "ANEURALNETWORKS_OP_FAILED"
    assert document["failure"]["phase"] == "completing NNAPI compilation"
    assert document["latency_ms"] is None
    assert [row["op"] for row in document["placement"]] == ["CONV_2D", "TRANSPOSE_CONV_2D"]
    assert clean(phone)


def test_too_many_pixels_fail_while_running(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone("mate30-like", max_pixels=128 * 128)  # the control model's: it runs
    large = models.plain(tmp_path / "large.tflite", 1, 4, 160)
    with pytest.raises(PhoneStableError, match="running computation") as caught:
        device_of(phone, adb_server).measure(large, PROTOCOL)
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
    with pytest.raises(PhoneStableError, match=failure) as caught:
        device.measure(plain, PROTOCOL)
    assert caught.value.failure.failure_class == failure


def test_a_delegate_that_does_not_take_the_type_of_the_control_model(
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


def test_profiles_survive_json() -> None:
    from tests.emulated_phone.profiles import Profile

    for profile in PROFILES.values():
        assert Profile.from_json(profile.to_json()) == profile


def test_int16_runs_on_a_phones_cpu(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    """XNNPACK takes none of it, and says so; TFLite's own kernels are the CPU as well."""
    phone = start_phone()
    device = device_of(phone, adb_server, delegate=Delegate("cpu"))
    found = device.measure(models.int16_pool(tmp_path / "int16.tflite"), PROTOCOL)
    assert found.latency_ms > 0
    assert {row.accelerator for row in found.placement} == {"cpu"}
    assert found.conditions["delegation"]["coverage"] == "none"
