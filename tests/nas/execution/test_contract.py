"""What a search may expect of whoever runs its trials: the same of every executor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.data import open_dataset
from nas.errors import RunError
from nas.execution.executor import Executor
from nas.execution.in_process import InProcessExecutor
from nas.execution.processes import process_executor
from nas.execution.trial.task import TrialProgress, TrialTask
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from tests.helpers.small_study import Formulas
from tests.helpers.trials import FullDisk, Refuses, small_task

Make = Callable[..., Executor]


@pytest.fixture(params=["in this process", "in processes", "on a cluster"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make an executor for the tasks of a study; `heard` gets what trials report."""

    def make(task: TrialTask, heard: list[TrialProgress] | None = None) -> Executor:
        report = (heard if heard is not None else []).append
        if request.param == "in this process":
            return InProcessExecutor(report, 1)
        if request.param == "in processes":
            return process_executor(2, report, 1, networks=False)
        from nas.execution.ray.crew import ray_executor

        address = request.getfixturevalue("cluster")
        dataset = open_dataset("photos")
        notes: list[str] = []
        return ray_executor(address, task.study, 1, task.run, dataset, report, notes.append)[0]

    return make


def results_of(executor: Executor, tasks: list[TrialTask]) -> dict[int, TrialResult]:
    """Submit the tasks and take as many results, by number."""
    try:
        for task in tasks:
            executor.submit(task)
        results: list[Any] = [executor.next() for _ in tasks]
    finally:
        executor.close()
    return {result.number: result for result in results}


def test_each_task_has_its_result_and_the_figures_of_the_formula(
    make: Make, tmp_path: Path
) -> None:
    tasks = [small_task(tmp_path / "run", number) for number in range(4)]
    results = results_of(make(tasks[0]), tasks)
    assert sorted(results) == [0, 1, 2, 3]
    for task in tasks:
        macs = task.candidate.architecture.graph().macs(*task.study.size[::-1]).conv
        assert results[task.number].key == task.candidate.key
        assert results[task.number].state == "infeasible"
        assert results[task.number].value("psnr_db") == 20 + (macs % 97) / 10
        assert results[task.number].violations == pytest.approx(
            {"psnr_db>=1000": 1 - results[task.number].value("psnr_db") / 1000}
        )


def test_a_result_is_written_before_it_is_returned(make: Make, tmp_path: Path) -> None:
    task = small_task(tmp_path / "run", 3)
    executor = make(task)
    try:
        executor.submit(task)
        result = executor.next()
        assert RunFolder(tmp_path / "run").read_result(3) == result
    finally:
        executor.close()


def test_every_trial_reports_where_it_stands(make: Make, tmp_path: Path) -> None:
    tasks = [small_task(tmp_path / "run", number) for number in range(3)]
    heard: list[TrialProgress] = []
    results_of(make(tasks[0], heard), tasks)
    assert {progress.number for progress in heard} == {0, 1, 2}


def test_a_candidate_that_fails_is_a_result_and_the_others_go_on(
    make: Make, tmp_path: Path
) -> None:
    failing = small_task(tmp_path / "run", 0, evaluators=(Refuses(),))
    results = results_of(make(failing), [failing, small_task(tmp_path / "run", 1)])
    assert results[0].state == "failed"
    assert results[0].failure is not None
    assert results[0].failure.kind == "ConversionError"
    assert results[0].failure.message == "PRELU has no int16 form"
    assert results[1].state == "infeasible"


def test_a_folder_that_cannot_be_written_stops_the_search(make: Make, tmp_path: Path) -> None:
    task = small_task(tmp_path / "run", 0, evaluators=(FullDisk(),))
    executor = make(task)
    with pytest.raises(RunError, match="the disk is full"):
        results_of(executor, [task])
    assert RunFolder(tmp_path / "run").results() == []


def test_what_is_not_finished_has_no_result_when_it_is_closed(make: Make, tmp_path: Path) -> None:
    tasks = [small_task(tmp_path / "run", number, evaluators=(Formulas(),)) for number in range(2)]
    executor = make(tasks[0])
    executor.submit(tasks[0])
    first = executor.next()
    executor.close()
    assert isinstance(first, TrialResult)
    assert RunFolder(tmp_path / "run").finished_numbers() == {0}
