"""`nas compress` on a data set of a few small pictures; the app is the command alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from nas.cli.compress import compress
from nas.errors import ConfigError, DataError
from nas.tflite.file import read_tflite
from search_spaces import UNet, architecture_from_dict
from tests.helpers.envelope import data_of

APP = typer.Typer()
APP.command()(compress)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number in range(12):
        sharp = rng.integers(0, 256, (16, 16, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        for name, picture in (
            ("sharp", sharp),
            ("blurred", sharp // 2 + np.roll(sharp, 1, 0) // 2),
        ):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / name / f"{number:02d}.png")
    return f"pairs:{folder / 'blurred'},{folder / 'sharp'}"


def architecture(folder, widths=(8, 12)):
    path = folder / "network.json"
    path.write_text(json.dumps(UNet("resize-bilinear", "prelu", widths, 1, 3).to_dict()))
    return str(path)


def run(*arguments):
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def test_pruned_and_quantized_and_then_quantized_otherwise(tmp_path, data):
    out = tmp_path / "out"
    common = [architecture(tmp_path), "--data", data, "--out", out, "--prune", "0.1", "--smoke"]
    ran = run(*common, "--precision", "int8-qat", "--json")
    assert ran.exit_code == 0, ran.exception
    document = data_of(ran.stdout, "compress")
    network = architecture_from_dict(document["conditions"]["network"])
    file = read_tflite(out / "model.tflite")
    assert file.inputs[0].dtype == "int8"
    assert not file.float_islands
    assert file.conv_macs == network.graph().macs(64, 64).conv
    assert document["after"]["gmacs_profiler"] <= 0.9 * document["before"]["gmacs_profiler"]
    assert document["after"]["bytes"] == (out / "model.tflite").stat().st_size
    assert json.loads((out / "card.json").read_text()) == document

    more = ["--precision", "int16-ptq", "--precision", "float", "--device", "host"]
    again = run(*common, *more)  # nothing is trained or pruned again
    assert again.exit_code == 0, again.exception
    assert "training" not in again.stderr
    assert "pruning" not in again.stderr
    assert read_tflite(out / "p10-int16-ptq" / "model.tflite").inputs[0].dtype == "int16"
    assert "Pruned and quantized, at 64x64" in again.stdout
    table = (out / "compression.md").read_text().splitlines()
    assert [line.split(" | ")[:2] for line in table[2:]] == [
        ["| 0 %", "float"],
        ["| 10 %", "int16-ptq"],
        ["| 10 %", "float"],
    ]
    assert len({line.count("|") for line in table}) == 1
    several = json.loads((out / "compression.json").read_text())
    sharpness = [row["psnr_db"] for row in (several["before"], *several["rows"])]
    assert [line.split(" | ")[5] for line in table[2:]] == [f"{psnr:.2f}" for psnr in sharpness]
    assert all(row["devices"]["host"]["latency_ms"] > 0 for row in several["rows"])
    assert several["before"]["sha256"] == document["before"]["sha256"]
    with Image.open(out / "compression.png") as chart:
        assert chart.width > 1000

    floats = out / "p10-float"  # as an exported model's folder
    common = [floats, "--data", data, "--out", tmp_path / "next", "--size", "64x64", "--json"]
    deeper = run(*common, "--precision", "int8-ptq")
    assert deeper.exit_code == 0, deeper.exception
    assert (
        data_of(deeper.stdout, "compress")["before"]["parameters"] == network.graph().parameters()
    )
    assert data_of(deeper.stdout, "compress")["before"]["sha256"] == several["rows"][1]["sha256"]


def test_one_of_several_that_fails_leaves_the_others(tmp_path, data, monkeypatch):
    from nas.compression import convert
    from nas.errors import ConversionError

    convert_trained = convert.convert_trained

    def refuses(graph, weights, height, width, precision, *others):
        if precision == "int8-ptq":
            raise ConversionError("the operation PRELU works in floating point")
        return convert_trained(graph, weights, height, width, precision, *others)

    monkeypatch.setattr(convert, "convert_trained", refuses)
    out = tmp_path / "out"
    common = [architecture(tmp_path), "--data", data, "--out", out, "--smoke"]
    ran = run(*common, "--precision", "int8-ptq", "--precision", "float", "--json")
    with pytest.raises(ConversionError, match="p0-int8-ptq: the operation PRELU works in floating"):
        raise ran.exception
    rows = data_of(ran.stdout, "compress")["rows"]
    assert rows[0]["failure"] == "the operation PRELU works in floating point"
    assert "psnr_db" in rows[1]
    assert "| 0 % | int8-ptq | failed |" in (out / "compression.md").read_text()
    assert not (out / "compression.png").exists()  # nothing to compare


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prune", "0.9"], r"pruned_share=0\.9: expected a share of the MACs from 0 to 0\.7"),
        (["--precision", "int8"], "unknown precision 'int8'"),
        (["--prune", "0.1", "--prune", "0.1"], r"--prune 0\.1 0\.1: one is given twice"),
        (["--prune", "0.1", "--prune", "0.7"], "can't prune 70.0%"),
        (["--device", "phone"], "unknown device 'phone'"),
        (["--method", "l2"], "unknown pruning method 'l2'"),
        (["--size", "33x32"], "33x32 does not divide by 2"),
        (["--prune", "0.7"], "can't prune 70.0%.*so prune .*% at most"),
    ],
)
def test_wrong_options_are_told_before_any_work(tmp_path, arguments, message):
    out = tmp_path / "out"
    ran = run(architecture(tmp_path, (4, 8)), "--data", "photos", "--out", out, *arguments)
    with pytest.raises(ConfigError, match=message):
        raise ran.exception
    assert not out.exists()


def test_pictures_that_are_not_blurred_are_told_before_any_work(tmp_path, data):
    sharp = Path(data.partition(",")[2])
    copied = tmp_path / "copied"
    shutil.copytree(sharp, copied)
    out = tmp_path / "out"
    ran = run(architecture(tmp_path), "--data", f"pairs:{copied},{sharp}", "--out", out)
    with pytest.raises(DataError, match="every degraded held-out picture is equal to its sharp"):
        raise ran.exception
    assert not out.exists()


def test_fake_quantized_weights_are_refused(tmp_path):
    card = {"candidate": {"compression": {"precision": "int8-qat"}}, "conditions": {}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    ran = run(tmp_path, "--data", "photos", "--out", tmp_path / "out")
    with pytest.raises(ConfigError, match="weights that were trained for int8; compress the float"):
        raise ran.exception
