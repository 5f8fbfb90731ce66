"""`EhviSampler`: expected hypervolume improvement over Gaussian processes, for few, dear trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from nas.sampling.gaussian import FitError
from nas.sampling.history import History, Known, SharedSpace
from nas.sampling.space import Encoding, Gate, same, unseen
from nas.sampling.startup import FEW, spread_out
from nas.sampling.surrogates import Beliefs, Data, Predicted, Predictor, Scale, settled
from nas.sampling.threads import one_thread
from nas.study.objectives import LOGARITHMIC

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MOST_OBJECTIVES = 4
_told: set[tuple[str, str]] = set()
Reference = Sequence[float] | Callable[[Sequence[FrozenTrial]], Sequence[float] | None]
"""The corner of the hypervolume, in the objectives' units, or what tells it from the trials."""
_Kept = tuple[dict[str, Gate], Encoding, History, Any]


class EhviSampler(BaseSampler):
    """Proposes the candidate that is expected to add most to the dominated hypervolume.

    For one to four objectives and any mix of categorical, integer and float parameters. Each
    objective gets a Gaussian process; constraints (`trial.set_constraint`, feasible where <= 0)
    one each, and the expected gain is weighted by the probability that all hold. Trials that still
    run count as if they had ended as expected. No candidate comes twice. A parameter that another
    one's value decides on is learned with the rest; one that some trials lack without such a rule
    is drawn independently, by Optuna's TPE, which takes over, with a warning, where no surrogate
    can be fitted.

    `n_startup_trials` are drawn at random first. What is drawn depends on `seed`, the trial's
    number and the trials before it, on nothing that the sampler remembers: one made anew for every
    trial draws the same.

    `logarithmic` are the indices of objectives that count in proportion (latencies); by default
    those whose metric name, but for a device in brackets, is one of
    `nas.study.objectives.LOGARITHMIC`. `predictor` tells of a candidate's parameters what some
    objectives are expected to be, in their own unit: then only the difference (for logarithmic
    objectives the ratio) is learned. It is called for some 600 candidates a trial, so it should
    take microseconds. `reference` is the corner of the hypervolume, in the objectives' units, or a
    function of the trials that tells it; by default (and where it tells None) the worst values on
    the front so far, and a tenth of their range beyond. A corner further out than half of that
    range counts as one there: else the ends of the front would be all that matters. `pool`
    candidates are compared for each trial, half of them with a predictor or after 100 trials, an
    eighth after 500; surrogates learn from `most_points` trials at most (after 500 trials half of
    that), the best and a part of the rest.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = 10,
        logarithmic: Sequence[int] | None = None,
        predictor: Predictor | None = None,
        reference: Reference | None = None,
        pool: int = 1000,
        most_points: int = 150,
    ) -> None:
        self._seed = np.random.SeedSequence().entropy if seed is None else seed
        self._startup = n_startup_trials
        self._logarithmic = None if logarithmic is None else frozenset(logarithmic)
        self._predictor = predictor
        self._reference = reference
        self._pool, self._most_points = pool, most_points
        self._space = SharedSpace()
        self._kept: _Kept | None = None
        self._independent: tuple[int, BaseSampler] | None = None

    def reseed_rng(self) -> None:
        """Nothing to do: what is drawn depends on the seed and on the trial's number."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What completed trials all have, or have by another parameter's value.

        ValueError on too many objectives.
        """
        if len(study.directions) > MOST_OBJECTIVES:
            raise ValueError(
                f"EhviSampler takes 1 to {MOST_OBJECTIVES} objectives, but this study has "
                f"{len(study.directions)}; use optuna.samplers.NSGAIISampler(population_size=20)"
            )
        trials = study.get_trials(deepcopy=False)
        return self._space.of(trials, self._startup)[0]

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A candidate; empty where there is none left, or where TPE has to take over."""
        if not search_space:
            return {}
        random = np.random.default_rng([_entropy(self._seed), trial.number])
        trials = study.get_trials(deepcopy=False)
        encoding, known = self._known(study, trials, trial.number, search_space)
        if len(known.rows) < self._startup:
            return self._spread(encoding, random, known)
        try:
            with one_thread():
                return self._learned(study, encoding, random, known, trials)
        except (FitError, np.linalg.LinAlgError, FloatingPointError) as error:
            _warn(study, f"no surrogate can be fitted ({error}); TPESampler draws instead")
            return {}

    def _learned(
        self,
        study: Study,
        encoding: Encoding,
        random: np.random.Generator,
        known: Known,
        trials: Sequence[FrozenTrial],
    ) -> dict[str, Any]:
        data = self._data(study, encoding, known, self._corner(trials))
        if not data.learns:
            return self._spread(encoding, random, known)
        count = len(known.rows)
        beliefs = Beliefs(data, known.running, self._most_points // (1 if count <= 500 else 2))
        row = _best(encoding, beliefs, random, known.seen, self._candidates(count))
        return {} if row is None else encoding.parameters(row)

    def _candidates(self, trials: int) -> int:
        """How many are compared: fewer where trials are many; a suggestion should stay cheap."""
        most = self._pool if self._predictor is None else self._pool // 2
        return most // (1 if trials <= 100 else 2 if trials <= 500 else 8)

    def _known(
        self,
        study: Study,
        trials: list[FrozenTrial],
        number: int,
        search_space: dict[str, BaseDistribution],
    ) -> tuple[Encoding, Known]:
        """The space as rows, and the trials in it; read once, while it is one space."""
        gates = {
            n: g for n, g in self._space.of(trials, self._startup)[1].items() if n in search_space
        }
        kept = self._kept
        same_space = (
            kept is not None
            and kept[0] == gates
            and kept[1].names == tuple(search_space)
            and all(map(same, (axis.distribution for axis in kept[1].axes), search_space.values()))
            and kept[3] == (study.directions, study.metric_names)
        )
        if kept is None or not same_space:
            encoding = Encoding(search_space, gates)
            history = History(encoding, _signs(study), study.metric_names)
            kept = (gates, encoding, history, (study.directions, study.metric_names))
            self._kept = kept
        return kept[1], kept[2].read(trials, number)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One parameter on its own, by TPE."""
        if self._independent is None or self._independent[0] != trial.number:
            random = np.random.default_rng([_entropy(self._seed), trial.number, 1])
            seed = int(random.integers(2**32))
            self._independent = (
                trial.number,
                optuna.samplers.TPESampler(
                    n_startup_trials=self._startup, seed=seed, multivariate=False
                ),
            )
        _, tpe = self._independent
        return tpe.sample_independent(study, trial, param_name, param_distribution)

    def _spread(
        self, encoding: Encoding, random: np.random.Generator, known: Known
    ) -> dict[str, Any]:
        row = spread_out(encoding, random, known.tried, known.seen)
        return {} if row is None else encoding.parameters(row)

    def _corner(self, trials: Sequence[FrozenTrial]) -> Sequence[float] | None:
        return self._reference(trials) if callable(self._reference) else self._reference

    def _data(
        self,
        study: Study,
        encoding: Encoding,
        known: Known,
        corner: Sequence[float] | None,
    ) -> Data:
        values, there = known.values, np.isfinite(known.values)
        first = settled(len(values))
        logs = self._logs(study, values, there)
        scale = Scale(_signs(study), logs, values[:first], there[:first])
        predict = None
        if self._predictor is not None:
            predict = Predicted(self._predictor, encoding, scale)
            try:
                predict(known.rows[:1])
            except Exception as error:
                _warn(study, f"the predictor failed ({error!r}); learning without it")
                predict = None
        return Data(
            encoding,
            known.rows,
            scale.of(values),
            there,
            known.feasible & there.all(axis=1),
            known.constraints,
            known.front,
            predict,
            None if corner is None else scale.of(np.array([corner]))[0],
        )

    def _logs(self, study: Study, values: Floats, known: Bools) -> Bools:
        """Which objectives are logarithms; not those with a value that has none."""
        names = study.metric_names
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


def _signs(study: Study) -> Floats:
    return np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions])


def _entropy(seed: Any) -> int:
    return int(seed) % 2**63


def _warn(study: Study, message: str) -> None:
    """Say it once for a study, however many samplers draw for it."""
    key = (study.study_name, message.split("(")[0])
    if key not in _told:
        _told.add(key)
        warnings.warn(f"EhviSampler: {message}", UserWarning, stacklevel=4)
