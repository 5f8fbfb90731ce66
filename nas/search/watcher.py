"""What a search tells whoever looks on."""

from __future__ import annotations

from typing import Protocol

from nas.execution.trial.task import TrialProgress
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult


class Watcher(Protocol):
    """Somebody who looks on; see `nas.cli.live`."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """The data is being packed."""
        ...

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        """The search starts, or goes on, with these trials finished before."""
        ...

    def progress(self, progress: TrialProgress) -> None:
        """A running trial got on."""
        ...

    def finished(self, result: TrialResult) -> None:
        """A trial ended."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line that is about no trial."""
        ...


class NobodyWatches:
    """A watcher that shows nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """See `Watcher`."""

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        """See `Watcher`."""

    def progress(self, progress: TrialProgress) -> None:
        """See `Watcher`."""

    def finished(self, result: TrialResult) -> None:
        """See `Watcher`."""

    def note(self, text: str) -> None:
        """See `Watcher`."""
