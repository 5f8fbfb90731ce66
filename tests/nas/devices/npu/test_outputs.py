"""What an NPU computes, by the functional simulator: against LiteRT's own kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.data import Pair
from nas.devices.fidelity import measure_fidelity
from nas.devices.graph_builder import GraphBuilder
from nas.devices.limited_process import Limits
from nas.devices.npu import outputs as outputs_module
from nas.devices.npu.chips import CHIPS
from nas.devices.npu.failures import NpuError
from nas.devices.npu.outputs import NpuOutputs
from nas.devices.output_devices import open_output_device
from nas.tflite.expected_output import file_output
from tests.emulated_phone import models
from tests.helpers.npu_graphs import RandomBuilder, needs_extra, write_transposed

DEVICE = NpuOutputs(CHIPS["sm8650"])


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


def pictures(count: int, side: int) -> list[Pair]:
    values = np.random.default_rng(1).integers(0, 256, (count, 2, side, side, 3)).astype(np.uint8)
    return [Pair(str(n), *both) for n, both in enumerate(values)]


def int8_network(path: Path, side: int) -> Path:
    """Two convolutions 3 -> 16 -> 3, int8, with scales that pictures fit into."""
    graph = RandomBuilder("int8", (1, side, side, 3))
    tensor = graph.input
    for width in (16, 3):
        inputs = [tensor, graph.weights((width, 3, 3, graph.shape(tensor)[3])), graph.bias(width)]
        shape = (1, side, side, width)
        tensor = graph.add("CONV_2D", inputs, shape, graph.options("Conv2DOptions"))
    return graph.write([tensor], path)


def test_names_and_crops() -> None:
    assert open_output_device("npu:sm8650") == DEVICE
    assert DEVICE.crop((1280, 720)) == (128, 128)
    assert DEVICE.crop((96, 720)) == (96, 128)


def test_how_long_a_picture_takes_follows_from_its_macs(tmp_path: Path) -> None:
    graph = GraphBuilder("float32", (1, 100, 100, 3))
    inputs = [graph.input, graph.weights((3, 10, 10, 3)), graph.bias(3)]
    shape = (1, 100, 100, 3)
    output = graph.add("CONV_2D", inputs, shape, graph.options("Conv2DOptions"))
    path = graph.write([output], tmp_path / "m.tflite")
    assert DEVICE.seconds_a_picture(path) == pytest.approx(100 * 100 * 9 * 100 / 0.3e9)


@needs_extra
def test_one_that_dies_is_a_failure_of_its_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "worker.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(outputs_module.compile_worker, "__file__", str(script))
    path = int8_network(tmp_path / "m.tflite", 16)
    with pytest.raises(NpuError, match="npu:sm8650: crash: computation ended in SIGABRT"):
        outputs_module._computed(path, DEVICE.chip, [], Limits(60), None)


@needs_extra
def test_float_is_near_and_int8_within_steps(tmp_path: Path) -> None:
    model = models.small_unet(tmp_path / "unet.tflite", 32)
    counts: list[int] = []
    found = measure_fidelity(
        model, "npu:sm8650", pictures(2, 32), file_output(model, model), progress=counts.append
    )
    assert found.source == "simulated"
    assert found.conditions["precision"] == "fp16"
    assert found.psnr_db is not None
    assert 60 < found.psnr_db < 120
    assert counts[-1] == 2
    model = int8_network(tmp_path / "int8.tflite", 32)
    found = measure_fidelity(model, "npu:sm8650", pictures(1, 32), file_output(model, model))
    assert found.conditions["precision"] == "int8"
    assert found.largest_error <= 2 * 0.05 + 1e-6  # the scale of its outputs


@needs_extra
def test_a_network_that_is_cut_is_refused(tmp_path: Path) -> None:
    model = write_transposed(tmp_path / "odd.tflite", "float32", 5)
    with pytest.raises(NpuError, match="partially_delegated"):
        DEVICE.open_outputs(model, 1, 60)
