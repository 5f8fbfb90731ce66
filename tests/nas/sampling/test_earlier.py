"""Trials of an earlier study become columns of candidates; what is of no use changes nothing."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial

from nas.sampling import EhviSampler
from nas.sampling.earlier import EarlierValues
from nas.sampling.features import FeatureColumns
from nas.sampling.space import Encoding
from tests.helpers.toy_search import searched, toy


def earlier_trials(count: int = 30, **changes: Any) -> list[FrozenTrial]:
    """Trials of the toy on another device, and by another schedule."""

    def other(trial: optuna.Trial) -> tuple[float, float]:
        quality, latency = toy(trial)
        return 0.7 * quality - 2, latency**1.1

    return searched(optuna.samplers.RandomSampler(seed=9), other, trials=count).trials


def test_they_become_columns_of_rows() -> None:
    trials = earlier_trials()
    encoding = Encoding(trials[0].distributions)
    values = EarlierValues(trials, encoding)
    assert values.count == 30
    columns = FeatureColumns(None, encoding, values)(encoding.rows(trials))
    assert columns.shape == (30, 2)
    qualities = [trial.values[0] for trial in trials]
    assert np.corrcoef(columns[:, 0], qualities)[0, 1] > 0.8


def test_weights_say_how_far_new_trials_follow_each_earlier_value() -> None:
    trials = earlier_trials()
    encoding = Encoding(trials[0].distributions)
    values = EarlierValues(trials, encoding)
    rows = encoding.rows(trials)
    qualities = np.array([trial.values[0] for trial in trials])
    follows = values.weights(rows, 3 * qualities + 1)
    assert follows[0] > 0.3 > abs(follows[1])
    assert values.weights(rows, -qualities)[0] < -0.3
    noise = np.random.default_rng(0).permutation(qualities)
    assert abs(values.weights(rows, noise)[0]) < 0.2
    assert values.weights(rows, np.ones(30)) == {0: 0.0, 1: 0.0}
    assert values.weights(rows[:7], qualities[:7]) == {}


@pytest.mark.parametrize(
    "trials",
    [
        earlier_trials(5),  # too few
        [optuna.trial.create_trial(value=1.0, params={}, distributions={})] * 20,
        searched(optuna.samplers.RandomSampler(seed=0), lambda t: t.suggest_float("x", 0, 1), 20,
                 ("maximize",)).trials,
        [t for t in earlier_trials(20) if t.params["kind"] == "a"][:3],
    ],
    ids=["too few", "no parameters", "another space", "a handful"],
)  # fmt: skip
def test_what_says_nothing_changes_nothing(trials: list[FrozenTrial]) -> None:
    plain = searched(EhviSampler(seed=0, logarithmic=(1,), n_startup_trials=3), trials=6)
    told = searched(
        EhviSampler(seed=0, logarithmic=(1,), n_startup_trials=3, earlier=trials), trials=6
    )
    assert [t.params for t in told.trials] == [t.params for t in plain.trials]


def test_values_that_are_not_finite_are_no_data() -> None:
    trials = earlier_trials()
    for trial in trials[:25]:
        trial.values = [float("nan"), trial.values[1]]
    encoding = Encoding(trials[0].distributions)
    assert EarlierValues(trials, encoding)(encoding.rows(trials)).shape == (30, 1)
