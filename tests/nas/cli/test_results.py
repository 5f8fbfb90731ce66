from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import nas.cli.results as results
from nas.cli import pareto
from nas.data import Pair
from nas.errors import DataError, RunError
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from nas.system.hashing import canonical_json
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run

runner = CliRunner()
app = typer.Typer()
app.command()(pareto.pareto)
app.command()(results.report)
app.command()(results.export)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run", 40)


class Pictures:
    """A data set of two pictures, whose identity can be chosen."""

    spec = "photos"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def identity(self) -> dict[str, int]:
        return {"seed": self._seed}

    def heldout(self):
        image = np.zeros((16, 16, 3), np.uint8)
        return iter([Pair("a", image, image + 1)])


def test_pareto_prints_one_json_document(run: RunFolder) -> None:
    result = runner.invoke(app, ["pareto", str(run.path), "--json"])
    assert result.exit_code == 0
    models = data_of(result.stdout, "pareto")["models"]
    members = front(run.results(), run.objectives())
    assert [model["key"] for model in models] == [member.key for member in members]
    assert len(models) >= 3
    for model, member in zip(models, members, strict=True):
        assert model["architecture"] == member.candidate["architecture"]
        assert model["precision"] == member.candidate["compression"]["precision"]
        assert model["psnr_db"] == member.value("psnr_db")
        assert model["ssim"] == member.value("ssim")
        assert model["gmacs"] == model["gmacs_conv"] == member.value("gmacs_conv")
        assert model["gmacs_profiler"] == member.value("gmacs_profiler")
        assert model["parameters"] == member.value("parameters")
        assert model["latency_ms"] == {"host": member.value("latency_ms[host]")}
        low, high = model["latency_interval_ms"]["host"]
        assert low <= model["latency_ms"]["host"] <= high
        assert Path(model["artifact"]).is_file()
        assert model["trial"] == member.number
        assert model["sources"]["psnr_db"] == "synthetic"
        assert model["definitions"]["psnr_db"] == "psnr-rgb-u8-b0-imgmean"


def test_pareto_for_people_has_a_line_for_each_model(run: RunFolder) -> None:
    result = runner.invoke(app, ["pareto", str(run.path)])
    members = front(run.results(), run.objectives())
    lines = result.stdout.strip().splitlines()
    assert len(lines) == 1 + len(members)
    for line, member in zip(lines[1:], members, strict=True):
        cells = line.split()
        assert cells[0].rstrip("*") == str(member.number)
        assert cells[1] == f"{member.value('psnr_db'):.2f}"
        assert member.label in line
    assert f"{len(members)} on the front" in result.stderr


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_wider_terminal_shows_more_figures(
    run: RunFolder, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = runner.invoke(app, ["pareto", str(run.path)]).stdout.rstrip().splitlines()
    assert len(lines) == 1 + len(front(run.results(), run.objectives()))
    assert all(len(line) <= width for line in lines)
    assert ("GMAC" in lines[0]) == (width >= 100)


def test_pareto_of_a_run_without_models(tmp_path: Path) -> None:
    run = make_run(tmp_path, 15, bound_ms=1.0)
    plain = runner.invoke(app, ["pareto", str(run.path)])
    assert plain.stdout == ""
    assert "no model yet: 15 trials finished" in plain.stderr
    assert (
        data_of(runner.invoke(app, ["pareto", str(run.path), "--json"]).stdout, "pareto")["models"]
        == []
    )


def test_no_run_is_one_clear_error(tmp_path: Path) -> None:
    for command in (["pareto"], ["report"], ["export", "--out", str(tmp_path / "out")]):
        result = runner.invoke(app, [command[0], str(tmp_path / "no"), *command[1:]])
        assert isinstance(result.exception, RunError)
        assert "is no run's folder: it has no run.json" in str(result.exception)


def test_report_prints_where_the_page_is(run: RunFolder) -> None:
    result = runner.invoke(app, ["report", str(run.path), "--pictures", "0"])
    assert result.stdout.replace("\n", "") == str(run.path / "report" / "index.html")
    assert (run.path / "report" / "front.png").is_file()


def test_export_scores_every_model_again(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evaluators.quality
    import nas.data

    figures = {f"not a real model: {r.key}": r for r in run.results()}
    scored = []

    def score(path: Path, pairs: object) -> object:
        scored.append(path.read_text())
        value = figures[scored[-1]].value("psnr_db")
        return SimpleNamespace(psnr_db=value)

    monkeypatch.setattr(nas.data, "open_dataset", lambda spec: Pictures(0))
    monkeypatch.setattr(evaluators.quality, "score_artifact", score)
    out = tmp_path / "models"
    result = runner.invoke(app, ["export", str(run.path), "--out", str(out)])
    assert result.exit_code == 0, result.exception
    members = front(run.results(), run.objectives())
    baselines = [r for r in run.results() if r.baseline and r not in members and r.artifact]
    exported = [*members, *baselines]
    assert set(scored) == {f"not a real model: {result.key}" for result in exported}
    assert scored[: len(members)] == [f"not a real model: {member.key}" for member in members]
    assert len(scored) == len(exported)
    assert len(result.stdout.strip().splitlines()) == len(exported)
    assert f"{len(exported)} models in" in result.stderr


def test_export_wants_the_runs_own_pictures(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas.data

    assert canonical_json(Pictures(0).identity()) == canonical_json({"seed": 0})
    monkeypatch.setattr(nas.data, "open_dataset", lambda spec: Pictures(1))
    result = runner.invoke(app, ["export", str(run.path), "--out", str(tmp_path / "models")])
    assert isinstance(result.exception, DataError)
    assert "is not the one that" in str(result.exception)
    assert not (tmp_path / "models").exists()
