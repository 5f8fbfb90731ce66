"""Looks: they help, they are kept, they are counted, and what is wrong with them is survived."""

import math
import re
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from nas.sampling import EhviSampler
from nas.sampling.data import LOOKED, Data, LookedRows
from nas.sampling.history import TrialTable
from nas.sampling.looks import KEY, LookRecord, looks_of
from nas.sampling.losses import Scale
from nas.sampling.space import Encoding
from tests.helpers.toy_search import searched, toy, toy_hypervolume

DIRECTIONS = ["maximize", "minimize"]


def cost(parameters: Any) -> dict[int, float]:
    """The toy's latency, exactly."""
    return {1: toy(optuna.trial.FixedTrial(dict(parameters)))[1]}  # type: ignore[arg-type]


def sampler(**options: Any) -> EhviSampler:
    given = {"seed": 0, "logarithmic": (1,), "n_startup_trials": 4, "look": cost} | options
    return EhviSampler(**given)


def drawn(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def test_looks_find_more_in_as_many_trials() -> None:
    def reached(**options: Any) -> float:
        found = [searched(sampler(seed=s, **options), trials=14) for s in range(3)]
        return float(np.mean([toy_hypervolume(study) for study in found]))

    assert reached() > reached(look=None)


def test_looks_are_kept_with_parameters_and_values() -> None:
    study = searched(sampler(looks=3), trials=9)
    counts = [len(looks_of(trial)) for trial in study.trials]
    assert counts[1:4] == [1, 1, 1]  # a first trial's own cost is looked at
    assert max(counts) == 3
    for trial in study.trials:
        for record in looks_of(trial):
            parameters = {
                name: trial.distributions[name].to_external_repr(level)
                for name, level in record.levels.items()
            }
            assert dict(record.values) == cost(parameters)
            assert record.seconds >= 0
    seen = [tuple(sorted(one.levels.items())) for t in study.trials for one in looks_of(t)]
    assert len(set(seen)) == len(seen)  # nobody looks twice


def test_a_study_that_is_opened_again_draws_the_same_without_looking_again(tmp_path: Path) -> None:
    def opened(name: str) -> optuna.Study:
        storage = JournalStorage(JournalFileBackend(str(tmp_path / name)))
        return optuna.create_study(
            study_name="s", storage=storage, directions=DIRECTIONS, load_if_exists=True
        )

    whole, parts = opened("whole"), opened("parts")
    whole.sampler = sampler()
    whole.optimize(toy, 10)
    for _ in range(5):
        parts = opened("parts")
        parts.sampler = sampler()
        parts.optimize(toy, 2)
    assert drawn(whole) == drawn(parts)


def test_looks_of_a_trial_that_was_cut_off_while_it_was_drawn_are_not_taken_again() -> None:
    asked: list[Any] = []

    def counted(parameters: Any) -> dict[int, float]:
        asked.append(parameters)
        return cost(parameters)

    study = searched(sampler(look=counted), trials=8)
    trial = study.ask()
    toy(trial)
    kept, first = looks_of(study.trials[-1]), dict(trial.params)
    twin = optuna.create_study(directions=DIRECTIONS, sampler=sampler(look=counted))
    twin.add_trials(study.trials[:-1])
    number = twin._storage.create_new_trial(twin._study_id)
    twin._storage.set_trial_system_attr(number, KEY, [one.to_json() for one in kept])
    asked.clear()
    again = optuna.Trial(twin, number)
    toy(again)
    assert again.params == first
    assert asked == []
    assert kept


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kill_between_two_looks_loses_none_of_those_before(threads: int) -> None:
    class Killed(BaseException):
        pass

    count = 0

    def killed_at_the_third(parameters: Any) -> dict[int, float]:
        nonlocal count
        count += 1
        if count == 3:
            raise Killed
        return cost(parameters)

    study = searched(sampler(), trials=8)
    options: dict[str, Any] = {"looks": 4, "look_threads": threads}
    study.sampler = sampler(look=killed_at_the_third, **options)
    with pytest.raises(Killed):
        toy(study.ask())
    assert len(looks_of(study.trials[-1])) == 2


def test_a_function_says_how_many_looks_a_trial_may_take() -> None:
    study = searched(sampler(looks=lambda trials: 2 if len(trials) > 6 else 0), trials=10)
    counts = [len(looks_of(trial)) for trial in study.trials]
    assert counts[:6] == [0] * 6
    assert 0 < max(counts[6:]) <= 2
    assert [len(looks_of(t)) for t in searched(sampler(looks=0), trials=8).trials] == [0] * 8


def test_what_a_look_refuses_costs_no_trial_and_is_learned() -> None:
    def without_c(parameters: Any) -> dict[int, float]:
        return {1: math.inf} if parameters["kind"] == "c" else cost(parameters)

    study = searched(sampler(look=without_c), trials=16)
    assert {trial.params["kind"] for trial in study.trials[1:]} == {"a", "b"}
    refused = [one.refused for t in study.trials[8:] for one in looks_of(t)]
    early = [one.refused for t in study.trials[:8] for one in looks_of(t)]
    assert any(early)
    assert np.mean(refused) < 0.2  # a third of all candidates is of that kind


def test_where_everything_is_refused_trials_go_on() -> None:
    study = searched(sampler(look=lambda parameters: {1: math.inf}, looks=2), trials=8)
    assert len({tuple(p.values()) for p in drawn(study)}) == 8


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda p: 1 / 0, r"a look failed \(ZeroDivisionError"),
        (lambda p: {1: math.nan}, r"it told \{1: nan\}, expected numbers by indices from 0 to 1"),
        (lambda p: {2: 1.0}, r"it told \{2: 1.0\}, expected numbers by indices from 0 to 1"),
        (lambda p: "fast", r"a look failed \(AttributeError"),
    ],
)
def test_a_look_that_fails_is_said_once_and_the_search_goes_on(look: Any, said: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        study = searched(sampler(look=look), trials=8)
    assert len({tuple(p.values()) for p in drawn(study)}) == 8
    ours = [str(one.message) for one in told if "EhviSampler" in str(one.message)]
    assert len(ours) == 1
    assert re.search(said, ours[0])


def test_a_look_without_an_answer_changes_nothing() -> None:
    silent = searched(sampler(look=lambda parameters: None), trials=9)
    assert drawn(silent) == drawn(searched(sampler(look=None), trials=9))


def test_what_trials_differed_from_their_looks_by_is_learned() -> None:
    encoding = Encoding({"a": optuna.distributions.IntDistribution(0, 9)})
    rows = np.arange(6.0)[:, None]
    values = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 8.0], [4.0, 16.0], [5.0, 32.0], [6.0, 64.0]])
    every = np.ones(6, bool)
    table = TrialTable(rows, values, every, {}, np.arange(6), rows[:0], rows, set())
    scale = Scale(np.ones(2), np.array([False, True]), values, np.isfinite(values))
    looks = np.column_stack([np.full(6, np.nan), values[:, 1] * 8])  # a clock eight times too fast
    looked = LookedRows(rows, looks, np.zeros(6, bool))
    data = Data.of(encoding, table, scale, looked=looked)
    apart = scale.of(values)[:, 1] - scale.of(values * 8)[:, 1]
    mean, deviation = data.look_error(np.column_stack([looks[:, 0], scale.of(looks)[:, 1]]))
    assert mean[1] == pytest.approx(apart[0] * 6 / 10)  # as if four trials had agreed
    assert deviation[0] == pytest.approx(LOOKED)
    assert deviation[1] > LOOKED
    assert np.isnan(data.looked_losses[:, 0]).all()


def test_looks_may_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=20)

    def slow(parameters: Any) -> dict[int, float]:
        together.wait()  # breaks unless three looks are under way
        return cost(parameters)

    options = {"looks": lambda trials: 3 if len(trials) > 4 else 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        study = searched(sampler(look=slow, look_threads=3, **options), trials=6)
    plain = searched(sampler(**options), trials=6)
    assert drawn(study) == drawn(plain)


def test_a_record_survives_json_and_rubbish_is_left_out() -> None:
    record = LookRecord({"a": 1.0}, {1: 2.5}, False, 0.25)
    assert LookRecord.from_json(record.to_json()) == record
    rubbish = [None, 3, {}, {"levels": 1}, record.to_json()]
    trial = optuna.trial.create_trial(value=1.0, system_attrs={KEY: rubbish})
    assert looks_of(trial) == [record]
    assert looks_of(optuna.trial.create_trial(value=1.0, system_attrs={KEY: 5})) == []
