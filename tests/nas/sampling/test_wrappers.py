"""Every sampler, the project's and Optuna's, within others that wrap it and fix parameters."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna import pruners
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, PartialFixedSampler, QMCSampler
from optuna.trial import TrialState

from nas.sampling import EhviSampler
from tests.helpers.sampler_contract import (
    STARTUP,
    Make,
    check,
    every_sampler,
    levels_of,
    plain,
    quietly,
    studied,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Part(BaseSampler):
    """A wrapper as people write them: it gives its inner sampler another space than that asked."""

    def __init__(self, inner: BaseSampler, space: Callable[[dict[str, Any]], dict[str, Any]]):
        self._inner, self._space = inner, space

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self._space(self._inner.infer_relative_search_space(study, trial))

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: Any, name: str, of: Any) -> Any:
        return self._inner.sample_independent(study, trial, name, of)


class Exhaustive(Part):
    """Falls back on trying everything for what its inner sampler leaves open."""

    def sample_independent(self, study: Any, trial: Any, name: str, of: Any) -> Any:
        return BruteForceSampler(seed=0).sample_independent(study, trial, name, of)


WHOLE = {
    "kind": CategoricalDistribution(("a", "b")),
    "fixed": IntDistribution(3, 3),
    "same": FloatDistribution(2.0, 2.0, log=True),
    "width": IntDistribution(8, 64, step=8),
}
WRAPPERS: dict[str, Callable[[BaseSampler], BaseSampler]] = {
    "fixed": lambda s: PartialFixedSampler({"kind": "b"}, s),
    "all fixed": lambda s: PartialFixedSampler({"kind": "b", "width": 16}, s),
    "fixed, out of range": lambda s: PartialFixedSampler({"width": 72}, s),
    "fixed twice": lambda s: PartialFixedSampler({"kind": "a"}, PartialFixedSampler({"z": 1}, s)),
    "independent only": lambda s: QMCSampler(independent_sampler=s, seed=0),
    "a part": lambda s: Part(s, lambda space: {n: d for n, d in space.items() if n != "width"}),
    "nothing": lambda s: Part(s, lambda space: {}),
    "a copy, reversed": lambda s: Part(s, lambda f: copy.deepcopy(dict(reversed(f.items())))),
    "exhaustive": lambda s: Exhaustive(s, lambda space: space),
}


@every_sampler
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
@pytest.mark.parametrize("before", [0, 6])
def test_samplers_that_wrap(
    make: Make, wrap: Callable[[BaseSampler], BaseSampler], before: int
) -> None:
    sampler = make()
    study = studied(sampler)
    quietly(study, plain, before)
    with warnings.catch_warnings(action="ignore"):
        study.sampler = wrap(sampler)
    quietly(study, plain, 8)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * (before + 8)
    fixed = [t.params for t in study.trials[before:]]
    if isinstance(study.sampler, PartialFixedSampler):
        for name, value in study.sampler._fixed_params.items():
            assert all(one.get(name, value) == value for one in fixed)
    study.sampler = sampler  # what a wrapper took out is back
    quietly(study, plain, 3)
    assert all(len(trial.params) == 2 for trial in study.trials[-3:])


def test_a_space_of_a_wrappers_own_making_is_drawn_from() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial.suggest_int("fixed", 3, 3)
        trial.suggest_float("same", 2.0, 2.0, log=True)
        return plain(trial)

    inner = EhviSampler(seed=0, n_startup_trials=STARTUP)
    study = studied(Part(inner, lambda space: WHOLE))
    quietly(study, objective, 16)
    check(study, 16)
    assert len(levels_of(study, ["kind", "width"])) == 16  # all that there are


def test_candidates_do_not_come_twice_while_others_are_fixed() -> None:
    sampler = EhviSampler(seed=0, n_startup_trials=STARTUP)
    study = studied(sampler)
    quietly(study, plain, 6)
    before = sum(trial.params["kind"] == "b" for trial in study.trials)
    with warnings.catch_warnings(action="ignore"):
        study.sampler = PartialFixedSampler({"kind": "b"}, sampler)
    quietly(study, plain, 8 - before)
    widths = [trial.params["width"] for trial in study.trials if trial.params["kind"] == "b"]
    assert len(set(widths)) >= len(widths) - 1  # the first one can't know what is fixed


def branched(trial: optuna.Trial) -> float:
    levels = trial.suggest_categorical("levels", (2, 3))
    widths = [trial.suggest_int(f"width{i}", 1, 8) for i in range(levels)]
    trial.report(float(sum(widths)), 1)
    return float(sum(width * (i + 1) for i, width in enumerate(widths)))


@pytest.mark.parametrize("pruner", [pruners.HyperbandPruner(max_resource=4), None])
def test_a_sampler_that_sees_several_studies_draws_as_one_made_anew(pruner: Any) -> None:
    """A HyperbandPruner's brackets are as many studies of one sampler."""

    def make() -> BaseSampler:
        return EhviSampler(seed=0, n_startup_trials=2, pool=60)

    names = ["one", "two"]
    shared, anew = make(), {}
    kept = {name: studied(shared, 1, study_name=name, pruner=pruner) for name in names}
    for name in names:
        anew[name] = studied(make(), 1, study_name=name, pruner=pruner)
    for _ in range(12):
        for name in names:
            quietly(kept[name], branched, 1)
            anew[name].sampler = make()
            quietly(anew[name], branched, 1)
    for name in names:
        assert [t.params for t in kept[name].trials] == [t.params for t in anew[name].trials]


@every_sampler
@pytest.mark.parametrize("levels", [2, 3])
def test_what_decides_about_others_may_be_fixed(make: Make, levels: int) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        count = trial.suggest_categorical("levels", (2, 3))
        widths = [trial.suggest_int(f"width{i}", 1, 8) for i in range(count)]
        return sum(widths), sum(w * w for w in widths)

    sampler = make()
    study = studied(sampler)
    quietly(study, objective, 10)
    study.sampler = PartialFixedSampler({"levels": levels}, sampler)
    quietly(study, objective, 8)
    check(study, 18)
    assert all(len(trial.params) == 1 + levels for trial in study.trials[10:])
