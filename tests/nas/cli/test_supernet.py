"""`nas supernet` as its user runs it: a process and a real kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError
from tests.helpers.envelope import data_of

STUDY = """
from evaluators import Cost, Quality
from nas.training.schedule import Schedule
from nas.study.study import Study
from search_spaces import CompressionSpace, UNetSpace

STUDY = Study(
    name="mine",
    description="A user's own study.",
    space=UNetSpace(levels=(2,), widths=(4, 8), convolutions=(1,), first_kernel=(3,),
                    activation=("relu",), global_residual=(True,)),
    compression=CompressionSpace(),
    schedule=Schedule(steps=2000, batch=2, patch=16, learning_rate=1e-3, warmup_steps=5,
                      clip_norm=0.1, checkpoint_seconds=0.1),
    evaluators=(Cost(), Quality()),
    objectives=("psnr_db", "gmacs_conv"),
    size=(32, 16),
)
"""


def _train(folder: Path, steps: int) -> subprocess.Popen[str]:
    run = "from nas.cli.app import main; main()"
    arguments = ["supernet", "train", "mine.py", "--out", "net", "--steps", str(steps), "--json"]
    return subprocess.Popen(
        [sys.executable, "-c", run, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STUDY)
    process = _train(tmp_path, 200)
    deadline = time.monotonic() + 300
    while not (tmp_path / "net" / "checkpoint.npz").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "net" / "supernet.npz").exists()

    other = _train(tmp_path, 100)
    out, err = other.communicate(timeout=300)
    assert other.returncode == RunError.exit_code
    assert "trained for another schedule" in err
    assert err.strip().count("\n") == 0

    again = _train(tmp_path, 200)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    told = data_of(out, "supernet-train")
    assert told["spec"]["schedule"]["steps"] == 200
    assert told["cost"]["cpu_seconds"] > 0
    assert sorted(path.name for path in (tmp_path / "net").glob("[!.]*")) == [
        "supernet.json",
        "supernet.npz",
    ]
    as_json = CliRunner().invoke(app, ["supernet", "show", str(tmp_path / "net"), "--json"])
    assert data_of(as_json.output, "supernet-show")["key"] == told["key"]
    shown = CliRunner().invoke(app, ["supernet", "show", str(tmp_path / "net")])
    assert f"supernet {told['key']}" in shown.output
    assert "widths 4|8" in shown.output


@pytest.mark.parametrize(
    "options", [["--until-converged"], ["--looks", "6"], ["--learn-from", "runs/other"]]
)
def test_what_only_a_sampler_can_follow_is_refused(tmp_path: Path, options: list[str]) -> None:
    asked = ["search", "quickstart", "--supernet", *options, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, asked)
    assert f"{' '.join(options)}: a supernet chooses the candidates" in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_studies_without_a_supernet(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["search", "portable", "--supernet", "--out", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "'portable' trains nothing" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
    done = CliRunner().invoke(app, ["supernet", "show", str(tmp_path / "none")])
    assert isinstance(done.exception, RunError)
    assert "train one with `nas supernet train STUDY`" in str(done.exception)
