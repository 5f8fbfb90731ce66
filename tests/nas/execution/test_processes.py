from pathlib import Path
from typing import Any

from nas.execution.leases import ATTEMPTS
from nas.execution.processes import process_executor
from nas.execution.trial.task import TrialProgress, TrialTask
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from tests.helpers.trials import Kills, small_task


def _run(executor: Any, tasks: list[TrialTask]) -> dict[int, TrialResult]:
    try:
        for task in tasks:
            executor.submit(task)
        results = [executor.next() for _ in tasks]
    finally:
        executor.close()
    return {result.number: result for result in results}


def test_a_killed_worker_is_replaced_and_its_trial_tried_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    heard: list[TrialProgress] = []
    tasks = [
        small_task(tmp_path / "run", 0, evaluators=(Kills(str(marks), 1),)),
        small_task(tmp_path / "run", 1),
    ]
    results = _run(process_executor(2, heard.append, 1, networks=False), tasks)
    assert results[0].state == results[1].state == "infeasible"
    again = [p for p in heard if p.stage == "again"]
    assert [p.note for p in again] == [
        f"its process was killed by signal 9; attempt 2 of {ATTEMPTS}"
    ]


def test_a_candidate_that_always_kills_its_worker_is_a_failed_trial(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    tasks = [
        small_task(tmp_path / "run", 0, evaluators=(Kills(str(marks), 99),)),
        small_task(tmp_path / "run", 1),
    ]
    results = _run(process_executor(1, lambda progress: None, 1, networks=False), tasks)
    failure = results[0].failure
    assert failure is not None
    assert failure.kind == "WorkerDied"
    assert "signal 9 in each of 3 attempts" in failure.message
    assert results[1].state == "infeasible"
    assert RunFolder(tmp_path / "run").read_result(0) == results[0]
