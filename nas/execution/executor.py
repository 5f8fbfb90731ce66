"""Who runs trials: the `Executor` that a search hands them to."""

from __future__ import annotations

from typing import Protocol

from nas.execution.trial.task import TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.study.trial_result import Failure, TrialResult


class Executor(Protocol):
    """Somebody who runs trials: here, in other processes, or on a cluster."""

    def submit(self, task: TrialTask) -> None:
        """Take a task; its trial starts as soon as there is room."""
        ...

    def next(self) -> TrialResult | WaitingTrial | None:
        """Wait until a trial ends or waits at a rung; None where workers have been idle for long.

        Raises RunError where the run's folder can't be written, or no worker can be had.
        """
        ...

    def close(self) -> None:
        """Stop whatever runs. What is not finished goes on when the run is resumed."""
        ...


def failed_trial(task: TrialTask, kind: str, message: str) -> TrialResult:
    """Write and return the result of a trial that could not say itself why it failed."""
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
