"""A search that takes a second, one that is interrupted, and what a run's folder has of it."""

import json
from pathlib import Path
from typing import Any

from nas.search.watcher import NobodyWatches
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from tests.helpers.small_study import small_study

STOP = ("psnr_db>=1000",)  # every candidate ends after the first stage


def quick_study(**changes: Any) -> Study:
    """A study whose trials take no training."""
    return small_study(**({"constraints": STOP} | changes))


class Stops(NobodyWatches):
    """Ctrl-C after `count` trials."""

    def __init__(self, count: int) -> None:
        self.count = count

    def finished(self, result: TrialResult) -> None:
        self.count -= 1
        if self.count == 0:
            raise KeyboardInterrupt


class Hears(NobodyWatches):
    """Keeps what a search notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def keys(folder: Path) -> list[str]:
    """The keys of a run's candidates, by number."""
    paths = sorted(folder.glob("trials/*/result.json"))
    return [json.loads(path.read_text())["key"] for path in paths]
