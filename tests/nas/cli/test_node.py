"""What `nas node` refuses before it starts anything; tests/nas/execution/ray starts nodes."""

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, DataError


def test_a_folder_that_is_not_mounted_is_told(tmp_path) -> None:
    ran = CliRunner().invoke(app, ["node", "--run", str(tmp_path / "absent")])
    with pytest.raises(ConfigError, match="absent: no folder here that can be written; mount it"):
        raise ran.exception


def test_pictures_that_are_not_here_are_told(tmp_path) -> None:
    ran = CliRunner().invoke(app, ["node", "--data", f"reds:{tmp_path / 'absent'}"])
    with pytest.raises(DataError, match="absent"):
        raise ran.exception
