"""What a shell is offered for values."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.cli import complete
from tests.helpers.fake_run import make_run
from tests.nas.cli.test_commands import completion


def test_values_are_those_that_commands_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")  # nobody answers there
    Path("mine.py").touch()
    assert complete.studies("q") == ["quickstart"]
    assert "mine.py" in complete.studies("")
    assert complete.devices("npu:sm86") == ["npu:sm8650"]
    assert complete.devices("paper:p") == ["paper:pixel-4"]
    assert complete.devices("h") == ["host"]
    assert "unet-resizebilinear-relu" in complete.networks("unet-")
    assert complete.precisions("int8") == ["int8-ptq", "int8-qat"]
    assert complete.states("f") == ["failed"]
    assert complete.data_sets("r") == ["reds:"]
    assert "pareto" in complete.kinds("p")


def test_runs_and_their_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(Path("runs") / "a", 30)
    assert complete.runs("runs/") == ["runs/a"]
    asked = SimpleNamespace(params={"run": run.path})
    assert "latency_ms[host]=" in complete.budgets(asked, "lat")
    assert complete.budgets(asked, "psnr") == []
    assert "psnr_db" in complete.figures(asked, "psnr")
    assert complete.figures(SimpleNamespace(params={"run": tmp_path / "no"}), "") == []


def test_a_shell_gets_them() -> None:
    assert "quickstart" in completion("nas search quick")
    assert "quickstart" not in completion("nas search port")
