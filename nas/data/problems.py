"""What is wrong with a data set, and what was passed over in its folders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something wrong; a data set with an "error" can't be used, with "warning"s it can."""

    severity: Severity
    what: str


class Problems:
    """Collects what is wrong, and what was passed over, each path once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}  # a folder may be listed twice, but is told once
        self._passed: dict[Path, str] = {}

    @property
    def found(self) -> tuple[Problem, ...]:
        """What is wrong, in the order of finding."""
        return tuple(self._found)

    def error(self, what: str) -> None:
        """Something that makes the data set unusable."""
        self._found[Problem("error", what)] = None

    def warn(self, what: str) -> None:
        """Something that a person should know."""
        self._found[Problem("warning", what)] = None

    def pass_over(self, path: Path, kind: str) -> None:
        """A file or folder that is no picture of the data set."""
        self._passed[path] = kind

    @property
    def passed_over(self) -> dict[str, int]:
        """How many files and folders of each kind were passed over, the most frequent first."""
        return dict(Counter(self._passed.values()).most_common())
