"""What a sampler believes of candidates: a surrogate of each objective and each constraint."""

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
"""From a trial's parameters to what is known beforehand of some objectives, by their index."""
BEYOND = 0.1  # share of the front's range by which the reference point lies beyond its worst
BEYOND_GIVEN = 0.5  # at most this share where a reference point is given: it may be far out
_FRONT = 64  # points that the hypervolume's boxes are made of, where there are four objectives
_FITTED = 80  # points that hyperparameters are fitted to
_parts: Recent[Ints] = Recent(8)
"""Trials that surrogates learn from, by the values that they were chosen by."""


@dataclass
class Data:
    """What is known of completed trials (n) in scaled objectives (k), each to be made small.

    `constraints` are values (n) by name, NaN where a trial has none; `front` are the indices of
    trials that no other one dominates.
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
        """How many objectives there are."""
        return int(self.losses.shape[1])

    @property
    def learns(self) -> bool:
        """Whether any objective or constraint differs between trials."""
        spread = [
            np.ptp(c[k]) > 0 for c, k in zip(self.losses.T, self.known.T, strict=True) if k.any()
        ]
        return any(spread) or not self.feasible.all()


class Scale:
    """Objectives as losses of deviation 1: signs turned, logarithms taken where they count."""

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
        """Losses of values (n, k)."""
        safe = np.where(np.isfinite(values), values, 1.0)
        turned = np.where(self._logs, np.log(np.maximum(safe, 1e-300)), safe) * self._signs
        found: Floats = (turned - self._middle) / self._deviation
        return found


class PredictedLosses:
    """A predictor's losses for rows; 0 for objectives that it does not tell of."""

    def __init__(self, predictor: Predictor, encoding: Encoding, scale: Scale) -> None:
        self._predictor, self._encoding, self._scale = predictor, encoding, scale
        self._known: dict[bytes, Mapping[int, float]] = {}
        self.tells: Bools = np.zeros(len(scale.objectives), bool)
        """Of which objectives it tells, once it was called."""

    def __call__(self, rows: Floats) -> Floats:
        """Losses (n, k); ValueError where the predictor tells no finite numbers."""
        told = [self._told(row) for row in rows]
        values = np.array([[one.get(i, np.nan) for i in self._scale.objectives] for one in told])
        absent = np.isnan(values)
        if np.isinf(values).any() or (absent.any(axis=0) != absent.all(axis=0)).any():
            raise ValueError("expected a finite number for the same objectives of each candidate")
        self.tells = ~absent.any(axis=0)
        return np.where(absent, 0.0, self._scale.of(values))

    def _told(self, row: Floats) -> Mapping[int, float]:
        key = row.tobytes()
        if key not in self._known:
            self._known[key] = self._predictor(self._encoding.parameters(row))
        return self._known[key]


class Beliefs:
    """The surrogates of objectives and constraints, with running trials believed.

    What costs much, and what hyperparameters depend on, is of the first `settled` trials: most
    trials find it done.
    """

    def __init__(self, data: Data, running: Floats, most_points: int) -> None:
        self._data = data
        first = settled(len(data.rows))
        self.informed = bool(data.feasible.any())
        chosen = _chosen(data, first, most_points)
        self._chosen = chosen
        good = data.losses[chosen[data.feasible[chosen] & (chosen < first)]]
        if not len(good):
            good = data.losses[data.feasible]
        reference_point = data.reference_point
        if self.informed:
            own = worst_of_interest(good, BEYOND if reference_point is None else BEYOND_GIVEN)
            reference_point = own if reference_point is None else np.minimum(reference_point, own)
        if reference_point is None:
            self._bent: Callable[[Floats], Floats] = np.asarray
        else:
            self._bent = Bend(reference_point, good.min(axis=0) if len(good) else reference_point)
        rows = data.rows[chosen]
        losses, offsets = self._bent(data.losses[chosen]), np.zeros((len(rows), data.count))
        if data.predict is not None:
            told = self._bent(data.predict(rows))
            offsets = np.where(data.predict.tells, told, 0.0)
        x, old = self._features(rows), chosen < first
        self._objectives = [
            _surrogate(x, values, known, old)
            for values, known in zip((losses - offsets).T, data.known[chosen].T, strict=True)
        ]
        self._constraints = []
        for told in data.constraints.values():
            told = told[chosen]
            known = np.isfinite(told)
            if (told[known] > 0).any():
                values = np.where(known, told, 0.0)
                self._constraints.append(_surrogate(x, values, known, old))
        # What is on the front is what the surrogate says of it: a lucky reading is no progress.
        points = self.losses(rows[data.feasible[chosen]])[0]
        if len(running):
            features = self._features(running)
            points = np.concatenate([points, self.losses(running)[0]])
            self._objectives = [_believing(one, features) for one in self._objectives]
        if reference_point is not None and self.informed:
            self._improvement = _improvement(points, reference_point)

    def parents(self) -> Floats:
        """Rows worth changing a little: the front's, or where nothing is feasible the least bad."""
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
        """What surrogates see."""
        encoding = self._data.encoding
        return Rows.of(encoding.features(rows), encoding.categorical)

    def losses(self, rows: Floats) -> tuple[Floats, Floats]:
        """Means and deviations of the losses (m, k)."""
        if not len(rows):
            return np.empty((0, len(self._objectives))), np.empty((0, len(self._objectives)))
        x = self._features(rows)
        told = [_told_of(one, x) for one in self._objectives]
        mean = np.stack([mean for mean, _ in told], axis=1)
        if self._data.predict is not None:
            predicted = self._bent(self._data.predict(rows))
            mean = mean + np.where(self._data.predict.tells, predicted, 0.0)
        return mean, np.stack([deviation for _, deviation in told], axis=1)

    def score(self, rows: Floats) -> Floats:
        """How much each row is worth trying (m): the higher, the better."""
        from scipy.special import log_ndtr

        chance = np.zeros(len(rows))
        if self._constraints:
            x = self._features(rows)
            for one in self._constraints:
                mean, deviation = _told_of(one, x)
                chance += log_ndtr(-mean / deviation)
        if not self.informed:
            return chance
        gain = self._improvement(*self.losses(rows))
        found: Floats = np.log(np.maximum(gain, 1e-300)) + chance
        return found


def settled(count: int) -> int:
    """How many of `count` trials hyperparameters are learned from: all while they are few.

    From 64 on it is a multiple of a twentieth to a tenth of them.
    """
    if count <= 64:
        return count
    return count - count % int(2 ** np.floor(np.log2(count / 10)))


_Surrogate = GaussianProcess | float


def _surrogate(x: Rows, y: Floats, known: Bools, old: Bools) -> _Surrogate:
    """Fitted to the trials that have a value; a constant where none of them differ.

    Hyperparameters are of those that are `old`, of at most `_FITTED` of them.
    """
    kept = known if (known & old).any() else np.zeros_like(known)
    if not kept.any():
        raise FitError("no trial has a finite value")
    rows = np.flatnonzero(old[kept])
    part = np.linspace(0, len(rows) - 1, min(len(rows), _FITTED)).astype(np.intp)
    return GaussianProcess.fitted(
        x if kept.all() else x.taken(kept), y[kept], np.unique(rows[part])
    )


def _believing(surrogate: _Surrogate, x: Rows) -> _Surrogate:
    return surrogate if isinstance(surrogate, float) else surrogate.believing(x)


def _told_of(surrogate: _Surrogate, x: Rows) -> tuple[Floats, Floats]:
    if isinstance(surrogate, float):
        return np.full(len(x), surrogate), np.full(len(x), 1e-6)
    return surrogate.predict(x)


def _chosen(data: Data, first: int, most: int) -> Ints:
    """The trials that surrogates learn from, in their order: all while there are `most` at most.

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
    """Losses beyond a limit drawn together: how bad the bad ones are is not worth learning.

    Fallbacks are a hundred times slower; without this a surrogate would see little else.
    """

    def __init__(self, limit: Floats, best: Floats) -> None:
        self._limit, self._bend = limit, np.maximum(0.25 * (limit - best), 0.05)

    def __call__(self, losses: Floats) -> Floats:
        """Losses (n, k) in which order is kept, and everything up to the limit."""
        beyond = np.maximum(losses - self._limit, 0.0)
        drawn = self._limit + self._bend * np.log1p(beyond / self._bend)
        return np.where(beyond > 0, drawn, losses)
