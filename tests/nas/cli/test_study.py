"""`nas study` and `nas dashboard`; tests/nas/storage moves studies between stores."""

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["a", "b"], "a and b: one must be a run's folder and the other a database's URL"),
        (
            ["postgresql://x/y", "postgresql://x/z"],
            "one must be a run's folder and the other a database's URL",
        ),
    ],
)
def test_a_copy_needs_one_folder_and_one_database(places: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, ["study", "copy", *places])
    with pytest.raises(ConfigError, match=message):
        raise ran.exception


@pytest.mark.parametrize("command", [["study", "send"], ["dashboard"]])
def test_a_folder_without_a_run_is_told(command: list[str], tmp_path) -> None:
    ran = CliRunner().invoke(app, [*command, str(tmp_path / "nothing")])
    with pytest.raises(RunError, match="no run"):
        raise ran.exception
