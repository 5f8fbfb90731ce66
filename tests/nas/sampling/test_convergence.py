"""What further trials are expected to add, what is kept of it, and when that is nothing."""

from typing import Any

import numpy as np
import optuna
import pytest

from nas.sampling import EhviSampler, convergence_of
from nas.sampling.convergence import KEY, WINDOW, expected_of, hypervolume_of, noise_of
from tests.helpers.toy_search import searched, toy

REFERENCE = np.array([1.0, 1.0])


def told(gain: float, noise: float, **changes: Any) -> optuna.trial.FrozenTrial:
    values = {"value": 1.0, "system_attrs": {KEY: {"gain": gain, "noise": noise}}}
    return optuna.trial.create_trial(**(values | changes))


def test_the_hypervolumes_noise_is_that_of_fronts_drawn_with_it() -> None:
    points = np.array([[0.1, 0.7], [0.3, 0.5], [0.6, 0.2], [0.7, 0.7], [1.2, 0.0]])
    random, drawn = np.random.default_rng(0), []
    for _ in range(4000):
        front = points.copy()
        front[:, 0] += 0.01 * random.standard_normal(len(front))
        drawn.append(hypervolume_of(front, REFERENCE))
    assert noise_of(points, REFERENCE, np.array([0.01, 0.0])) == pytest.approx(
        np.std(drawn), rel=0.05
    )
    assert noise_of(points, REFERENCE, np.zeros(2)) == 0.0
    assert noise_of(points + 2, REFERENCE, np.ones(2)) == 0.0


def test_a_hypervolume_counts_what_is_inside() -> None:
    assert hypervolume_of(np.array([[0.5, 0.5], [2.0, 0.0]]), REFERENCE) == 0.25
    assert hypervolume_of(np.array([[2.0, 0.0]]), REFERENCE) == 0.0


def test_gains_are_kept_from_the_first_learned_trial_on_and_change_no_draw() -> None:
    kept = searched(EhviSampler(seed=0, n_startup_trials=5, keep_gains=True), trials=12)
    plain = searched(EhviSampler(seed=0, n_startup_trials=5), trials=12)
    assert [trial.params for trial in kept.trials] == [trial.params for trial in plain.trials]
    gains = [expected_of(trial) for trial in kept.trials]
    assert gains[:5] == [None] * 5
    assert all(one is not None and one.gain > 0 and one.noise >= 0 for one in gains[5:])
    assert not any(map(expected_of, plain.trials))


def test_a_toy_search_is_not_converged_while_it_gains() -> None:
    study = searched(EhviSampler(seed=0, n_startup_trials=5, keep_gains=True), toy, 5 + WINDOW)
    found = convergence_of(study.trials)
    assert found is not None
    assert not found.reached
    assert convergence_of(study.trials[:-1]) is None


def test_the_last_trials_decide_and_what_failed_or_is_damaged_is_left_out() -> None:
    early = [told(1.0, 0.0)] * 5
    late = [told(0.001, 0.02), *[told(0.0002, 0.02)] * (WINDOW - 1)]
    failed = told(1.0, 0.0, value=None, state=optuna.trial.TrialState.FAIL)
    damaged = told(1.0, 0.0, system_attrs={KEY: {"gain": "much"}})
    endless = told(float("nan"), 0.0)
    found = convergence_of([*early, *late, failed, damaged, endless])
    assert found is not None
    assert found.reached
    assert found.gain == pytest.approx(0.001 + (WINDOW - 1) * 0.0002)
    assert found.noise == 0.02
    assert str(found).startswith(f"{WINDOW} further trials are expected to add at most 0.")
    assert not convergence_of([*late, *early, *early]).reached  # type: ignore[union-attr]


def test_an_option_that_is_no_switch_is_refused() -> None:
    with pytest.raises(TypeError, match="keep_gains is 1, expected True or False"):
        EhviSampler(keep_gains=1)  # type: ignore[arg-type]
