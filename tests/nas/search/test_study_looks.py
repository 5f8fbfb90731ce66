"""Looks in a search: what they tell, how many there may be, and what is wrong with them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nas.data import open_dataset
from nas.errors import DeviceStableError
from nas.execution.look import LookFound, looked_at
from nas.execution.trial.task import TrialTask
from nas.networks.candidate import Candidate
from nas.sampling.looks import KEY, LookRecord
from nas.search import study_looks
from nas.search.study_looks import SECONDS, StudyLooks, looks_are_useful, threads_for
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.study import Study
from tests.helpers.small_study import Formulas, small_study


@dataclass(frozen=True)
class Refuses:
    """A device that runs nothing."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ()

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise DeviceStableError("it has no such operation")

    def to_dict(self) -> dict[str, Any]:
        return {"name": "refuses"}


def task_of(study: Study, folder: Path, candidate: Candidate) -> TrialTask:
    dataset = open_dataset("photos")
    return TrialTask(0, candidate, {}, study, dataset, {}, RunFolder(folder))


def candidate_of(study: Study) -> tuple[Candidate, dict[str, Any]]:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
    return study.sample(trial), dict(trial.params)


@pytest.fixture
def looks(tmp_path: Path) -> Iterator[StudyLooks]:
    study = small_study(startup_trials=2)
    notes: list[str] = []
    made = StudyLooks(
        study, tmp_path, lambda c, p: task_of(study, tmp_path, c), notes.append, limit_s=60
    )
    made.notes = notes  # type: ignore[attr-defined]
    yield made
    made.close()


def told(seconds: float, *looked: float) -> FrozenTrial:
    records = [LookRecord({}, {1: 1.0}, False, one).to_json() for one in looked]
    return optuna.trial.create_trial(
        value=1.0, user_attrs={SECONDS: seconds}, system_attrs={KEY: records}
    )


def test_a_look_tells_the_costs_that_a_trial_measures(tmp_path: Path) -> None:
    study = small_study()
    candidate, _ = candidate_of(study)
    found = looked_at(task_of(study, tmp_path, candidate), tmp_path, lambda: None)
    macs = candidate.architecture.graph().macs(32, 64).conv
    assert found.figures["latency_ms[host]"] == macs / 1e6
    assert (found.refused, found.missing) == ("", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluators": (Formulas(), Refuses())}, "it has no such operation"),
        ({"constraints": ("psnr_db>=1000",)}, "breaks psnr_db>=1000"),
    ],
)
def test_what_refuses_a_candidate_is_told(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    study = small_study(**changes)
    candidate, _ = candidate_of(study)
    found = looked_at(task_of(study, tmp_path, candidate), tmp_path, lambda: None)
    assert found.refused == said


def test_a_process_of_its_own_answers_and_the_run_counts(looks: StudyLooks, tmp_path: Path) -> None:
    study = small_study()
    candidate, parameters = candidate_of(study)
    answer = looks(parameters)
    macs = candidate.architecture.graph().macs(32, 64).conv
    assert answer is not None
    assert answer[1] == macs / 1e6
    totals = RunFolder(tmp_path).looks()
    assert (totals.count, totals.refused) == (1, 0)
    assert str(totals).startswith("1 look in ")
    (line,) = (tmp_path / "looks.jsonl").read_text().splitlines()
    assert json.loads(line)["key"] == candidate.key


class Answers:
    """Takes the place of a process that looks."""

    def __init__(self, answer: LookFound | Exception) -> None:
        self.answer, self.asks, self.ended = answer, 0, 0

    def started(self, module: str) -> Answers:
        return self

    def asked(self, question: tuple[TrialTask, Path], limit_s: float) -> LookFound:
        self.asks += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def end(self) -> None:
        self.ended += 1


def test_a_look_that_hangs_is_ended_and_nobody_is_kept_waiting_again(
    looks: StudyLooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = Answers(TimeoutError("it took more than 60 s"))
    monkeypatch.setattr(study_looks, "AnsweringProcess", hangs)
    _, parameters = candidate_of(small_study())
    assert looks(parameters) is None
    assert looks(parameters) is None
    assert (hangs.asks, hangs.ended) == (1, 1)
    (note,) = looks.notes  # type: ignore[attr-defined]
    assert note == "a look at a candidate had no answer (TimeoutError: it took more than 60 s)"
    assert str(looks_of_run(looks)).endswith("(1 without an answer)")


def test_a_process_that_dies_is_started_again(
    looks: StudyLooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = Answers(EOFError())
    monkeypatch.setattr(study_looks, "AnsweringProcess", dies)
    _, parameters = candidate_of(small_study())
    assert looks(parameters) is None
    dies.answer = LookFound({"latency_ms[host]": 3.0})
    assert looks(parameters) == {1: 3.0}
    assert dies.ended == 1


def test_a_refused_candidate_costs_infinitely_much(
    looks: StudyLooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_looks, "AnsweringProcess", Answers(LookFound({}, refused="no PReLU")))
    _, parameters = candidate_of(small_study())
    assert looks(parameters) == {0: math.inf}
    assert str(looks_of_run(looks)).endswith("(1 refused)")


def looks_of_run(looks: StudyLooks) -> Any:
    return RunFolder(looks._folder).looks()


def test_looks_take_no_more_than_their_share(looks: StudyLooks) -> None:
    assert looks.allowed([]) == 0
    assert looks.allowed([told(10.0)]) == 0  # one of two first trials
    assert looks.allowed([told(10.0), told(10.0)]) == 1  # nobody knows what a look takes
    trials = [told(10.0), told(10.0, 1.0)]
    assert looks.allowed(trials) == 3  # a fifth of 20 s, less the second that is spent
    assert looks.allowed([*trials, told(10.0, 1.0, 1.0, 1.0)]) == 2
    assert looks.allowed([told(10.0), told(10.0, 30.0)]) == 0  # a slow phone
    assert looks.allowed([told(1e4), told(1e4, 1.0)]) == 6
    running = optuna.trial.create_trial(state=TrialState.RUNNING)
    assert looks.allowed([*trials, running]) == 3


def test_where_looks_are_of_use() -> None:
    study = small_study()
    assert not looks_are_useful(study)  # it trains nothing: a trial is a look
    assert threads_for(study) == 1  # the host's timings disturb each other
    assert threads_for(small_study(devices=("npu:sm8650",))) > 0


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    good = json.dumps({"seconds": 2.0, "refused": ""})
    (tmp_path / "looks.jsonl").write_text(f'{good}\nrubbish\n{{"seconds": null}}\n{good[:9]}')
    assert RunFolder(tmp_path).looks().count == 1


def test_the_worker_needs_no_tensorflow_before_it_converts() -> None:
    code = "import nas.execution.look_worker, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
