"""docs/own-family.md: the page's own file, as a user would write it."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluators import Cost, FileSize, Quality
from evaluators.quality import score_artifact
from nas.cli.app import app
from nas.cli.search import load_study
from nas.compression.channels import group_channels
from nas.compression.convert import convert_untrained
from nas.compression.pruned_network import PrunedNetwork
from nas.compression.pruning import Pruning, uniform_kept
from nas.data import open_dataset
from nas.errors import ConfigError
from nas.networks.candidate import PRECISIONS
from nas.report.export import export_models
from nas.report.write import write_report
from nas.search.driver import search
from nas.tflite.file import parse_tflite
from nas.training.schedule import short_schedule
from search_spaces import CompressionSpace

PAGE = (Path(__file__).parent.parent / "docs/own-family.md").read_text()


@pytest.fixture
def half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "half", raising=False)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "half.py"
    path.write_text(program)
    return path


def network(path: Path) -> ModuleType:
    load_study(str(path))
    return sys.modules["half"]


def test_it_is_about_fifty_lines_of_family(half: Path) -> None:
    lines = [line for line in half.read_text().splitlines() if line.strip()]
    assert len(lines) < 70


def test_it_is_described_with_its_macs(half: Path) -> None:
    done = CliRunner().invoke(app, ["describe", str(half), "--size", "64x32", "--json"])
    document = json.loads(done.stdout)["data"]
    pixels, width = 32 * 16, 16
    blocks = 2 * (9 * width + width * width)
    macs = pixels * (9 * 12 * width + blocks + 9 * width * 12)
    assert document["gmacs_conv"] == pytest.approx(macs / 1e9)
    assert document["label"] == "half 16 x2"


def test_a_file_without_a_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "no_network_here.py").write_text("NETWORK = 3\n")
    arguments = ["describe", str(tmp_path / "no_network_here.py")]
    with pytest.raises(ConfigError, match=r"no value NETWORK with label, graph\(\) and .* but 3"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    with pytest.raises(ConfigError, match="is no file"):
        CliRunner().invoke(app, ["describe", str(tmp_path / "gone.py")], catch_exceptions=False)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_goes_through_the_gate(half: Path, precision: str) -> None:
    graph = network(half).HalfNet(8, 1).graph()
    content = convert_untrained(graph, 32, 32, precision, short_schedule(10))
    assert parse_tflite(content, "x").conv_macs == graph.macs(32, 32).conv


def test_it_can_be_pruned(half: Path) -> None:
    own = network(half).HalfNet(32, 2)
    groups = group_channels(own.graph())
    kept = uniform_kept(groups, 0.3, Pruning())
    pruned = PrunedNetwork.of(own, groups.channels(kept))
    assert 0.28 < pruned.pruned_share < 0.4
    assert np.isfinite(pruned.graph().macs(64, 64).conv)


def test_it_is_searched_reported_and_exported(half: Path, tmp_path: Path) -> None:
    study = replace(
        load_study(str(half)),
        schedule=replace(short_schedule(4), patch=16),
        compression=CompressionSpace(),
        evaluators=(Cost(), Quality(), FileSize()),
        objectives=("psnr_db", "gmacs_conv"),
        size=(64, 48),
        trials=2,
        replicates=0,
    )
    run = search(study, tmp_path / "run", 2)
    results = run.results()
    assert [result.state for result in results] == ["complete", "complete"]
    assert {result.candidate["architecture"]["family"] for result in results} == {"half"}
    assert "half" in write_report(run, pictures=0).read_text()
    scores = {result.value("psnr_db") for result in results}
    exported = export_models(run, tmp_path / "exported", lambda path: _rescored(path, scores))
    assert exported


def _rescored(path: Path, scores: set[float]) -> float:
    """The PSNR of a file on the held-out photographs, one of those that the search found."""
    figure = score_artifact(path, open_dataset("photos").heldout()).psnr_db
    assert min(abs(figure - score) for score in scores) < 0.01
    return figure
