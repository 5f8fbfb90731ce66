"""The paper's phones: replays, a model for everything else, and what neither may claim."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evaluators import Latency
from nas.cli.app import app
from nas.devices import Measurement, TimingProtocol, open_device
from nas.devices.fleet import measure_everywhere
from nas.devices.paper_phones import latency_model as model
from nas.devices.paper_phones import published
from nas.devices.paper_phones.device import SPECS, PaperPhoneError, tell
from nas.devices.paper_phones.networks import network, recognised
from nas.devices.paper_phones.published import PHONES
from nas.devices.paper_phones.rules import RULES
from nas.errors import ConfigError
from nas.tflite.file import parse_tflite, read_tflite
from nas.tflite.operations import of_file, of_graph
from search_spaces import ARCHITECTURES, UNet
from tests.emulated_phone import models
from tests.emulated_phone.models import Builder
from tests.helpers import artifacts
from tests.helpers.envelope import data_of, error_of

PROTOCOL = TimingProtocol(launches=1)


PIXEL = "paper:pixel-4"


def unet(path: Path, height: int = 720, width: int = 1280, scale: int = 1) -> Path:
    """UNet-DepthToSpace-Relu without its ReLUs, which are fused, by the schema: no TensorFlow."""
    widths = [32 // scale, 64 // scale, 128 // scale, 128 // scale, 128 // scale]
    graph = Builder(height, width)
    x, skips = graph.input, []
    for level, channels in enumerate(widths):
        if level:
            skips.append(x)
            x = graph.max_pool(x)
        for index in range(4):
            x = graph.conv(x, channels, 7 if level == index == 0 else 3)
    for level in reversed(range(4)):
        x = graph.concat(graph.depth_to_space(x), skips[level])
        for _ in range(4):
            x = graph.conv(x, widths[level])
    return graph.write(graph.conv(x, 3), path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unet(tmp_path_factory.mktemp("paper") / "whole.tflite")


@pytest.mark.parametrize(("phone", "ms"), zip(PHONES, (805, 1326, 2697), strict=True))
def test_a_file_of_the_papers_is_replayed(whole: Path, phone: str, ms: float) -> None:
    found = open_device(f"paper:{phone}").measure(whole, PROTOCOL)
    assert (found.source, found.latency_ms, found.measured) == ("published", ms, False)
    assert found.conditions["about"] == "Table 3, UNet-DepthToSpace-Relu"
    assert (found.count, found.init_ms, found.stated_interval_ms) == (0, None, None)
    fallen = {row.op for row in found.placement if row.accelerator == "nnapi-reference"}
    assert fallen == ({"DEPTH_TO_SPACE"} if phone == "pixel-4" else set())
    assert len(found.placement) == len(read_tflite(whole).operations)
    assert found.accelerated_mac_share == 1


def test_every_cell_that_is_not_pruned_is_replayed() -> None:
    for row in published.rows():
        if row.pruned_percent is not None:
            continue
        operations = network(row.network, None, row.precision.split("-")[0])
        operations = replace(operations, requantized=row.precision == "int8-qat")
        for cell in row.cells:
            told = tell(cell.phone, operations)
            if cell.outcome == "number":
                assert (told.source, told.latency_ms) == ("published", cell.latency_ms)
            elif cell.outcome == "failed":
                assert (told.source, told.latency_ms) == ("published", None)
                assert told.failure is not None
                assert told.failure.code == "ANEURALNETWORKS_OP_FAILED"
                assert not told.failure.transient
            else:
                assert told.source == "modelled"
                assert told.caution is not None
                assert "Table 4 leaves 16-bit PTQ empty for this phone" in told.caution


def test_recognition_is_by_structure_size_and_type() -> None:
    graph = ARCHITECTURES["unet-resizebilinear-prelu"].graph()
    size = (1280, 720)
    assert tell("reno3-5g", of_graph(graph, size)).latency_ms == 1503
    assert tell("reno3-5g", of_graph(graph, size, "int8-ptq")).latency_ms == 504
    assert tell("reno3-5g", of_graph(graph, size, "int8-qat")).latency_ms == 488
    assert tell("reno3-5g", of_graph(graph, size, "int16-ptq")).latency_ms == 825
    assert tell("reno3-5g", of_graph(graph, (640, 368))).source == "modelled"
    assert recognised(of_graph(UNet(widths=(32, 64, 128, 128, 124)).graph(), size)) is None
    assert recognised(network("unet-resizebilinear-prelu", 20)) is None
    fpn = ARCHITECTURES["fpn"].graph()  # files have its factors folded, the paper's had not
    assert recognised(of_graph(fpn, size)) == recognised(of_graph(fpn, size, fold=False))


def test_other_networks_are_modelled(tmp_path: Path) -> None:
    path = unet(tmp_path / "narrow.tflite", 144, 256, 2)
    for spec in SPECS:
        found = open_device(spec).measure(path, PROTOCOL)
        low, high = found.interval_ms
        assert found.source == "modelled"
        assert 0 < low < found.latency_ms < high
        assert found.interval_coverage == model.COVERAGE
        assert "published cells" in found.conditions["about"]
        again = Measurement.from_dict(json.loads(json.dumps(found.to_dict())))
        assert again == found


def test_failures_are_typed_and_kept(tmp_path: Path) -> None:
    path = models.back_projection(tmp_path / "dbpn.tflite")
    with pytest.raises(PaperPhoneError, match=r"paper:pixel-4: nnapi_error .*OP_FAILED: modelled"):
        open_device(PIXEL).measure(path, PROTOCOL)
    for _ in range(2):  # from the device, then from the cache
        one, other = measure_everywhere(path, [PIXEL, "paper:reno3-5g"], PROTOCOL, tmp_path / "c")
        assert one.key is not None
        assert getattr(one.error, "failure").failure_class == "nnapi_error"  # noqa: B009
        assert other.error is not None
    assert len(list((tmp_path / "c").glob("*.json"))) == 2


def test_sizes_that_failed_fail(tmp_path: Path) -> None:
    graph = Builder(912, 1600)  # 1600x900, as four poolings need it
    path = graph.write(graph.conv(graph.input, 4), tmp_path / "large.tflite")
    assert open_device("paper:reno3-5g").measure(path, PROTOCOL).source == "modelled"
    for spec in ("paper:mate30-pro-5g", PIXEL):
        with pytest.raises(PaperPhoneError, match="1600x912 is more than the largest picture"):
            open_device(spec).measure(path, PROTOCOL)


def test_a_typo_lists_the_devices() -> None:
    with pytest.raises(
        ConfigError, match=r"Did you mean 'paper:pixel-4'.*host, paper:mate30-pro-5g"
    ):
        open_device("paper:pixel4")
    with pytest.raises(ConfigError, match="paper:reno3-5g"):
        open_device("hots")


@pytest.mark.parametrize(
    ("upsampling", "activation", "precision"),
    [("transpose-conv", "prelu", "float"), ("depth-to-space", "prelu", "int16-ptq"),
     ("resize-bilinear", "relu", "int8-ptq"), ("resize-bilinear", "prelu", "int8-qat")],
)  # fmt: skip
def test_a_file_and_its_graph_give_one_list(
    upsampling: Any, activation: Any, precision: Any
) -> None:
    architecture = artifacts.network(upsampling, activation)
    file = parse_tflite(artifacts.artifact(architecture, precision), "made")
    side = artifacts.SIDE
    of_both = [of_file(file), of_graph(architecture.graph(), (side, side), precision)]
    plain = [[replace(step, indices=()) for step in found.steps] for found in of_both]
    assert plain[0] == plain[1]
    assert of_both[0].structure == of_both[1].structure
    assert of_both[0].requantized == of_both[1].requantized
    indices = [index for step in of_both[0].steps for index in step.indices]
    assert sorted(indices) == list(range(len(file.operations)))


def test_open_shapes_are_refused(tmp_path: Path) -> None:
    graph = Builder()
    path = graph.write(graph.conv(graph.input, 4), tmp_path / "one.tflite")
    file = read_tflite(path)
    picture = replace(file.inputs[0], shape=(1, -1, -1, 3))
    with pytest.raises(ConfigError, match="expected a picture of a fixed size"):
        of_file(replace(file, inputs=(picture,)))
    conv = file.operations[0]
    idle = replace(conv, name="RELU", inputs=conv.inputs[:1])
    with pytest.raises(ConfigError, match="no operation that takes time"):
        of_file(replace(file, operations=(idle,)))


def test_the_pixels_cliff_comes_with_the_size() -> None:
    graph = ARCHITECTURES["unet-resizebilinear-prelu"].graph()

    def per_pixel(size: tuple[int, int]) -> float:
        operations = replace(of_graph(graph, size), requantized=False)
        wanted = model.features(RULES["pixel-4"], operations)
        return model.fitted("pixel-4").latency_ms(wanted) / (size[0] * size[1])

    assert per_pixel((1280, 720)) > 3 * per_pixel((960, 544)) > 2 * per_pixel((640, 368))


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; from nas.devices.paper_phones.device import tell; "
        "from nas.devices.paper_phones.networks import network; "
        "print(tell('pixel-4', network('edsr', None, 'int8')).source); "
        "print(sorted({'tensorflow', 'tf_keras', 'ray', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["modelled", "[]"]


def test_figures_of_a_trial_carry_their_source(whole: Path, tmp_path: Path) -> None:
    from evaluators.latency import _figures, worst_ratio

    names = Latency().metrics((PIXEL, "host"))
    assert f"init_ms[{PIXEL}]" not in names
    assert f"accelerated_mac_share[{PIXEL}]" in names
    first = open_device(PIXEL).measure(whole, PROTOCOL)
    second = open_device(PIXEL).measure(unet(tmp_path / "n.tflite", 144, 256, 2), PROTOCOL)
    figures = _figures(first, (1280, 720))
    latency = figures[f"latency_ms[{PIXEL}]"]
    assert (latency.source, latency.interval, latency.definition) == ("published", None, None)
    assert latency.conditions is not None
    assert "Table 3, UNet-DepthToSpace-Relu" in latency.conditions
    assert f"init_ms[{PIXEL}]" not in figures
    paper_phone = _figures(second, (256, 144))[f"latency_ms[{PIXEL}]"]
    assert paper_phone.source == "modelled"
    assert paper_phone.interval == second.stated_interval_ms
    assert worst_ratio({PIXEL: second}, {PIXEL: first}).source == "modelled"
    assert worst_ratio({PIXEL: first}, {PIXEL: first}).source == "published"


def test_the_command_line_says_what_is_not_measured(whole: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    told = run(app, ["measure", str(whole), "--device", PIXEL])
    assert told.exit_code == 0
    assert "published, not measured: 2697 ms on paper:pixel-4" in told.output
    small = str(unet(tmp_path / "n.tflite", 144, 256, 2))
    told = run(app, ["measure", small, "--device", PIXEL])
    assert "modelled, not measured:" in told.output
    assert "launches" not in told.output
    measured = run(app, ["measure", small, "--device", PIXEL, "--json"])
    document = data_of(measured.stdout, "measure")
    assert document["source"] == "modelled"
    assert document["interval_ms"][0] < document["latency_ms"] < document["interval_ms"][1]
    failing = str(models.back_projection(tmp_path / "dbpn.tflite"))
    refused = run(app, ["measure", failing, "--device", PIXEL, "--json"])
    failed = error_of(refused.stdout, "measure")["details"]
    assert (failed["source"], failed["failure"]["class"]) == ("modelled", "nnapi_error")
    listed = data_of(run(app, ["devices", "--modelled", "--json"]).stdout, "devices")
    assert [row["device"] for row in listed] == list(SPECS)


def test_identity_depends_on_the_data() -> None:
    from nas.devices.paper_phones import device as paper_phone

    before = paper_phone.model_identity()
    assert open_device(PIXEL).identity() == {"model": before}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper_phone, "FORM", paper_phone.FORM + 1)
        paper_phone.model_identity.cache_clear()
        assert open_device(PIXEL).identity() != {"model": before}
    paper_phone.model_identity.cache_clear()
