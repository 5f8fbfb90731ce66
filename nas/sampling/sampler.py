"""`EhviSampler`: expected hypervolume improvement over Gaussian processes, for few, dear trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.pareto import LOGARITHMIC
from nas.sampling.beliefs import Beliefs, Data, Predicted, Predictor, Scale
from nas.sampling.gaussian import FitError
from nas.sampling.space import Encoding, shared_space, unseen

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
STAND_IN = "stand_in"
"""A trial's attribute: the names of objectives whose values only stand in for missing ones."""
MOST_OBJECTIVES = 4
FEW = 2048
"""A space of so many candidates at most is looked at whole."""
_told: set[tuple[str, str]] = set()


class EhviSampler(BaseSampler):
    """Proposes the candidate that is expected to add most to the dominated hypervolume.

    For one to four objectives and any mix of categorical, integer and float parameters. Each
    objective gets a Gaussian process; constraints (`trial.set_constraint`, feasible where <= 0)
    one each, and the expected gain is weighted by the probability that all hold. Trials that still
    run count as if they had ended as expected. No candidate comes twice. Parameters that not all
    trials have are drawn independently, by Optuna's TPE; it takes over, with a warning, where no
    surrogate can be fitted.

    `n_startup_trials` are drawn at random first. What is drawn depends on `seed`, the trial's
    number and the trials before it, on nothing that the sampler remembers: one made anew for every
    trial draws the same.

    `logarithmic` are the indices of objectives that count in proportion (latencies); by default
    those whose metric name, but for a device in brackets, is one of `nas.pareto.LOGARITHMIC`.
    `predictor` tells of a candidate's parameters what some objectives are expected to be, in their
    own unit: then only the difference (for logarithmic objectives the ratio) is learned. It is
    called for some 600 candidates a trial, so it should take microseconds. `reference` is the
    corner of the hypervolume, in the objectives' units; by default the worst values on the front so
    far, and a tenth of their range beyond. `pool` candidates are compared for each trial;
    surrogates learn from `most_points` trials at most, the best and a part of the rest.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = 10,
        logarithmic: Sequence[int] | None = None,
        predictor: Predictor | None = None,
        reference: Sequence[float] | None = None,
        pool: int = 500,
        most_points: int = 150,
    ) -> None:
        self._seed = np.random.SeedSequence().entropy if seed is None else seed
        self._startup = n_startup_trials
        self._logarithmic = None if logarithmic is None else frozenset(logarithmic)
        self._predictor = predictor
        self._reference = reference
        self._pool, self._most_points = pool, most_points
        self._independent = optuna.samplers.TPESampler(
            n_startup_trials=n_startup_trials,
            seed=None if seed is None else seed % 2**32,
            multivariate=False,
        )

    def reseed_rng(self) -> None:
        """Reseed what draws conditional parameters; the rest depends on the trial's number."""
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that all completed trials have; ValueError on too many objectives."""
        if len(study.directions) > MOST_OBJECTIVES:
            raise ValueError(
                f"EhviSampler takes 1 to {MOST_OBJECTIVES} objectives, but this study has "
                f"{len(study.directions)}; use optuna.samplers.NSGAIISampler(population_size=20)"
            )
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        complete = [t for t in others if t.state == TrialState.COMPLETE]
        return shared_space(complete or [t for t in others if t.distributions])

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A candidate; empty where there is none left, or where TPE has to take over."""
        if not search_space:
            return {}
        random = np.random.default_rng([_entropy(self._seed), trial.number])
        encoding = Encoding(search_space)
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        seen = _seen(encoding, trials)
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        if len(complete) < self._startup:
            return self._at_random(encoding, random, seen)
        running = [t for t in trials if t.state == TrialState.RUNNING and encoding.holds(t)]
        try:
            data = self._data(study, encoding, complete)
            if not data.learns:
                return self._at_random(encoding, random, seen)
            beliefs = Beliefs(data, encoding.rows(running), self._most_points)
            row = _best(encoding, beliefs, random, seen, self._pool)
        except (FitError, np.linalg.LinAlgError, FloatingPointError) as error:
            _warn(study, f"no surrogate can be fitted ({error}); TPESampler draws instead")
            return {}
        return {} if row is None else encoding.parameters(row)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One parameter on its own, by TPE."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _at_random(
        self, encoding: Encoding, random: np.random.Generator, seen: set[bytes]
    ) -> dict[str, Any]:
        rows = encoding.everything() if encoding.size <= FEW else encoding.draw(random, 64)
        rows = unseen(rows, seen)
        if not len(rows):
            return {}
        return encoding.parameters(rows[random.integers(len(rows))])

    def _data(self, study: Study, encoding: Encoding, complete: list[FrozenTrial]) -> Data:
        signs = np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions])
        values = np.array([t.values for t in complete], np.float64)
        names = study.metric_names
        known = np.isfinite(values)
        if names is not None:
            for index, trial in enumerate(complete):
                missing = trial.user_attrs.get(STAND_IN, ())
                if missing:
                    known[index] &= [name not in missing for name in names]
        logs = self._logs(study, names, values, known)
        scale = Scale(signs, logs, values, known)
        constraints = [t.constraints for t in complete]
        feasible = np.array([all(v <= 0 for v in one.values()) for one in constraints])
        rows = encoding.rows(complete)
        predict = None
        if self._predictor is not None:
            predict = Predicted(self._predictor, encoding, scale)
        data = Data(
            encoding,
            rows,
            scale.of(values),
            known,
            feasible & known.all(axis=1),
            constraints,
            predict,
        )
        data.corner = None if self._reference is None else scale.of(np.array([self._reference]))[0]
        if predict is not None:
            try:
                predict(rows[:1])
            except Exception as error:
                _warn(study, f"the predictor failed ({error!r}); learning without it")
                data.predict = None
        return data

    def _logs(self, study: Study, names: list[str] | None, values: Floats, known: Bools) -> Bools:
        """Which objectives are logarithms; not those with a value that has none."""
        if self._logarithmic is not None:
            chosen = [index in self._logarithmic for index in range(values.shape[1])]
        else:
            chosen = [name.split("[")[0] in LOGARITHMIC for name in names or [""] * values.shape[1]]
        positive = np.where(known, values, 1.0).min(axis=0) > 0
        if (~positive & chosen).any():
            at = np.flatnonzero(~positive & chosen).tolist()
            _warn(study, f"objectives {at} have values <= 0: they can't be taken as logarithms")
        usable: Bools = positive & np.array(chosen)
        return usable


def _best(
    encoding: Encoding,
    beliefs: Beliefs,
    random: np.random.Generator,
    seen: set[bytes],
    count: int,
) -> Floats | None:
    """The best row of a pool, climbed from, one entry at a time; None if all are seen."""
    if encoding.size <= FEW:
        pool = unseen(encoding.everything(), seen)
        return pool[np.argmax(beliefs.score(pool))] if len(pool) else None
    drawn = encoding.draw(random, count // 2)
    mutants = encoding.mutants(random, beliefs.parents(), count - count // 2)
    pool = unseen(np.concatenate([drawn, mutants]), seen)
    if not len(pool):
        return None
    scores = beliefs.score(pool)
    for _ in range(3):
        best = np.argsort(-scores, kind="stable")[:2]
        top = scores[best[0]]
        near = unseen(np.concatenate([encoding.neighbours(pool[one]) for one in best]), seen)
        if not len(near):
            break
        pool, scores = (
            np.concatenate([pool[best], near]),
            np.concatenate([scores[best], beliefs.score(near)]),
        )
        if scores.max() <= top:
            break
    found: Floats = pool[np.argmax(scores)]
    return found


def _seen(encoding: Encoding, trials: Sequence[FrozenTrial]) -> set[bytes]:
    """Rows of every trial, however it ended, that has these parameters and no other choice."""
    found = [trial for trial in trials if encoding.holds(trial, nothing_else=True)]
    return {row.tobytes() for row in encoding.rows(found)}


def _entropy(seed: Any) -> int:
    return int(seed) % 2**63


def _warn(study: Study, message: str) -> None:
    """Say it once for a study, however many samplers draw for it."""
    key = (study.study_name, message.split("(")[0])
    if key not in _told:
        _told.add(key)
        warnings.warn(f"EhviSampler: {message}", UserWarning, stacklevel=4)
