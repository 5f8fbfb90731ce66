"""Delegates as texts."""

from __future__ import annotations

import pytest

from nas.devices.delegate import DELEGATES, Delegate
from nas.errors import ConfigError


@pytest.mark.parametrize("text", ["nnap", "external", "gpu:1", "", "external:"])
def test_wrong_delegates(text: str) -> None:
    with pytest.raises(ConfigError, match="delegate"):
        Delegate.parse(text)


def test_near_delegates_are_named() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'nnapi'\?") as caught:
        Delegate.parse("nnap")
    assert all(name in str(caught.value) for name in DELEGATES)
