"""What `nas predictor` refuses before it measures; tests/nas/predictor fits and checks one."""

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--study", "quickstrat"], "Did you mean 'quickstart'"),
        (["fit", "--networks", "0"], "0"),
        (["fit", "--delegate", "gpu"], "are for phones"),
        (["check", "--size", "640"], "expected WIDTHxHEIGHT"),
    ],
)
def test_wrong_options_are_told(arguments: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, ["predictor", *arguments])
    with pytest.raises(ConfigError, match=message):
        raise ran.exception


def test_a_check_of_one_network_is_no_check() -> None:
    ran = CliRunner().invoke(app, ["predictor", "check", "--networks", "1"])
    assert ran.exit_code == 2
    assert "greater than or equal to 2" in ran.stderr
