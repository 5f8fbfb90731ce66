"""Threads that share a sampler or a study: no trial is seen half, no candidate drawn twice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from nas.sampling import EhviSampler
from nas.sampling import threads as sharing
from nas.sampling.reading import Reading
from nas.sampling.threads import Recent, one_thread
from tests.helpers.sampler_contract import Make, check, every_sampler, levels_of, plain, studied

optuna.logging.set_verbosity(optuna.logging.ERROR)


@every_sampler
@pytest.mark.parametrize("jobs", [2, 4, 8])
def test_quick_objectives(make: Make, jobs: int) -> None:
    study = studied(make())
    study.optimize(plain, 48, n_jobs=jobs)
    check(study, 48)


@every_sampler
def test_studies_that_share_a_sampler(make: Make) -> None:
    sampler = make()
    studies = [studied(sampler) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda study: study.optimize(plain, 16, n_jobs=2), studies))
    for study in studies:
        check(study, 16)


def test_a_trial_that_its_own_thread_is_changing_is_seen_whole_or_not_at_all() -> None:
    study = studied(EhviSampler(seed=0))
    study.ask()
    live = study._storage.get_trial(0)
    live.distributions["width"] = IntDistribution(1, 4)  # as Optuna does before the value
    reading = Reading()
    (seen,) = reading.trials(study)
    assert (seen.params, seen.distributions) == ({}, {})
    live.params["width"] = 2
    (later,) = reading.trials(study)
    assert later.params == {"width": 2}
    assert later.distributions == {"width": IntDistribution(1, 4)}
    assert seen.params == {}  # what was looked at stays as it was


def test_no_candidate_comes_twice_in_threads() -> None:
    study = studied(EhviSampler(seed=0, n_startup_trials=4))
    study.optimize(plain, 1)  # before that nobody knows the space
    waiting = threading.Barrier(3)

    def objective(trial: Any) -> tuple[float, float]:
        waiting.wait(60)  # three threads ask for a suggestion at once
        return plain(trial)

    study.optimize(objective, 15, n_jobs=3)
    check(study, 16)
    assert len(levels_of(study, ["width", "kind"])) == 16  # all that there are


def test_what_another_thread_is_about_to_try_counts_as_running() -> None:
    study = studied(EhviSampler(seed=0, n_startup_trials=4))
    study.optimize(plain, 6)
    trial = study.ask()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: trial.suggest_int("width", 8, 64, step=8)).result()
    sampler = study.sampler
    assert isinstance(sampler, EhviSampler)
    seen = sampler._reading.trials(study)[6]
    assert seen.params.keys() == {"width", "kind"}
    assert seen.params["width"] == trial.params["width"]
    assert study.get_trials(deepcopy=False)[6].params.keys() == {"width"}  # in the storage
    assert trial.suggest_categorical("kind", ("a", "b")) == seen.params["kind"]


def test_parameters_drawn_on_their_own_do_not_depend_on_other_trials_between() -> None:
    def drawn(together: bool) -> list[dict[str, Any]]:
        study = studied(EhviSampler(seed=5), 1)
        trials = []
        for _ in range(3):
            trials.append(study.ask())
            for name in () if together else "abc":
                trials[-1].suggest_float(name, 0, 1)
        for name in "abc" if together else ():
            for trial in trials:
                trial.suggest_float(name, 0, 1)
        return [trial.params for trial in trials[:1]]

    assert drawn(True) == drawn(False)
    values = list(drawn(True)[0].values())
    assert len(set(values)) == 3


def test_threads_of_libraries_are_what_they_were_however_threads_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = [4]
    monkeypatch.setattr(
        sharing, "_libraries", lambda: [(lambda: count[0], lambda n: count.__setitem__(0, n))]
    )
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    assert count == [1]
    first.__exit__(None, None, None)  # the first one in is the first one out
    assert count == [1]
    second.__exit__(None, None, None)
    assert count == [4]


def test_values_made_once_are_right_in_threads() -> None:
    recent: Recent[bytes] = Recent(2)
    made: list[int] = []

    def make(n: int) -> bytes:
        made.append(n)
        time.sleep(0)
        return bytes([n])

    with ThreadPoolExecutor(8) as pool:
        keys = [n % 5 for n in range(400)]
        found = pool.map(lambda n: recent.of((bytes([n]),), lambda: make(n)), keys)
        assert list(found) == [bytes([n]) for n in keys]
    made.clear()
    for n in (1, 2, 1, 3, 1):
        recent.of((bytes([n]),), lambda n=n: make(n))  # type: ignore[misc]
    assert made.count(1) <= 1
    assert made[-1] == 3


def test_a_suggestion_that_fails_holds_nothing_up() -> None:
    def broken(trials: Any) -> Any:
        raise RuntimeError("no corner")

    study = studied(EhviSampler(seed=0, n_startup_trials=2, reference=broken))
    study.optimize(plain, 8, n_jobs=2, catch=(RuntimeError,))
    check(study, 8, None)
    assert TrialState.RUNNING not in {trial.state for trial in study.trials}
