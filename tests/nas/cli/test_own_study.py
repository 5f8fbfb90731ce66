"""A study in a user's own file, with classes of its own."""

import json
import pickle
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.search import load_study
from nas.errors import ConfigError
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from search_spaces import ARCHITECTURES

OWN = """
from dataclasses import dataclass
from tests.helpers.small_study import Formulas, small_study

@dataclass(frozen=True)
class Own(Formulas):
    pass

STUDY = small_study(evaluators=(Own(),), sampler="random")
"""


def test_its_classes_reach_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "a_study_of_mine.py").write_text(OWN)
    study = load_study(str(tmp_path / "a_study_of_mine.py"))
    search(study, tmp_path / "run", 2, workers=2)
    assert {result.state for result in RunFolder(tmp_path / "run").results()} == {"complete"}
    assert b"a_study_of_mine" in pickle.dumps(study)


@pytest.mark.parametrize("name", ["a-study.py", "json.py"])
def test_a_name_that_is_no_module_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / name).write_text(OWN)
    study = load_study(str(tmp_path / name))
    assert study.name == "small"
    assert str(tmp_path) not in sys.path
    if name == "a-study.py":
        with pytest.raises(ConfigError, match=r"can't be given to another process: .* --workers 1"):
            search(study, tmp_path / "run", 1, workers=2)


def test_a_file_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "fails_so.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"fails_so\.py can't be run: ZeroDivisionError"):
        load_study(str(tmp_path / "fails_so.py"))


def test_further_baselines_are_evaluated_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine_with_more.py").write_text(OWN)
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"candidate": {"architecture": ARCHITECTURES["sgn"].to_dict()}}))
    run = tmp_path / "run"
    arguments = ["search", str(tmp_path / "mine_with_more.py"), "--out", str(run), "--workers", "1"]
    more = ["--trials", "4", "--size", "1280x720", "--baseline", "edsr", "--baseline", str(card)]
    done = CliRunner().invoke(app, [*arguments, *more], catch_exceptions=False)
    assert done.exit_code == 0
    results = RunFolder(run).results()
    assert [result.candidate["architecture"]["family"] for result in results[:2]] == ["edsr", "sgn"]
    assert [result.baseline for result in results] == [True, True, False, False]
    with pytest.raises(ConfigError, match="Did you mean 'edsr'"):
        CliRunner().invoke(app, [*arguments, "--baseline", "edrs"], catch_exceptions=False)
