import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError


def _fails(*arguments: str) -> BaseException:
    done = CliRunner().invoke(app, ["paper", *arguments])
    assert done.exception is not None
    return done.exception


def test_wrong_values_are_named_before_any_work(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "run"))
    error = _fails("--scale", "smoek", *out)
    assert isinstance(error, ConfigError)
    assert str(error) == "unknown scale 'smoek'. Did you mean 'smoke'? Valid: paper, short, smoke"
    assert "Valid: measured, paper" in str(_fails("--select", "best", *out))
    assert "needs the results of step 1" in str(_fails("--step", "3", *out))
    assert "trains on REDS" in str(_fails("--scale", "paper", "--workers", "1", *out))
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_report_of_no_run_is_an_error(tmp_path: Path) -> None:
    error = _fails("report", str(tmp_path))
    assert isinstance(error, RunError)
    assert "is no run's folder" in str(error)


@pytest.mark.parametrize("words", [("paper", "--help"), ("paper", "report", "--help")])
def test_help_loads_no_tensorflow(words: tuple[str, ...]) -> None:
    code = (
        "import sys; from nas.cli.app import app\n"
        f"try: app({list(words)!r})\n"
        "finally: print({'tensorflow', 'optuna', 'plotly'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "paper" in done.stdout
