"""A change of one choice of a network, as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One choice of an architecture that is made otherwise.

    It has the choice's name, both values in words, and the changed architecture as JSON.
    """

    what: str
    before: str
    after: str
    architecture: dict[str, Any]


Suggest = Callable[[Mapping[str, Any]], Iterable[Change]]
"""Gives the changes of an architecture, which it is told as JSON."""
