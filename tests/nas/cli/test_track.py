"""`nas track` on a made-up run; what the trackers read is in tests/nas/report/test_trackers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError
from nas.storage.run_folder import RunFolder
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("track") / "a", 3, files=False)


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["track", *map(str, arguments)])


def test_it_says_what_was_written_and_what_shows_it(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    board = tmp_path / "board"
    done = invoke(run.path, "--to", "tensorboard", "--out", board)
    assert done.stdout == f"tensorboard --logdir {board}\n"
    assert "3 trials written, 0 there before" in " ".join(done.stderr.split())
    again = invoke(run.path, "--to", "tensorboard", "--out", board, "--json")
    told = data_of(again.stdout, "track")
    assert (told["written"], told["unchanged"]) == (0, 3)
    assert len(list((board / told["name"]).iterdir())) == 3


def test_what_can_t_be_handed_over_is_refused(run: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for arguments, kind, message in (
        ([run.path, "--to", "wand", "--out", tmp_path], ConfigError, "Did you mean 'wandb'"),
        ([run.path, "--to", "mlflow", "--out", file], ConfigError, "is a file: give a folder"),
        ([run.path, "--to", "mlflow", "--out", run.path], ConfigError, "is a run's folder"),
        ([tmp_path, "--to", "mlflow", "--out", tmp_path / "x"], RunError, "is no run's folder"),
    ):
        error = invoke(*arguments).exception
        assert isinstance(error, kind)
        assert message in str(error)
    assert [*tmp_path.iterdir()] == [file]
