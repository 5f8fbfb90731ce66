"""What a search tells whoever looks on."""

from __future__ import annotations

from typing import Protocol

from nas.execution.trial.task import TrialProgress
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult


class Watcher(Protocol):
    """Somebody who watches a search, such as the live view of `nas.cli.live`."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Note that data is being packed: `done` of `total`."""
        ...

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        """Note that the search starts, or goes on, with these results of earlier trials."""
        ...

    def progress(self, progress: TrialProgress) -> None:
        """Note how far a running trial is."""
        ...

    def finished(self, result: TrialResult) -> None:
        """Note that a trial ended."""
        ...

    def note(self, text: str) -> None:
        """Note a line that is about no trial."""
        ...


class NobodyWatches:
    """A watcher that shows nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show nothing."""

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        """Show nothing."""

    def progress(self, progress: TrialProgress) -> None:
        """Show nothing."""

    def finished(self, result: TrialResult) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""
