"""Candidates that a function rules out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from nas.sampling import EhviSampler
from nas.sampling.allowed import AllowedRows
from nas.sampling.space import Encoding

WIDTHS = (8, 16, 32, 64)
ENCODING = Encoding({name: CategoricalDistribution(WIDTHS) for name in "abc"})


def narrow(parameters: Mapping[str, Any]) -> bool:
    return sum(parameters.values()) <= 48


def test_the_best_allowed_rows_are_those_of_a_sorted_list() -> None:
    rows = ENCODING.everything()
    scores = np.random.default_rng(0).random(len(rows))
    told: list[str] = []
    found = AllowedRows(narrow, ENCODING, told.append).best(rows, scores, 5)
    order = sorted(range(len(rows)), key=lambda index: -scores[index])
    assert found.tolist() == [i for i in order if narrow(ENCODING.parameters(rows[i]))][:5]
    nothing = AllowedRows(lambda _: False, ENCODING, told.append).best(rows, scores, 5)
    assert nothing.tolist() == order[:5]
    assert told == []


@pytest.mark.parametrize("widest", [20, 30])
def test_no_trial_is_spent_on_what_is_not_allowed(widest: int) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        total = sum(trial.suggest_categorical(f"width_{i}", WIDTHS) for i in range(7))
        return total / widest, 1 / total

    study = optuna.create_study(
        directions=["minimize", "minimize"],
        sampler=EhviSampler(
            seed=1,
            n_startup_trials=4,
            allowed=lambda parameters: not parameters or sum(parameters.values()) <= 7 * widest,
        ),
    )
    study.optimize(objective, n_trials=12)
    drawn = [sum(trial.params.values()) for trial in study.trials[1:]]
    assert max(drawn) <= 7 * widest  # a tenth and half of all networks are allowed


def test_a_function_that_fails_is_named_and_allows_all() -> None:
    told: list[str] = []

    def failing(_: Mapping[str, Any]) -> bool:
        raise ValueError("no such width")

    allowed = AllowedRows(failing, ENCODING, told.append)
    assert all(allowed(row) for row in ENCODING.everything())
    assert told == ["`allowed` failed (ValueError('no such width')); every candidate is allowed"]
