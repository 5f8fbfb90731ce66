"""`nas measure`, `fidelity`, `describe` and `compress` on files of an open size, and of none."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nas.cli import fidelity, inspect
from nas.devices import TimingProtocol, open_device
from nas.devices.fleet import measure_everywhere
from nas.devices.graph_builder import GraphBuilder
from nas.errors import ConfigError
from tests.emulated_phone import models
from tests.helpers.envelope import data_of
from tests.helpers.open_files import changed, open_batch
from tests.helpers.phones import StartPhone

QUICK = ["--launches", "1", "--runs", "1"]


def run(command, *arguments: str) -> dict:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    return data_of(result.stdout, command.__name__)


@pytest.fixture
def open_file(tmp_path: Path) -> Path:
    """A convolution on pictures of an open size: stored as 1x1, with -1 in the signature."""

    def open_sides(graph) -> None:
        for operation in graph.operators:
            for index in (*map(int, graph.inputs), *map(int, operation.outputs)):
                tensor = graph.tensors[index]
                tensor.shape = [1, 1, 1, 3]
                tensor.shapeSignature = [1, -1, -1, 3]

    made = GraphBuilder("float32", (1, 8, 8, 3))
    kernel, options = made.weights((3, 3, 3, 3)), made.options("Conv2DOptions")
    last = made.add("CONV_2D", [made.input, kernel, made.bias(3)], (1, 8, 8, 3), options)
    path = made.write([last], tmp_path / "open.tflite")
    path.write_bytes(changed(path.read_bytes(), open_sides))
    return path


@pytest.mark.parametrize("device", ["host", "paper:pixel-4"])
def test_a_size_is_asked_for_and_told(open_file, tmp_path, device):
    with pytest.raises(ConfigError, match=r"open.tflite: its input is 1x\?x\?x3.*--size"):
        run(inspect.measure, str(open_file), "--device", device, *QUICK)
    told = run(inspect.measure, str(open_file), "--device", device, "--size", "48x32", *QUICK)
    assert told["conditions"]["size"] == [48, 32]
    assert told["conditions"]["input_shapes"] == [[1, 32, 48, 3]]
    assert told["latency_ms"] > 0
    protocol = TimingProtocol(launches=1, runs=1)
    with pytest.raises(ConfigError, match="--size"):  # whoever asks, beside the command
        open_device(device).measure(open_file, protocol)
    with pytest.raises(ConfigError, match="--size"):
        measure_everywhere(open_file, [device], protocol, tmp_path / "cache")


def test_on_a_phone(start_phone: StartPhone, open_file: Path):
    device = f"adb:{start_phone('modern').address}?delegate=cpu"
    with pytest.raises(ConfigError, match="--size WIDTHxHEIGHT"):
        run(inspect.measure, str(open_file), "--device", device, *QUICK)
    small, large = (
        run(inspect.measure, str(open_file), "--device", device, "--size", size, *QUICK)
        for size in ("48x32", "960x640")
    )
    assert small["conditions"]["size"] == [48, 32]
    assert large["latency_ms"] > 2 * small["latency_ms"]


def test_two_sizes_are_two_measurements(open_file, tmp_path):
    from nas.tflite.size import at_given_size

    keys = []
    for size in ((48, 32), (64, 32)):
        with at_given_size(open_file, size) as path:
            found = measure_everywhere(path, ["paper:pixel-4"], TimingProtocol(), tmp_path)
        keys.append(found[0].key)
    assert len(set(keys)) == 2


def test_an_open_batch_is_one_on_a_modelled_phone_too(tmp_path):
    path = models.plain(tmp_path / "m.tflite")
    fixed = run(inspect.measure, str(path), "--device", "paper:pixel-4")
    path.write_bytes(changed(path.read_bytes(), open_batch))
    told = run(inspect.measure, str(path), "--device", "paper:pixel-4")
    assert told["latency_ms"] == fixed["latency_ms"]
    assert told["accelerated_mac_share"] == fixed["accelerated_mac_share"] is not None


def test_fidelity_asks_for_a_size_and_takes_it(open_file):
    with pytest.raises(ConfigError, match="--size WIDTHxHEIGHT"):
        run(fidelity.fidelity, str(open_file), "--data", "photos")
    [told] = run(
        fidelity.fidelity, str(open_file), "--data", "photos", "--size", "48x32", "--pictures", "1"
    )
    assert told["conditions"]["size"] == [48, 32]


def test_describe_and_compress_point_to_measure():
    with pytest.raises(ConfigError, match=r"m\.tflite is a \.tflite file.*nas measure m\.tflite"):
        inspect.named_architecture("m.tflite")
