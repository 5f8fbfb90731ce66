"""The sampler that a study's search draws with."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.errors import ConfigError, NasError
from nas.sampling import EhviSampler
from nas.sampling.history import STAND_IN
from nas.sampling.options import MOST_OBJECTIVES
from nas.study.objectives import MARGIN, Objective
from nas.study.pareto import FIRST_TRIALS
from nas.study.study import Study

DUPLICATE_OF = "duplicate_of"


def sampler_of(study: Study, number: int) -> optuna.samplers.BaseSampler:
    """A sampler for one trial: a resumed run draws the same for its number.

    "ehvi" is `learning_sampler`'s; for more objectives than it takes, NSGA-II draws, and says so.
    """
    seed = (study.seed * 1_000_003 + number) % 2**32
    match study.sampler:
        case "tpe":
            return optuna.samplers.TPESampler(n_startup_trials=study.startup_trials, seed=seed)
        case "gp":
            if importlib.util.find_spec("torch") is None:
                raise ConfigError(
                    "sampler 'gp' is Optuna's GPSampler, which needs PyTorch: pip install torch, "
                    "or choose 'ehvi', which needs nothing"
                )
            return optuna.samplers.GPSampler(n_startup_trials=study.startup_trials, seed=seed)
        case "ehvi":
            warnings.warn(
                f"sampler 'ehvi' takes 1 to {MOST_OBJECTIVES} objectives, this study has "
                f"{len(study.expanded_objectives)}: NSGA-II with a population of 20 draws instead",
                stacklevel=2,
            )
            return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        case _:
            return optuna.samplers.RandomSampler(seed=seed)


def learning_sampler(
    study: Study, untouched: Mapping[str, float]
) -> optuna.samplers.BaseSampler | None:
    """The sampler "ehvi", one for all of a run's trials; None for another, or too many objectives.

    It uses the latency predictors that there are for the study's devices (`nas predictor fit`).
    Raises ConfigError where the sampler refuses what the study says.
    """
    if study.sampler != "ehvi" or len(study.expanded_objectives) > MOST_OBJECTIVES:
        return None
    corner, predictor = corner_of(study, untouched), _predictor(study)
    try:
        return EhviSampler(
            seed=study.seed % 2**63,  # a study's may be negative
            n_startup_trials=study.startup_trials,
            reference=corner,
            predictor=predictor,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"startup_trials is {study.startup_trials!r}, seed {study.seed!r}: sampler 'ehvi' says "
            f"that {error}"
        ) from error


def _predictor(study: Study) -> Any:
    """What is known of latencies beforehand; None where no current predictor of a device exists."""
    from nas.predictor.for_sampler import for_study

    try:
        return for_study(study)
    except (NasError, OSError):
        return None  # a search learns without it


def corner_of(
    study: Study, untouched: Mapping[str, float]
) -> Callable[[Sequence[FrozenTrial]], list[float] | None]:
    """The hypervolume's corner, from the trials so far; as `pareto.reference_point` has it.

    `untouched` is the quality of doing nothing.
    """
    objectives = study.expanded_objectives
    fixed = [_fixed(study, objective, untouched) for objective in objectives]

    def corner(trials: Sequence[FrozenTrial]) -> list[float] | None:
        first: list[FrozenTrial] = []
        for trial in trials:
            if _counts(trial):
                first.append(trial)
            if len(first) == FIRST_TRIALS:
                break
        if not first:
            return None
        pairs = enumerate(zip(objectives, fixed, strict=True))
        return [
            _worst(objective, [trial.values[index] for trial in first]) if bound is None else bound
            for index, (objective, bound) in pairs
        ]

    return corner


def _fixed(study: Study, objective: Objective, untouched: Mapping[str, float]) -> float | None:
    for constraint in study.parsed_constraints:
        if constraint.bounds(objective):
            return constraint.bound
    return untouched.get(objective.metric)


def _counts(trial: FrozenTrial) -> bool:
    return (
        trial.state == TrialState.COMPLETE
        and not trial.user_attrs.keys() & {STAND_IN, DUPLICATE_OF}
        and all(value <= 0 for value in trial.constraints.values())
    )


def _worst(objective: Objective, values: Sequence[float]) -> float:
    if objective.direction == "maximize":
        return min(values)
    return max(values) * (MARGIN if objective.is_logarithmic else 1.0)
