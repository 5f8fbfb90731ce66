"""The choice of the sampler that a study's search draws with."""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.errors import ConfigError, NasError
from nas.sampling import EhviSampler
from nas.sampling.history import SUBSTITUTED
from nas.sampling.options import MOST_OBJECTIVES
from nas.search.counted_limits import CountedLimits
from nas.search.earlier_run import EarlierRun
from nas.search.graph_features import GraphFeatures
from nas.search.study_looks import StudyLooks
from nas.study.pareto import FIRST_TRIALS, reference_coordinate
from nas.study.study import Study

DUPLICATE_OF = "duplicate_of"
FAILURE = "failure"
"""The attribute of a trial that says why it failed, also where its training came to nothing."""


def sampler_of(study: Study, number: int) -> optuna.samplers.BaseSampler:
    """Return a sampler for one trial: a resumed run draws the same for its number.

    "ehvi" comes here only with more objectives than `learning_sampler` takes: NSGA-II draws
    instead, with a warning. Raises ConfigError where "gp" lacks PyTorch.
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
    study: Study,
    input_quality: Mapping[str, float],
    looks: StudyLooks | None = None,
    earlier: EarlierRun | None = None,
) -> optuna.samplers.BaseSampler | None:
    """Return the sampler "ehvi", one for all of a run's trials; None where it is not to draw.

    That is where the study names another sampler, or has more objectives than "ehvi" takes.
    `input_quality` is that of the blurred pictures, by metric. `looks` are those that it may take,
    `earlier` is a run that it learns from. The study keeps what is expected of trials.

    It uses the latency predictors that there are for the study's devices (`nas predictor fit`), and
    with looks what candidates' graphs tell.
    Raises ConfigError where the sampler refuses what the study says.
    """
    if study.sampler != "ehvi" or len(study.expanded_objectives) > MOST_OBJECTIVES:
        return None
    reference_point, predictor = reference_point_of(study, input_quality), _predictor(study)
    try:
        return EhviSampler(
            seed=study.seed % 2**63,  # a study's may be negative
            n_startup_trials=study.startup_trials,
            reference=reference_point,
            predictor=predictor,
            look=looks,
            looks=looks.allowed if looks is not None else 0,
            look_threads=looks.threads if looks is not None else 1,
            allowed=CountedLimits.of(study),
            features=_features(study) if looks is not None else None,
            earlier=earlier.trials(study) if earlier is not None else (),
            keep_gains=True,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"startup_trials is {study.startup_trials!r}, seed {study.seed!r}: sampler 'ehvi' says "
            f"that {error}"
        ) from error


def check_can_converge(study: Study) -> None:
    """Raise ConfigError where a study's sampler can't tell what further trials will add."""
    count = len(study.expanded_objectives)
    if study.sampler != "ehvi":
        raise ConfigError(
            f"--until-converged: the sampler {study.sampler!r} does not tell what further trials "
            "will add; the study needs sampler 'ehvi'"
        )
    if count > MOST_OBJECTIVES:
        raise ConfigError(
            f"--until-converged: sampler 'ehvi' takes 1 to {MOST_OBJECTIVES} objectives, this "
            f"study has {count}, and NSGA-II, which draws instead, does not tell what further "
            "trials will add"
        )


def _features(study: Study) -> GraphFeatures | None:
    """Return what candidates' graphs tell; None where it can't be told of the space's networks."""
    features = GraphFeatures(study)
    try:
        features({})
    except (NasError, ValueError, TypeError, KeyError, AttributeError):
        return None  # a search learns without them
    return features


def _predictor(study: Study) -> Any:
    """Return the study's latency predictors; None where no device has a current one."""
    from nas.predictor.for_sampler import for_study

    try:
        return for_study(study)
    except (NasError, OSError):
        return None  # a search learns without it


def reference_point_of(
    study: Study, input_quality: Mapping[str, float]
) -> Callable[[Sequence[FrozenTrial]], list[float] | None]:
    """Return a function from the trials so far to the hypervolume's reference point.

    The point has a value for each objective, in its own unit, by the rule of
    `nas.study.pareto.reference_coordinate`; it is None while nothing is known to place it by.
    `input_quality` is that of the blurred pictures, by metric.
    """
    objectives, constraints = study.expanded_objectives, study.parsed_constraints

    def point(trials: Sequence[FrozenTrial]) -> list[float] | None:
        first = list(itertools.islice(filter(_counts, trials), FIRST_TRIALS))
        if not first:
            return None
        values = []
        for index, objective in enumerate(objectives):
            quality = input_quality.get(objective.metric)
            seen = [trial.values[index] for trial in first]
            coordinate = reference_coordinate(objective, constraints, quality, seen)
            if coordinate is None:
                return None
            values.append(coordinate[0])
        return values

    return point


def _counts(trial: FrozenTrial) -> bool:
    """Return whether a trial is complete, feasible, no duplicate, and has a network's values."""
    return (
        trial.state == TrialState.COMPLETE
        and not trial.user_attrs.keys() & {SUBSTITUTED, DUPLICATE_OF, FAILURE}
        and all(value <= 0 for value in trial.constraints.values())
    )
