"""Device error on emulated phones and here, against the interpreter's own outputs and formulas."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from ai_edge_litert.interpreter import Interpreter
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from nas.cli import fidelity as command
from nas.data import Pair
from nas.devices.failures import PhoneStableError
from nas.devices.fidelity import measure_fidelity
from nas.devices.graph_builder import GraphBuilder
from nas.errors import ConfigError, DeviceStableError, NasError
from nas.tflite.expected_output import ExpectedOutput, file_output
from tests.emulated_phone import models
from tests.helpers.envelope import data_of
from tests.helpers.phones import StartPhone, clean

SIDE = 32


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return models.small_unet(tmp_path / "unet.tflite", SIDE)


def pictures(count: int, side: int = SIDE) -> list[Pair]:
    generator = np.random.default_rng(1)
    shape = (count, 2, side, side, 3)
    values = generator.integers(0, 256, shape).astype(np.uint8)
    return [Pair(str(n), blurred, sharp) for n, (blurred, sharp) in enumerate(values)]


def outputs(path: Path, pairs: list[Pair]) -> list[Any]:
    """The interpreter's own, by nothing of the project."""
    model = Interpreter(str(path))
    model.allocate_tensors()
    found = []
    for pair in pairs:
        picture = pair.blurred[None].astype(np.float32) / np.float32(255)
        model.set_tensor(model.get_input_details()[0]["index"], picture)
        model.invoke()
        found.append(model.get_tensor(model.get_output_details()[0]["index"])[0])
    return found


def int8_convolution(path: Path) -> Path:
    """An int8 network for pictures of 16x16: one convolution."""
    graph = GraphBuilder("int8", (1, 16, 16, 3))
    inputs = [graph.input, graph.weights((3, 3, 3, 3)), graph.bias(3)]
    output = graph.add("CONV_2D", inputs, (1, 16, 16, 3), graph.options("Conv2DOptions"))
    return graph.write([output], path)


def test_a_phones_outputs_against_the_interpreters(start_phone: StartPhone, unet: Path) -> None:
    """The emulated accelerator rounds outputs to 16 bits: the error is known to the last digit."""
    phone, pairs = start_phone(), pictures(10)  # two batches
    found = measure_fidelity(
        unet, f"adb:{phone.address}", pairs, file_output(unet, unet), threads=1
    )
    psnrs, errors = [], []
    for pair, row, output in zip(pairs, found.pictures, outputs(unet, pairs), strict=True):
        exact = np.clip(output, 0, 1).astype(np.float64)
        rounded = np.clip(output.astype(np.float16).astype(np.float64), 0, 1)
        errors.append(((exact - rounded) ** 2).mean())
        psnrs.append(peak_signal_noise_ratio(exact, rounded, data_range=1))
        assert row.name == pair.name
        assert row.l2_error == pytest.approx(errors[-1], rel=1e-6)
        assert row.psnr_db == pytest.approx(psnrs[-1], abs=1e-6)
        picture = np.rint(rounded * 255).astype(np.uint8)
        sharp = peak_signal_noise_ratio(pair.sharp, picture)
        assert row.device_db == pytest.approx(sharp, abs=0.01)
    assert found.psnr_db == pytest.approx(np.mean(psnrs))
    assert found.psnr_db_std == pytest.approx(np.std(psnrs, ddof=1))
    assert found.l2_error == pytest.approx(np.mean(errors))
    assert 60 < found.psnr_db < 120
    assert found.source == "synthetic"
    assert found.equal_pictures == 0
    assert found.conditions["fallbacks"] == {"TRANSPOSE_CONV_2D": [3]}
    assert 0 < found.conditions["accelerated_mac_share"] < 1
    assert found.conditions["half_precision_allowed"]
    assert clean(phone)
    assert not any("/pictures" in name for name in phone.files())


def test_the_host_and_a_cpu_delegate_are_equal_to_the_interpreter(
    start_phone: StartPhone, unet: Path
) -> None:
    pairs = pictures(2)
    own = outputs(unet, pairs)
    answers = {pair.blurred.tobytes(): output for pair, output in zip(pairs, own, strict=True)}

    def look_up(frame: Any) -> Any:
        return answers[np.rint(frame * 255).astype(np.uint8).tobytes()]

    for device in ("host", f"adb:{start_phone().address}?delegate=cpu"):
        found = measure_fidelity(unet, device, pairs, ExpectedOutput("known", look_up), threads=1)
        assert found.l2_error < 1e-12
        assert found.largest_error < 1e-6
        document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert document["reference"] == "known"
        if found.equal_pictures == 2:
            assert document["psnr_db"] is None


def test_a_known_error_by_formula(unet: Path) -> None:
    pairs = pictures(3)
    grey = ExpectedOutput("grey", lambda frame: np.full_like(frame, 0.5))
    found = measure_fidelity(unet, "host", pairs, grey)
    for row, output in zip(found.pictures, outputs(unet, pairs), strict=True):
        error = ((np.clip(output, 0, 1).astype(np.float64) - 0.5) ** 2).mean()
        assert row.l2_error == pytest.approx(error, rel=1e-4)
        assert row.psnr_db == pytest.approx(-10 * math.log10(error), abs=1e-3)


def test_integers_are_stored_by_the_files_own_scale(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    path = int8_convolution(tmp_path / "int8.tflite")
    model = Interpreter(str(path))
    model.allocate_tensors()
    (source,), (target,) = model.get_input_details(), model.get_output_details()
    assert source["dtype"] == target["dtype"] == np.int8
    pair = pictures(1, int(source["shape"][1]))[0]
    (scale, zero), (out_scale, out_zero) = source["quantization"], target["quantization"]
    stored = np.rint(pair.blurred[None] / np.float32(255) / scale + zero).clip(-128, 127)
    model.set_tensor(source["index"], stored.astype(np.int8))
    model.invoke()
    output = (model.get_tensor(target["index"])[0].astype(np.float64) - out_zero) * out_scale
    reference = ExpectedOutput("zero", np.zeros_like)
    found = measure_fidelity(path, f"adb:{start_phone().address}", [pair], reference)
    assert found.l2_error == pytest.approx(np.mean(np.clip(output, 0, 1) ** 2), rel=1e-5)
    assert found.l2_error > 0


def test_pictures_of_other_sizes_are_cut_or_mirrored(unet: Path) -> None:
    same = file_output(unet, unet, threads=4)
    large = measure_fidelity(unet, "host", pictures(1, 48), same)
    assert large.conditions["fitting"] == "32x32 of the centre"
    small = measure_fidelity(unet, "host", pictures(1, 20), same)
    assert small.conditions["fitting"] == "edges mirrored to 32x32"
    assert large.equal_pictures == small.equal_pictures == 1


def test_refusals(start_phone: StartPhone, unet: Path, tmp_path: Path) -> None:
    old = start_phone("pixel4-like")
    same = file_output(unet, unet)
    with pytest.raises(ConfigError, match=r"too old to write outputs \(it does not know --output"):
        measure_fidelity(unet, f"adb:{old.address}", pictures(1), same)
    new = start_phone("pixel4-like", tool="2026")
    dbpn = models.back_projection(tmp_path / "dbpn.tflite")
    with pytest.raises(ConfigError, match="output has another size than its input"):
        measure_fidelity(dbpn, f"adb:{new.address}", pictures(1), same)
    with pytest.raises(ConfigError, match="no held-out pictures"):
        measure_fidelity(unet, "host", [], same)
    new.inject("op-failed", times=2)
    with pytest.raises(PhoneStableError, match="ANEURALNETWORKS_OP_FAILED"):
        measure_fidelity(unet, f"adb:{new.address}", pictures(1), same)


def test_values_that_are_not_finite_are_a_failure(tmp_path: Path) -> None:
    graph = models.Builder(16, 16)
    path = graph.write(graph.conv(graph.input, 3), tmp_path / "m.tflite")
    content = path.read_bytes()
    weights = np.random.default_rng(0).normal(0, 0.1, (3, 3, 3, 3)).astype(np.float32)
    assert weights.tobytes() in content
    path.write_bytes(content.replace(weights.tobytes(), np.full_like(weights, np.nan).tobytes()))
    with pytest.raises(DeviceStableError, match="768 of 768 values of the output for 0 are not"):
        measure_fidelity(path, "host", pictures(1, 16), ExpectedOutput("", lambda frame: frame))


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command.fidelity)
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=True)


def test_the_command_on_a_file(start_phone: StartPhone, unet: Path) -> None:
    phone = start_phone()
    arguments = (unet, "--data", "photos", "--pictures", 2, "--device", f"adb:{phone.address}")
    done = invoke(*arguments, "--delegate", "nnapi", "--json")
    (found,) = data_of(done.stdout, "fidelity")
    assert found["device"] == f"adb:{phone.address}?delegate=nnapi"
    assert found["reference"] == "the same file (float32) by LiteRT on this machine"
    assert found["psnr_db"] > 60
    assert len(found["pictures"]) == 2
    text = invoke(*arguments, "--device", "host").stdout
    assert "± " in text
    assert "synthetic" in text
    assert "measured" in text
    phone.inject("op-failed", times=2)  # where it is placed, and where it is run
    failed = invoke(*arguments, "--json")
    assert failed.exception.failure.code == "ANEURALNETWORKS_OP_FAILED"
    assert isinstance(failed.exception, DeviceStableError)


def test_the_command_says_what_is_missing(unet: Path, tmp_path: Path) -> None:
    def message(*arguments: object) -> str:
        error = invoke(*arguments).exception
        assert isinstance(error, NasError)
        return str(error)

    assert "which pictures? Give --data photos" in message(unet)
    assert "holds no model of `nas export`" in message(tmp_path)
    assert "are for phones" in message(unet, "--device", "foo", "--delegate", "gpu")
    assert "unknown device 'foo'" in message(unet, "--device", "foo")
    other = models.small_unet(tmp_path / "other.tflite", 16)
    told = message(unet, "--data", "photos", "--reference", other)
    assert "is for pictures of (16, 16) (height, width)" in told


def test_the_command_at_another_size(unet: Path) -> None:
    arguments = (unet, "--data", "photos", "--pictures", 1, "--crop", "48x16", "--json")
    done = invoke(*arguments, "--reference", unet)
    assert done.exception is None
    text = json.dumps(json.loads(done.stdout))
    assert "48x16 of the centre" in text
    assert '"size": [48, 16]' in text
    error = invoke(unet, "--data", "photos", "--crop", "47x16").exception
    assert isinstance(error, ConfigError)
    assert "can't run at 47x16" in str(error)
