"""Collects what is wrong with a data set, and the files that were passed over in its folders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """A fault of a data set, in words.

    A data set with an "error" can't be used; with a "warning" it can.
    """

    severity: Severity
    what: str


class Problems:
    """Collects problems, and files that were passed over, each path once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}  # a folder may be listed twice, but is told once
        self._passed: dict[Path, str] = {}

    @property
    def found(self) -> tuple[Problem, ...]:
        """The problems, in the order in which they were reported."""
        return tuple(self._found)

    def error(self, what: str) -> None:
        """Report a problem that makes the data set unusable."""
        self._found[Problem("error", what)] = None

    def warn(self, what: str) -> None:
        """Report a problem that a person should know, though the data set can be used."""
        self._found[Problem("warning", what)] = None

    def pass_over(self, path: Path, kind: str) -> None:
        """Report a file or folder that is no picture of the data set, with its kind."""
        self._passed[path] = kind

    @property
    def passed_over(self) -> dict[str, int]:
        """The numbers of files and folders that were passed over, by kind, the most
        frequent first.
        """
        return dict(Counter(self._passed.values()).most_common())
