"""`npu:CHIP` as a device: what a measurement says, what is refused, with which words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluators import Latency
from nas.devices import Measurement, TimingProtocol, open_device
from nas.devices.fleet import Outcome, measure_everywhere
from nas.devices.npu import calibration
from nas.devices.npu.chips import CHIPS, FIGURES
from nas.devices.npu.compilation import Compilation
from nas.devices.npu.device import NpuDevice
from nas.devices.npu.failures import NpuError
from nas.devices.npu.profile import Estimate, Traffic
from nas.errors import ConfigError
from nas.study.metric import least_trusted
from tests.helpers.npu_graphs import (
    RandomBuilder,
    needs_extra,
    write_operation,
    write_transposed,
)

PROTOCOL = TimingProtocol(timeout_seconds=120)
COMPILED = Compilation(
    Estimate(1_500_000, 1.0, 0.9, 1.2, 0), Traffic(3.0, 2.0, 0.0, 0.0), 4.0, 0.7, 180.0
)


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


def test_a_chip_of_the_simulator_has_the_simulators_own_bounds() -> None:
    latency = NpuDevice(CHIPS["sa8255"])._latency(COMPILED, "int8")
    assert (latency.source, latency.milliseconds) == ("simulated", 1.0)
    assert (latency.interval_ms, latency.coverage) == ((0.9, 1.2), None)
    assert latency.about == "the vendor's simulator of SA8255P"
    offset = calibration.own_offset_ms("int8")
    assert offset is not None
    assert 0.2 < offset < 0.6
    assert (latency.caution or "").endswith(f"latencies of this chip are {offset:.2f} ms longer")


def test_a_phones_latency_is_modelled_with_the_errors_of_networks_left_out() -> None:
    fit = calibration.fitted("Samsung Galaxy S24", "int8")
    assert fit is not None
    latency = NpuDevice(CHIPS["sm8650"])._latency(COMPILED, "int8")
    assert latency.source == "modelled"
    assert latency.milliseconds == pytest.approx(fit.offset_ms + fit.slope)
    assert latency.interval_ms == pytest.approx(fit.interval_ms(1.0))
    assert latency.coverage == fit.coverage
    assert latency.about.endswith("networks published for Samsung Galaxy S24")
    assert latency.caution is None


def test_what_the_calibration_has_not_seen_is_said() -> None:
    device = NpuDevice(CHIPS["sm8650"])
    slow = replace(COMPILED, estimate=Estimate(10**10, 5000.0, 4500.0, 5500.0, 0))
    caution = device._latency(slow, "float").caution or ""
    assert "no published network is as slow (at most" in caution
    int16 = device._latency(COMPILED, "int16")
    assert "fitted to int8" in (int16.caution or "")
    assert int16.coverage is None
    assert int16.milliseconds == device._latency(COMPILED, "int8").milliseconds


def test_a_simulated_figure_stands_between_measured_and_modelled() -> None:
    assert least_trusted(["measured", "simulated"]) == "simulated"
    assert least_trusted(["simulated", "modelled"]) == "modelled"


def test_the_names_of_the_figures() -> None:
    names = Latency().metrics(("npu:sm8650", "host"))
    assert "latency_ms[npu:sm8650]" in names
    assert "init_ms[npu:sm8650]" not in names
    assert {f"{name}[npu:sm8650]" for name in FIGURES} <= set(names)
    assert not any(name.startswith("ddr") and name.endswith("[host]") for name in names)


@needs_extra
def test_a_measurement(tmp_path: Path) -> None:
    path = write_operation(tmp_path / "m.tflite", "RESIZE_BILINEAR", "int8", (1, 32, 32, 16))
    found = open_device("npu:sm8650").measure(path, PROTOCOL)
    assert found.source == "modelled"
    assert not found.measured
    assert found.latency_ms > 0.05
    assert found.interval_ms[0] < found.latency_ms < found.interval_ms[1]
    assert [(row.op, row.accelerator) for row in found.placement] == [
        ("CONV_2D", "npu"),
        ("RESIZE_BILINEAR", "npu"),
    ]
    assert found.accelerated_mac_share == 1
    assert found.figures.keys() == set(FIGURES)
    assert found.conditions["hexagon"] == "v75"
    assert found.conditions["packages"]["onnxruntime-qnn"]
    assert found.count == 0
    assert Measurement.from_dict(found.to_dict()) == found


@needs_extra
def test_a_network_that_is_cut_is_infeasible_and_kept_as_such(tmp_path: Path) -> None:
    path = write_transposed(tmp_path / "odd.tflite", "int8", 5)
    (outcome,) = measure_everywhere(path, ("npu:sm8650",), PROTOCOL, tmp_path / "run")
    error = outcome.error
    assert isinstance(error, NpuError)
    assert error.failure.failure_class == "partially_delegated"
    assert str(error).startswith(
        "npu:sm8650: partially_delegated: 1 of 2 operations on the NPU in 1 pieces; left to the "
        "CPU: TRANSPOSE_CONV (operation 1: Incorrect output dimension at index 1. Expected 9 "
    )
    assert [row.accelerator for row in error.placement] == ["npu", "cpu"]
    document = outcome.to_dict()
    assert document is not None
    assert outcome.key is not None
    again = Outcome.from_dict(document, "npu:sm8650", outcome.key)
    assert str(again.error) == str(error)
    (kept,) = measure_everywhere(path, ("npu:sm8650",), PROTOCOL, tmp_path / "run")
    assert kept.key == outcome.key


@needs_extra
def test_chips_side_by_side_share_the_estimate(tmp_path: Path) -> None:
    path = write_operation(tmp_path / "m.tflite", "RELU", "float32", (1, 32, 32, 16))
    chips = ("npu:sm8450", "npu:sm8650", "npu:sa8255")
    outcomes = measure_everywhere(path, chips, PROTOCOL, tmp_path / "run")
    found = [outcome.measurement for outcome in outcomes if outcome.measurement is not None]
    assert [one.device for one in found] == list(chips)
    assert len({one.conditions["simulation"]["cycles"] for one in found}) == 1
    assert [one.source for one in found] == ["modelled", "modelled", "simulated"]
    kept = list((tmp_path / "cache" / "npu").glob("*.json"))
    assert len(kept) == 3  # each chip's own, of which SA8255's is the estimate of all


@needs_extra
def test_bad_files(tmp_path: Path) -> None:
    device = open_device("npu:sm8650")
    with pytest.raises(ConfigError, match=r"absent\.tflite can't be read"):
        device.measure(tmp_path / "absent.tflite", PROTOCOL)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"x" * 100)
    with pytest.raises(ConfigError, match=r"broken\.tflite is no \.tflite file"):
        device.measure(broken, PROTOCOL)
    graph = RandomBuilder("float32", (1, 4, 4, 3))
    only = graph.write([graph.add("FLOOR", [graph.input], (1, 4, 4, 3))], tmp_path / "f.tflite")
    with pytest.raises(NpuError, match="FLOOR") as caught:
        device.measure(only, PROTOCOL)
    assert caught.value.failure.failure_class in ("not_delegated", "not_simulated")


@needs_extra
def test_a_network_may_be_cut_where_that_is_allowed_but_has_no_latency(tmp_path: Path) -> None:
    path = write_transposed(tmp_path / "odd.tflite", "int8", 5)
    spec = "npu:sm8650?partly=allowed"
    (outcome,) = measure_everywhere(path, (spec,), PROTOCOL, tmp_path / "run")
    found = outcome.measurement
    assert found is not None
    assert (found.device, found.source, found.timed) == (spec, "simulated", False)
    assert [row.accelerator for row in found.placement] == ["npu", "cpu"]
    assert found.figures == {"cpu_operations": 1, "npu_pieces": 1}
    assert found.accelerated_mac_share == pytest.approx(9 / (9 + 4), rel=1e-9)
    assert "TRANSPOSE_CONV (operation 1: Incorrect output" in found.conditions["caution"]
    with pytest.raises(ConfigError, match=f"{re.escape(spec)} tells where operations run, and no"):
        _ = found.latency_ms
    device = open_device(spec)
    assert isinstance(device, NpuDevice)
    with pytest.raises(ConfigError, match="tells where operations run, and no latency"):
        device.latency(path, PROTOCOL)
    document = found.to_dict()
    assert (document["latency_ms"], document["interval_ms"]) == (None, None)
    assert Measurement.from_dict(document) == found
    assert not (tmp_path / "cache" / "npu").exists()  # nothing was compiled


def test_other_options_of_a_chip_are_refused() -> None:
    message = r"npu:sm8650\?fast: an NPU takes one option: npu:sm8650\?partly=allowed"
    with pytest.raises(ConfigError, match=message):
        open_device("npu:sm8650?fast")
