"""`nas search` as its user runs it: a process, real trainings, real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.envelope import data_of

STUDY = """
from evaluators import Cost, Latency, Quality
from nas.devices import TimingProtocol
from nas.training.schedule import Schedule
from nas.study.study import Study
from search_spaces import CompressionSpace, UNetSpace

STUDY = Study(
    name="mine",
    description="A user's own study.",
    space=UNetSpace(levels=(2,), widths=(8, 12), convolutions=(1,), first_kernel=(5,),
                    activation=("prelu",),
                    global_residual=(True,)),
    compression=CompressionSpace(("float", "int8-ptq")),
    schedule=Schedule(steps=100, batch=4, patch=24, learning_rate=5e-3, warmup_steps=5,
                      decay="cosine", clip_norm=0.1, identity_start=True),
    evaluators=(Cost(), Latency(TimingProtocol(launches=2, runs=2, threads=1)), Quality()),
    size=(320, 256),
    trials=4,
    seed=3,
)
"""


def _nas(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from nas.cli.app import main; main()", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def _run(*arguments: str, folder: Path) -> tuple[int, str, str]:
    process = _nas(*arguments, folder=folder)
    out, err = process.communicate(timeout=1200)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> tuple[Path, str]:
    """A run whose search was killed twice, and what the last start printed."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "mine.py").write_text(STUDY)
    for wanted in (1, 2):
        process = _nas("search", "mine.py", "--out", "run", "--workers", "2", folder=folder)
        deadline = time.monotonic() + 600
        while len(list(folder.glob("run/trials/*/result.json"))) < wanted:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    code, out, err = _run("search", "mine.py", "--out", "run", "--workers", "2", folder=folder)
    assert code == 0, err
    assert out == ""
    return folder, err


def test_a_search_that_was_killed_twice_loses_and_doubles_nothing(
    killed_run: tuple[Path, str],
) -> None:
    folder, err = killed_run
    results = [
        json.loads(path.read_text()) for path in sorted(folder.glob("run/trials/*/result.json"))
    ]
    assert [result["state"] for result in results] == ["complete"] * 4
    assert len({result["key"] for result in results}) == 4
    assert "4 trials" in err
    assert "of them done before" in err
    assert "Traceback" not in err
    assert "WARNING" not in err


@pytest.mark.slow
def test_the_same_seed_gives_the_same_candidates_and_psnr(killed_run: tuple[Path, str]) -> None:
    folder, _ = killed_run
    code, _, err = _run("search", "mine.py", "--out", "again", "--workers", "1", folder=folder)
    assert code == 0, err

    def figures(run: str) -> list[tuple[str, float]]:
        results = [json.loads(p.read_text()) for p in sorted(folder.glob(f"{run}/trials/*/*.json"))]
        return [(result["key"], result["metrics"]["psnr_db"]["value"]) for result in results]

    assert figures("run") == figures("again")


def test_its_front_is_listed_and_reported(killed_run: tuple[Path, str]) -> None:
    folder, _ = killed_run
    code, out, err = _run("pareto", "run", "--json", folder=folder)
    assert code == 0, err
    models = data_of(out, "pareto")["models"]
    wanted = {"key", "architecture", "precision", "psnr_db", "ssim", "gmacs", "latency_ms"}
    assert all(wanted | {"artifact"} <= model.keys() for model in models)
    assert all((folder / model["artifact"]).is_file() for model in models)


def test_another_option_on_the_same_folder_is_one_clear_line(
    killed_run: tuple[Path, str],
) -> None:
    folder, _ = killed_run
    code, out, err = _run("search", "mine.py", "--out", "run", "--size", "64x64", folder=folder)
    assert code == 4
    assert out == ""
    stage, error = err.strip().splitlines()
    assert stage.endswith("opening the pictures and the devices")
    assert "size: the run has [320, 256], asked for is [64, 64]" in error
