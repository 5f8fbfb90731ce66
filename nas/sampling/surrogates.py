"""Surrogates of a study's objectives and constraints, and the score of candidates by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.sampling.expected_improvement import ExpectedImprovement
from nas.sampling.gaussian import FitError, GaussianProcess
from nas.sampling.history import TrialTable
from nas.sampling.kernel import Rows
from nas.sampling.space import Encoding
from nas.sampling.threads import Recent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Predictor = Callable[[Mapping[str, Any]], Mapping[int, float]]
"""A function from a trial's parameters to the expected values of some objectives, by index."""
BEYOND = 0.1  # share of the front's range by which the reference point lies beyond its worst
BEYOND_GIVEN = 0.5  # at most this share where a reference point is given: it may be far out
_FRONT = 64  # points that the hypervolume's boxes are made of, where there are four objectives
_FITTED = 80  # points that hyperparameters are fitted to
_parts: Recent[Ints] = Recent(8)
"""The trials that surrogates learn from, by the values that the choice depends on."""


@dataclass
class Data:
    """Completed trials (n) with their objectives (k) as scaled losses.

    `encoding` is that of `rows` (n, d). `losses` are (n, k); `known` (n, k) says which of them a
    trial has. `feasible` (n): all constraints hold and all losses are known. `constraints` are
    values (n) by name, NaN where a trial has none. `front` are the indices of trials that no other
    one dominates. `predict` gives expected losses for rows; None without a predictor.
    `reference_point` (k) is that of the hypervolume as losses; None for the default.
    """

    encoding: Encoding
    rows: Floats
    losses: Floats
    known: Bools
    feasible: Bools
    constraints: Mapping[str, Floats]
    front: Ints
    predict: PredictedLosses | None
    reference_point: Floats | None = None

    @classmethod
    def of(
        cls,
        encoding: Encoding,
        known: TrialTable,
        scale: Scale,
        predict: PredictedLosses | None = None,
        reference_point: Sequence[float] | None = None,
    ) -> Data:
        """Return the scaled data of the trials that were read.

        `reference_point` is in the objectives' units. A trial that lacks a value is not feasible.
        """
        there = np.isfinite(known.values)
        return cls(
            encoding,
            known.rows,
            scale.of(known.values),
            there,
            known.feasible & there.all(axis=1),
            known.constraints,
            known.front,
            predict,
            None if reference_point is None else scale.of(np.array([reference_point]))[0],
        )

    @property
    def count(self) -> int:
        """The number of objectives."""
        return int(self.losses.shape[1])

    @property
    def learns(self) -> bool:
        """True where any objective or constraint differs between trials."""
        spread = [
            np.ptp(c[k]) > 0 for c, k in zip(self.losses.T, self.known.T, strict=True) if k.any()
        ]
        return any(spread) or not self.feasible.all()


class Scale:
    """The map from objectives to losses of mean 0 and deviation 1.

    `signs` (k) turn objectives into losses, `logs` (k) says which ones count by their logarithms.
    Mean and deviation are those of `values` (n, k) where `known` (n, k).
    """

    def __init__(self, signs: Floats, logs: Bools, values: Floats, known: Bools) -> None:
        self._signs, self._logs = signs, logs
        self.objectives = range(len(signs))
        self._middle, self._deviation = np.zeros(len(signs)), np.ones(len(signs))
        plain = self.of(values)
        for index in range(len(signs)):
            column = plain[known[:, index], index]
            if len(column):
                self._middle[index] = column.mean()
                self._deviation[index] = column.std() or 1.0

    def of(self, values: Floats) -> Floats:
        """Return the losses (n, k) of values (n, k)."""
        safe = np.where(np.isfinite(values), values, 1.0)
        turned = np.where(self._logs, np.log(np.maximum(safe, 1e-300)), safe) * self._signs
        losses: Floats = (turned - self._middle) / self._deviation
        return losses


class PredictedLosses:
    """A predictor's expected losses for rows; 0 for objectives that it says nothing about."""

    def __init__(self, predictor: Predictor, encoding: Encoding, scale: Scale) -> None:
        self._predictor, self._encoding, self._scale = predictor, encoding, scale
        self._known: dict[bytes, Mapping[int, float]] = {}
        self.tells: Bools = np.zeros(len(scale.objectives), bool)
        """The objectives (k) that the predictor gives values for, after a call."""

    def __call__(self, rows: Floats) -> Floats:
        """Return losses (n, k); ValueError where the predictor gives no finite numbers."""
        predictions = [self._prediction(row) for row in rows]
        values = np.array(
            [[one.get(i, np.nan) for i in self._scale.objectives] for one in predictions]
        )
        absent = np.isnan(values)
        if np.isinf(values).any() or (absent.any(axis=0) != absent.all(axis=0)).any():
            raise ValueError("expected a finite number for the same objectives of each candidate")
        self.tells = ~absent.any(axis=0)
        return np.where(absent, 0.0, self._scale.of(values))

    def _prediction(self, row: Floats) -> Mapping[int, float]:
        key = row.tobytes()
        if key not in self._known:
            self._known[key] = self._predictor(self._encoding.parameters(row))
        return self._known[key]


class Beliefs:
    """The surrogates of objectives and constraints; running trials count as if they had ended.

    Expensive parts, and all that hyperparameters depend on, use the first `settled` trials only,
    so that most trials find them in a cache. `running` are rows (r, d); `most_points` is the
    largest number of trials to learn from. Raises FitError where no surrogate can be fitted.
    """

    def __init__(self, data: Data, running: Floats, most_points: int) -> None:
        self._data = data
        first = settled(len(data.rows))
        self.informed = bool(data.feasible.any())
        self._chosen = chosen = _chosen(data, first, most_points)
        reference_point = self._scale_of_interest(first)
        rows, old = data.rows[chosen], chosen < first
        x = self._features(rows)
        losses, offsets = self._bent(data.losses[chosen]), np.zeros((len(rows), data.count))
        if data.predict is not None:
            predicted = self._bent(data.predict(rows))
            offsets = np.where(data.predict.tells, predicted, 0.0)
        self._objectives = [
            _surrogate(x, values, known, old)
            for values, known in zip((losses - offsets).T, data.known[chosen].T, strict=True)
        ]
        self._constraints = [
            _surrogate(x, np.where(np.isfinite(values), values, 0.0), np.isfinite(values), old)
            for values in (column[chosen] for column in data.constraints.values())
            if (values[np.isfinite(values)] > 0).any()
        ]
        # What is on the front is what the surrogate says of it: a lucky reading is no progress.
        points = self.losses(rows[data.feasible[chosen]])[0]
        if len(running):
            features = self._features(running)
            points = np.concatenate([points, self.losses(running)[0]])
            self._objectives = [_believing(one, features) for one in self._objectives]
        if reference_point is not None and self.informed:
            self._improvement = _improvement(points, reference_point)

    def _scale_of_interest(self, first: int) -> Floats | None:
        """Choose the reference point (k) and, by it, how far losses are compressed.

        Returns None where no trial is feasible and no reference point is given.
        """
        data, chosen = self._data, self._chosen
        good = data.losses[chosen[data.feasible[chosen] & (chosen < first)]]
        if not len(good):
            good = data.losses[data.feasible]
        reference_point = data.reference_point
        if self.informed:
            own = worst_of_interest(good, BEYOND if reference_point is None else BEYOND_GIVEN)
            reference_point = own if reference_point is None else np.minimum(reference_point, own)
        self._bent: Callable[[Floats], Floats] = np.asarray
        if reference_point is not None:
            self._bent = Bend(reference_point, good.min(axis=0) if len(good) else reference_point)
        return reference_point

    def parents(self) -> Floats:
        """Return rows worth changing a little: the front, or the least bad if none is feasible."""
        import moocore

        data = self._data
        if not data.feasible.any():
            broken = sum(np.maximum(np.nan_to_num(v), 0.0) for v in data.constraints.values())
            return data.rows[np.argsort(broken, kind="stable")[:8]]
        if len(data.front) >= 8:
            return data.rows[data.front]
        near = self._chosen[data.feasible[self._chosen]]
        ranks = moocore.pareto_rank(data.losses[near])
        return data.rows[near[np.argsort(ranks, kind="stable")[:8]]]

    def _features(self, rows: Floats) -> Rows:
        """Return the surrogates' inputs for rows (m, d)."""
        encoding = self._data.encoding
        return Rows.of(encoding.features(rows), encoding.categorical)

    def losses(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return means and deviations of the losses (m, k) of rows (m, d)."""
        if not len(rows):
            return np.empty((0, len(self._objectives))), np.empty((0, len(self._objectives)))
        x = self._features(rows)
        posteriors = [_posterior(one, x) for one in self._objectives]
        mean = np.stack([mean for mean, _ in posteriors], axis=1)
        if self._data.predict is not None:
            predicted = self._bent(self._data.predict(rows))
            mean = mean + np.where(self._data.predict.tells, predicted, 0.0)
        return mean, np.stack([deviation for _, deviation in posteriors], axis=1)

    def score(self, rows: Floats) -> Floats:
        """Return the score (m) of rows (m, d): how much each is worth trying.

        It is the logarithm of the expected gain times the chance that all constraints hold; of that
        chance alone while no trial is feasible.
        """
        from scipy.special import log_ndtr

        chance = np.zeros(len(rows))
        if self._constraints:
            x = self._features(rows)
            for one in self._constraints:
                mean, deviation = _posterior(one, x)
                chance += log_ndtr(-mean / deviation)
        if not self.informed:
            return chance
        gain = self._improvement(*self.losses(rows))
        score: Floats = np.log(np.maximum(gain, 1e-300)) + chance
        return score


def settled(count: int) -> int:
    """Return how many of `count` trials hyperparameters are learned from: all while few.

    From 64 on it is a multiple of a twentieth to a tenth of them.
    """
    if count <= 64:
        return count
    return count - count % int(2 ** np.floor(np.log2(count / 10)))


_Surrogate = GaussianProcess | float


def _surrogate(x: Rows, y: Floats, known: Bools, old: Bools) -> _Surrogate:
    """Return a surrogate of the trials with a value; a constant where all values are equal.

    Hyperparameters come from the `old` trials, from at most `_FITTED` of them.
    """
    usable = known if (known & old).any() else np.zeros_like(known)
    if not usable.any():
        raise FitError("no trial has a finite value")
    rows = np.flatnonzero(old[usable])
    part = np.linspace(0, len(rows) - 1, min(len(rows), _FITTED)).astype(np.intp)
    return GaussianProcess.fitted(
        x if usable.all() else x.at(usable), y[usable], np.unique(rows[part])
    )


def _believing(surrogate: _Surrogate, x: Rows) -> _Surrogate:
    return surrogate if isinstance(surrogate, float) else surrogate.believing(x)


def _posterior(surrogate: _Surrogate, x: Rows) -> tuple[Floats, Floats]:
    if isinstance(surrogate, float):
        return np.full(len(x), surrogate), np.full(len(x), 1e-6)
    return surrogate.predict(x)


def _chosen(data: Data, first: int, most: int) -> Ints:
    """Return the indices of the trials to learn from: all while there are at most `most`.

    Later the best and a part of the rest of the `first` ones; of those that came after them, the
    last ones and those on the front.
    """
    count = len(data.rows)
    if count <= most:
        return np.arange(count)
    near = data.front[data.front >= first]
    last = np.arange(max(first, count - most // 8), count)
    late = np.unique(np.concatenate([near[max(0, len(near) - most // 8) :], last]))
    return np.concatenate([_best_of(data, first, most * 3 // 4), late])


def _best_of(data: Data, first: int, most: int) -> Ints:
    losses, feasible = data.losses[:first], data.feasible[:first]
    key = (losses.tobytes(), feasible.tobytes(), str(most).encode())
    return _parts.of(key, lambda: _best(losses, feasible, most))


def _best(losses: Floats, feasible: Bools, most: int) -> Ints:
    import moocore

    ranks = moocore.pareto_rank(losses) + len(losses) * ~feasible
    order = np.argsort(ranks, kind="stable")
    near, rest = order[: most * 2 // 3], np.sort(order[most * 2 // 3 :])
    part = np.linspace(0, len(rest) - 1, min(most - len(near), len(rest))).astype(np.intp)
    return np.unique(np.concatenate([near, rest[part]]))


def worst_of_interest(losses: Floats, beyond: float = BEYOND) -> Floats:
    """Return a reference point (k): the front's worst values and a share `beyond` of their range.

    A point further out would make the ends of the front the most valuable places there are.
    """
    import moocore

    front = losses[moocore.is_nondominated(losses)]
    low, high = front.min(axis=0), front.max(axis=0)
    reference_point: Floats = high + np.maximum(beyond * (high - low), 0.1)
    return reference_point


def _improvement(points: Floats, reference_point: Floats) -> ExpectedImprovement:
    import moocore

    front = points[moocore.is_nondominated(points)]
    if len(front) > _FRONT and front.shape[1] > 3:
        # Thinned evenly along the first objective: the boxes grow with the square of the front.
        order = np.argsort(front[:, 0], kind="stable")
        front = front[order[np.linspace(0, len(front) - 1, _FRONT).astype(np.intp)]]
    return ExpectedImprovement(np.ascontiguousarray(front), reference_point)


class Bend:
    """A map that compresses losses beyond `limit` (k), where exact values do not matter.

    Fallbacks are a hundred times slower; without this a surrogate would see little else. `best`
    (k) are the lowest losses, which set how much is compressed.
    """

    def __init__(self, limit: Floats, best: Floats) -> None:
        self._limit, self._bend = limit, np.maximum(0.25 * (limit - best), 0.05)

    def __call__(self, losses: Floats) -> Floats:
        """Return losses (n, k) in the same order, unchanged up to the limit."""
        beyond = np.maximum(losses - self._limit, 0.0)
        compressed = self._limit + self._bend * np.log1p(beyond / self._bend)
        return np.where(beyond > 0, compressed, losses)
