import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas.data import open_dataset
from nas.errors import RunError
from nas.execution.in_process import InProcessExecutor
from nas.execution.leases import ATTEMPTS
from nas.execution.processes import process_executor
from nas.execution.trial.task import TrialProgress, TrialTask
from nas.networks.candidate import Candidate
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Subject
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
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
    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise cannot_write(Path("there"), OSError(errno.ENOSPC, ""))


def _task(tmp_path: Path, number: int, **changes: Any) -> TrialTask:
    study = small_study(constraints=STOP, **changes)
    candidate = Candidate(UNet(widths=(4 + 4 * number, 8), convolutions=1, first_kernel=3))
    dataset = open_dataset("photos")
    return TrialTask(number, candidate, {}, study, dataset, {}, RunFolder(tmp_path / "run"))


def _run(executor: Any, tasks: list[TrialTask]) -> dict[int, TrialResult]:
    try:
        for task in tasks:
            executor.submit(task)
        results = [executor.next() for _ in tasks]
    finally:
        executor.close()
    return {result.number: result for result in results}


def test_both_executors_give_the_same_results(tmp_path: Path) -> None:
    tasks = [_task(tmp_path, number) for number in range(5)]
    heard: list[TrialProgress] = []
    pool = _run(process_executor(2, heard.append, 1, networks=False), tasks)
    assert {p.number for p in heard} == set(range(5))
    here = _run(InProcessExecutor(heard.append, 1), tasks)
    assert [r.metrics for _, r in sorted(pool.items())] == [
        r.metrics for _, r in sorted(here.items())
    ]
    assert all(result.state == "infeasible" for result in pool.values())
    assert RunFolder(tmp_path / "run").read_result(3) == here[3]


def test_a_killed_worker_is_replaced_and_its_trial_tried_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    heard: list[TrialProgress] = []
    tasks = [_task(tmp_path, 0, evaluators=(Kills(str(marks), 1),)), _task(tmp_path, 1)]
    results = _run(process_executor(2, heard.append, 1, networks=False), tasks)
    assert results[0].state == results[1].state == "infeasible"
    again = [p for p in heard if p.stage == "again"]
    assert [p.note for p in again] == [
        f"its process was killed by signal 9; attempt 2 of {ATTEMPTS}"
    ]


def test_a_candidate_that_always_kills_its_worker_is_a_failed_trial(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    tasks = [_task(tmp_path, 0, evaluators=(Kills(str(marks), 99),)), _task(tmp_path, 1)]
    results = _run(process_executor(1, lambda progress: None, 1, networks=False), tasks)
    failure = results[0].failure
    assert failure is not None
    assert failure.kind == "WorkerDied"
    assert "signal 9 in each of 3 attempts" in failure.message
    assert results[1].state == "infeasible"
    assert RunFolder(tmp_path / "run").read_result(0) == results[0]


@pytest.mark.parametrize(
    "make", [InProcessExecutor, lambda r, t: process_executor(1, r, t, networks=False)]
)
def test_a_folder_that_cannot_be_written_stops_the_search(tmp_path: Path, make: Any) -> None:
    task = _task(tmp_path, 0, evaluators=(FullDisk(),))
    with pytest.raises(RunError, match="the disk is full"):
        _run(make(lambda progress: None, 1), [task])
