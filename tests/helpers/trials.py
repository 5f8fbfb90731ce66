"""Trials for tests of whoever runs them: evaluators that misbehave, tasks of small candidates."""

import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.data import open_dataset
from nas.errors import ConversionError
from nas.execution.trial.task import TrialTask
from nas.networks.candidate import Candidate
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Subject
from nas.study.metric import Metric
from nas.system.files import cannot_write
from search_spaces import UNet
from tests.helpers.small_study import Formulas, small_study

STOP = ("psnr_db>=1000",)  # every candidate ends after the first stage


@dataclass(frozen=True)
class Kills(Formulas):
    """Kills its process the first `times` times."""

    marks: str = ""
    times: int = 0

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        marks = Path(self.marks)
        died = len(list(marks.iterdir()))
        if died < self.times:
            (marks / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(subject)


@dataclass(frozen=True)
class FullDisk(Formulas):
    """Finds no room on the disk."""

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise cannot_write(Path("there"), OSError(errno.ENOSPC, ""))


@dataclass(frozen=True)
class Refuses(Formulas):
    """Can't convert any candidate."""

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise ConversionError("PRELU has no int16 form")


def small_task(run: Path, number: int, **changes: Any) -> TrialTask:
    """The task of a small candidate, another one for each number, that ends after its cost."""
    study = small_study(constraints=STOP, **changes)
    candidate = Candidate(UNet(widths=(4 + 4 * number, 8), convolutions=1, first_kernel=3))
    return TrialTask(number, candidate, {}, study, open_dataset("photos"), {}, RunFolder(run))
