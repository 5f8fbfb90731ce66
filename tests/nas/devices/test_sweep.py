"""The resolution sweep on emulated phones like the paper's, as a function and as a command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from nas.cli import phones
from nas.devices import TimingProtocol
from nas.devices.graph_builder import GraphBuilder
from nas.devices.sweep import SIZES, resize, sweep
from nas.errors import ConfigError, ConversionError
from nas.tflite.file import read_tflite
from tests.emulated_phone import models, placing
from tests.emulated_phone.network import read
from tests.helpers.envelope import data_of
from tests.helpers.phones import StartPhone

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=60)


@pytest.mark.slow
def test_the_papers_sizes_fail_where_the_papers_phones_failed(
    start_phone: StartPhone, tmp_path: Path
) -> None:
    mate, reno = start_phone("mate30-like"), start_phone("reno3-like")
    specs = [f"adb:{phone.address}?protocol=paper" for phone in (mate, reno)]
    model = models.small_unet(tmp_path / "unet.tflite")
    rows = sweep(model, specs, tmp_path / "out", PROTOCOL)
    assert [(row.device, row.size) for row in rows] == [(s, z) for z in SIZES for s in specs]
    failed = [(row.device, row.size) for row in rows if row.latency_ms is None]
    assert failed == [
        (specs[0], (1600, 900)),
        (specs[0], (1920, 1080)),
        (specs[1], (1920, 1080)),
    ]
    assert all("ANEURALNETWORKS" in (row.failure or "") for row in rows if not row.latency_ms)
    unit = rows[0].latency_ms
    assert unit is not None
    for row in rows:
        assert row.run_size == row.size
        if row.latency_ms is None:
            assert row.ratio is None
            continue
        phone = mate if row.device == specs[0] else reno
        (file,) = (tmp_path / "out").glob(f"models/*/{row.size[0]}x{row.size[1]}.tflite")
        network = read(file.read_bytes())
        plan = placing.plan_nnapi(phone.profile, network, reference=True)
        expected = placing.modelled_ms(phone.profile, network, plan)
        assert row.latency_ms == pytest.approx(expected, rel=0.03)
        assert row.ratio == row.latency_ms / unit
        assert row.source == "synthetic"
    assert json.loads((tmp_path / "out/sweep.json").read_text()) == [r.to_dict() for r in rows]
    with Image.open(tmp_path / "out/sweep.png") as picture:
        assert picture.format == "PNG"
    mate.unplug()
    reno.unplug()  # everything is known by now, failures too
    assert sweep(model, specs, tmp_path / "out", PROTOCOL) == rows


def test_a_size_that_poolings_do_not_divide_is_the_next_one_up(tmp_path: Path) -> None:
    content = models.small_unet(tmp_path / "unet.tflite").read_bytes()
    resized, size = resize(content, (45, 31))
    assert size == (46, 32)
    path = tmp_path / "resized.tflite"
    path.write_bytes(resized)
    assert read_tflite(path).inputs[0].shape == (1, 32, 46, 3)
    assert resize(content, (46, 32)) == (resized, (46, 32))


def of_one_size(path: Path) -> Path:
    """A network that adds a table of 24x16 positions to its picture."""
    made = GraphBuilder("float32", (1, 16, 24, 3))
    table = made.constant(np.arange(16 * 24 * 3, dtype=np.float32).reshape(1, 16, 24, 3))
    placed = made.add("ADD", [made.input, table], (1, 16, 24, 3), made.options("AddOptions"))
    kernel, options = made.weights((4, 3, 3, 3)), made.options("Conv2DOptions")
    last = made.add("CONV_2D", [placed, kernel, made.bias(4)], (1, 16, 24, 4), options)
    return made.write([last], path)


def test_a_file_without_another_size_runs_at_its_own(tmp_path: Path) -> None:
    model = of_one_size(tmp_path / "placed.tflite")
    rows = sweep(model, ["paper:pixel-4"], tmp_path / "out", PROTOCOL, [(48, 32), (96, 64)])
    assert [row.size for row in rows] == [(48, 32), (96, 64), (24, 16)]
    assert [row.run_size for row in rows] == [None, None, (24, 16)]
    assert [row.latency_ms is None for row in rows] == [True, True, False]
    assert rows[0].failure is not None
    assert "no form for 48x32: operation 0 ADD" in rows[0].failure
    assert "made for a picture of 24x16" in rows[0].failure
    assert "paper:pixel-4" not in rows[0].failure  # no device is to blame
    assert rows[2].ratio is None
    kept = next((tmp_path / "out").glob("models/*/24x16.tflite"))
    assert kept.read_bytes() == model.read_bytes()


def test_the_command_names_the_operation_in_full(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(phones.sweep)
    model = of_one_size(tmp_path / "placed.tflite")
    arguments = [str(model), "--out", str(tmp_path / "out"), "--size", "48x32"]
    result = CliRunner().invoke(
        app, [*arguments, "--device", "paper:pixel-4"], catch_exceptions=False
    )
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "placed.tflite: the model has no form for 48x32: operation 0 ADD" in said
    assert "24x16" in result.stdout


def test_a_file_of_no_picture_has_no_sizes(tmp_path: Path) -> None:
    made = GraphBuilder("float32", (1, 12))
    last = made.add("TANH", [made.input], (1, 12))
    model = made.write([last], tmp_path / "row.tflite")
    with pytest.raises(ConversionError, match=r"row.tflite: .*no picture goes into it.* 1x12"):
        sweep(model, ["paper:pixel-4"], tmp_path / "out", PROTOCOL, [(48, 32)])


def test_the_command(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(phones.sweep)
    model = models.plain(tmp_path / "plain.tflite")
    arguments = [str(model), "--out", str(tmp_path / "out"), "--size", "32x16", "--size", "64x32"]
    arguments += ["--launches", "2", "--runs", "2"]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    rows = data_of(result.stdout, "sweep")
    assert [row["run_size"] for row in rows] == [[32, 16], [64, 32]]
    assert rows[0]["ratio"] == 1
    assert rows[1]["ratio"] == rows[1]["latency_ms"] / rows[0]["latency_ms"]
    assert {row["source"] for row in rows} == {"measured"}
    text = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "64x32" in text.stdout
    with pytest.raises(ConfigError, match="are for phones"):
        CliRunner().invoke(
            app, [*arguments, "--device", "pc", "--delegate", "gpu"], catch_exceptions=False
        )
