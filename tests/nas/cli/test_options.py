import pytest

from nas.cli.options import use_limits
from nas.devices.phone.fitness import LIMITS_VARIABLE
from nas.errors import ConfigError


def test_limits_reach_the_processes_that_are_started(monkeypatch) -> None:
    import os

    monkeypatch.setenv(LIMITS_VARIABLE, "thermal=2")
    assert use_limits(["battery=30", "load=0.5"]) == ["battery=30", "load=0.5"]
    assert os.environ[LIMITS_VARIABLE] == "thermal=2,battery=30,load=0.5"


def test_no_limit_changes_nothing(monkeypatch) -> None:
    import os

    monkeypatch.delenv(LIMITS_VARIABLE, raising=False)
    assert use_limits(None) is None
    assert LIMITS_VARIABLE not in os.environ


def test_an_unknown_limit_is_told(monkeypatch) -> None:
    monkeypatch.setenv(LIMITS_VARIABLE, "")
    with pytest.raises(ConfigError, match="batery"):
        use_limits(["batery=30"])
