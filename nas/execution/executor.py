"""Who runs trials: the `Executor` that a search hands them to."""

from __future__ import annotations

from typing import Protocol

from nas.execution.trial.task import TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.study.trial_result import Failure, TrialResult


class Executor(Protocol):
    """Runs trials."""

    def submit(self, task: TrialTask) -> None:
        """Take a task; it starts as soon as there is room."""
        ...

    def next(self) -> TrialResult | WaitingTrial | None:
        """Wait for the next trial to end or to rest; None where workers have long been waiting.

        Raises RunError where the run's folder can't be written, or no worker can be had.
        """
        ...

    def close(self) -> None:
        """Stop whatever runs. What is not finished goes on when the run is resumed."""
        ...


def failed_trial(task: TrialTask, kind: str, message: str) -> TrialResult:
    """The result of a trial that could not even say why it failed, written to the run's folder."""
    result = TrialResult(
        number=task.number,
        key=task.candidate.key,
        label=task.candidate.label,
        candidate=task.candidate.to_dict(),
        parameters=task.parameters,
        state="failed",
        failure=Failure(kind, message),
        baseline=task.baseline,
    )
    task.run.write_result(result)
    return result
