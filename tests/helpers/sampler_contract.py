"""What every sampler is put through, the project's and Optuna's alike: studies as others write."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import TrialState

from nas.sampling import EhviSampler

STARTUP = 4
Make = Callable[[], BaseSampler]


def _predict(parameters: Mapping[str, Any]) -> Mapping[int, float]:
    return {0: float(len(str(parameters)))}


SAMPLERS: dict[str, Make] = {
    "ehvi": lambda: EhviSampler(seed=0, n_startup_trials=STARTUP, pool=60),
    "ehvi, all at once": lambda: EhviSampler(seed=0, n_startup_trials=0, pool=60),
    "ehvi, predictor": lambda: EhviSampler(
        seed=0, n_startup_trials=STARTUP, pool=60, predictor=_predict
    ),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=STARTUP),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=STARTUP),
}
every_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS.keys())
# Optuna's NSGA-II makes arrays of choices, and remembers the first study that it is used in.
every_sampler_but_nsga2 = pytest.mark.parametrize(
    "make", list(SAMPLERS.values())[:-1], ids=list(SAMPLERS)[:-1]
)


def studied(sampler: BaseSampler, objectives: int = 2, **options: Any) -> Study:
    """A new study of one or two objectives, the second one made small."""
    options.setdefault("directions", ["maximize", "minimize"][:objectives])
    return optuna.create_study(sampler=sampler, **options)


def plain(trial: Any) -> tuple[float, float]:
    """A number and a category, each with a say in both objectives."""
    width = trial.suggest_int("width", 8, 64, step=8)
    kind = trial.suggest_categorical("kind", ("a", "b"))
    return width + (kind == "a"), width**1.5


def check(study: Study, count: int, state: TrialState | None = TrialState.COMPLETE) -> None:
    """A study has so many trials, all in that state, each with values that it may have."""
    trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(count))
    if state is not None:
        assert [trial.state for trial in trials] == [state] * count
    for trial in trials:
        assert trial.params.keys() == trial.distributions.keys()
        for name, distribution in trial.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name])), name


def quietly(study: Study, objective: Any, trials: int, **options: Any) -> None:
    """Optimize without Optuna's own warnings of what is experimental or not stored for ever."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(objective, trials, **options)


def levels_of(study: Study, names: Sequence[str]) -> set[tuple[float, ...]]:
    """The different candidates of a study, as levels of parameters."""
    return {
        tuple(t.distributions[n].to_internal_repr(t.params[n]) for n in names)
        for t in study.get_trials(deepcopy=False)
    }
