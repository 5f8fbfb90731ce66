"""A process that looks at candidates, one after another, until its pipe is closed.

    python -m nas.execution.look_worker DESCRIPTOR

It is a process of its own so that a look that hangs can be ended, and so that the driver needs no
TensorFlow.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nas.execution.look import LookFound, looked_at
from nas.execution.trial.task import TrialTask
from nas.system.answering_process import answer_questions


@cache
def _prepare() -> None:
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(1)


def _look(question: tuple[TrialTask, Path]) -> LookFound:
    task, folder = question
    return looked_at(task, folder, _prepare)


if __name__ == "__main__":
    answer_questions(_look)
