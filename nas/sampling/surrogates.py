"""Surrogates of a study's objectives and constraints, and the score of candidates by them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from nas.sampling.convergence import ExpectedGain, hypervolume_of, noise_of
from nas.sampling.data import Data, chosen, settled
from nas.sampling.expected_improvement import ExpectedImprovement, below
from nas.sampling.gaussian import FitError, GaussianProcess
from nas.sampling.kernel import Rows
from nas.sampling.losses import Bend
from nas.sampling.quality import Quality, posterior

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
BEYOND = 0.1  # share of the front's range by which the reference point lies beyond its worst
BEYOND_GIVEN = 0.5  # at most this share where a reference point is given: it may be far out
LEAST = 0.1  # but at least that, in deviations of all trials
LEAST_GIVEN = 1.0  # the same where features are given
_LOOKS_LEARNED = 32  # candidates that were looked at and not tried, the last ones
_REFUSALS_LEARNED = 100  # candidates that were refused, or not, the last ones
_FRONT = 64  # points that the hypervolume's boxes are made of, where there are four objectives
_FITTED = 80  # points that hyperparameters are fitted to


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
        self._chosen = chosen(data, first, most_points)
        reference_point = self._scale_of_interest(first)
        rows, old = data.rows[self._chosen], self._chosen < first
        self._predicted: Bools = np.zeros(data.count, bool)
        offsets = np.zeros((len(rows), data.count))
        if data.predict is not None:
            predicted = self._bent(data.predict(rows))
            self._predicted = data.predict.tells
            offsets = np.where(self._predicted, predicted, 0.0)
        by_look = np.isfinite(data.looked.values).any(axis=0)
        self._dear: Bools = ~self._predicted & ~by_look & ~data.scale.logs
        """The objectives (k) that only a trial tells: no predictor, no look, no logarithm."""
        self._told = self._looked_at()
        self._objectives: list[_Surrogate | Quality] = []
        self._learn(rows, old, offsets)
        # What is on the front is what the surrogate says of it: a lucky reading is no progress.
        points = self._worth(rows[data.feasible[self._chosen]])
        if len(running):
            points = np.concatenate([points, self._worth(running)])
            self._objectives = [
                _believing(one, self._inputs(index, running))
                for index, one in enumerate(self._objectives)
            ]
        if reference_point is not None and self.informed:
            self._improvement = _improvement(points, reference_point)
        self._points, self._reference_point = points, reference_point

    def _learn(self, rows: Floats, old: Bools, offsets: Floats) -> None:
        """Fit a surrogate for each objective, and for each constraint that was ever broken."""
        data, at = self._data, self._chosen
        losses, known = data.losses[at], data.known[at]
        bent = self._bent(losses) - offsets
        looks, looked = self._looks_to_learn()
        few = len(data.rows) <= 64
        for index in range(data.count):
            values, there = bent[:, index], known[:, index]
            x, early = rows, old
            if self._dear[index]:
                if not (there & old).any():
                    raise FitError("no trial has a finite value")
                inputs = self._inputs(index, rows[there])
                self._objectives.append(Quality.of(inputs, losses[there, index], old[there]))
                continue
            told = np.isfinite(looked[:, index])
            if told.any():
                x = np.concatenate([rows, looks[told]])
                values = np.concatenate([values, looked[told, index]])
                there = np.concatenate([there, np.ones(int(told.sum()), bool)])
                early = np.concatenate([old, np.full(int(told.sum()), few)])
            self._objectives.append(_surrogate(self._inputs(index, x), values, there, early))
        x_plain = self._features(rows)
        self._constraints = [
            _surrogate(x_plain, np.nan_to_num(values), np.isfinite(values), old)
            for values in (column[at] for column in data.constraints.values())
            if (values[np.isfinite(values)] > 0).any()
        ]
        if data.looked.refused.any():
            self._constraints.append(self._refusals(rows[data.feasible[at]]))

    def _refusals(self, feasible: Floats) -> _Surrogate:
        """Return a surrogate of what looks refuse: 1, and -1 for what works (rows (n, d))."""
        looked = self._data.looked
        rows = np.concatenate([feasible, looked.rows])[-_REFUSALS_LEARNED:]
        values = np.concatenate([-np.ones(len(feasible)), 2.0 * looked.refused - 1])
        every = np.ones(len(rows), bool)
        return _surrogate(self._features(rows), values[-_REFUSALS_LEARNED:], every, every)

    def _looked_at(self) -> dict[bytes, Floats]:
        """Return the bent losses (k) of looks by their row's bytes, NaN where one gives none."""
        data = self._data
        losses = data.looked_losses
        self._look_deviation = data.look_error(losses)[1]
        bent = np.where(np.isfinite(losses), self._bent(np.nan_to_num(losses)), np.nan)
        return {row.tobytes(): one for row, one in zip(data.looked.rows, bent, strict=True)}

    def _looks_to_learn(self) -> tuple[Floats, Floats]:
        """Return rows (m, d) that were looked at and not tried, and what is to learn of them.

        That is the bent loss (m, k), less what was predicted, NaN where a look gives none.
        """
        data = self._data
        tried = {row.tobytes() for row in data.rows}
        at = [i for i, row in enumerate(data.looked.rows) if row.tobytes() not in tried]
        at = at[-_LOOKS_LEARNED:]
        rows, losses = data.looked.rows[at], data.looked_losses[at]
        bent = np.where(np.isfinite(losses), self._bent(np.nan_to_num(losses)), np.nan)
        if data.predict is not None and len(rows):
            bent = bent - np.where(self._predicted, self._bent(data.predict(rows)), 0.0)
        return rows, bent

    def _scale_of_interest(self, first: int) -> Floats | None:
        """Choose the reference point (k) and, by it, how far losses are compressed.

        Returns None where no trial is feasible and no reference point is given.
        """
        data, at = self._data, self._chosen
        good = data.losses[at[data.feasible[at] & (at < first)]]
        if not len(good):
            good = data.losses[data.feasible]
        reference_point = data.reference_point
        if self.informed:
            if reference_point is None:
                own = worst_of_interest(good, BEYOND, LEAST)
            else:
                least = LEAST if data.features is None else LEAST_GIVEN
                own = worst_of_interest(good, BEYOND_GIVEN, least)
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

    def _inputs(self, index: int, rows: Floats) -> Rows:
        """Return the inputs for rows (m, d) of an objective's surrogate.

        Features are among them unless the objective is predicted.
        """
        data = self._data
        if data.features is None or self._predicted[index]:
            return self._features(rows)
        columns = data.features(rows)
        x = np.concatenate([data.encoding.features(rows), columns], axis=1)
        flags = np.concatenate([data.encoding.categorical, np.zeros(columns.shape[1], bool)])
        return Rows.of(x, flags, columns.shape[1])

    def _worth(self, rows: Floats) -> Floats:
        """Return the middle of what is believed of rows (m, k)."""
        points = self._costs(rows)[0]
        for index, one in enumerate(self._objectives):
            if isinstance(one, Quality) and len(rows):
                points[:, index] = one.expected(self._inputs(index, rows))
        return points

    def looking(self, data: Data) -> Beliefs:
        """Return the same beliefs with the looks of `data`; nothing is fitted again."""
        twin = copy.copy(self)
        twin._data = data
        twin._told = twin._looked_at()
        return twin

    def _costs(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return means and deviations of the losses (m, k) of rows (m, d); 0, 1 for qualities."""
        mean, deviation = (
            np.zeros((len(rows), self._data.count)),
            np.ones_like(rows, shape=(len(rows), self._data.count)),
        )
        if not len(rows):
            return mean, deviation
        for index, one in enumerate(self._objectives):
            if not isinstance(one, Quality):
                x = self._inputs(index, rows)
                mean[:, index], deviation[:, index] = posterior(one, x)
        if self._data.predict is not None:
            predicted = self._bent(self._data.predict(rows))
            mean = mean + np.where(self._data.predict.tells, predicted, 0.0)
        for place, row in enumerate(rows) if self._told else ():
            told = self._told.get(row.tobytes())
            if told is not None:
                there = np.isfinite(told)
                mean[place, there] = told[there]
                deviation[place, there] = self._look_deviation[there]
        return mean, deviation

    def _gain(self, rows: Floats) -> Floats:
        """Return the expected gain of hypervolume (m) of rows (m, d)."""
        mean, deviation = self._costs(rows)
        each: list[Callable[[Floats], Floats]] = []
        for index, one in enumerate(self._objectives):
            if isinstance(one, Quality):
                each.append(partial(one.below, self._inputs(index, rows)))
            else:
                mu, sigma = mean[:, index], deviation[:, index]
                each.append(partial(below, mean=mu, deviation=sigma))
        return self._improvement.expected(each)

    def expected_gain(self, row: Floats) -> ExpectedGain | None:
        """Return what a row (d) is expected to add; None while there is nothing to add to."""
        if not self.informed or self._reference_point is None:
            return None
        volume = hypervolume_of(self._points, self._reference_point)
        if volume <= 0:
            return None
        noise = noise_of(self._points, self._reference_point, self._noises())
        return ExpectedGain(float(np.exp(self.score(row[None])[0])) / volume, noise / volume)

    def _noises(self) -> Floats:
        """Return the deviations (k) of single trials' losses from what they are on average."""
        found = [one.surrogate if isinstance(one, Quality) else one for one in self._objectives]
        return np.array([0.0 if isinstance(one, float) else one.noise for one in found])

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
                mean, deviation = posterior(one, x)
                chance += log_ndtr(-mean / deviation)
        if not self.informed:
            return chance
        score: Floats = np.log(np.maximum(self._gain(rows), 1e-300)) + chance
        return score


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


def _believing(surrogate: _Surrogate | Quality, x: Rows) -> _Surrogate | Quality:
    return surrogate if isinstance(surrogate, float) else surrogate.believing(x)


def worst_of_interest(losses: Floats, beyond: float, least: float) -> Floats:
    """Return a reference point (k): the front's worst values and a share `beyond` of their range.

    It is `least` beyond at least: a front of few points has hardly a range, and where nothing
    counts beyond it, quality is worth nothing beside being cheaper. A point further out would make
    the ends of the front the most valuable places there are.
    """
    import moocore

    front = losses[moocore.is_nondominated(losses)]
    low, high = front.min(axis=0), front.max(axis=0)
    reference_point: Floats = high + np.maximum(beyond * (high - low), least)
    return reference_point


def _improvement(points: Floats, reference_point: Floats) -> ExpectedImprovement:
    import moocore

    front = points[moocore.is_nondominated(points)]
    if len(front) > _FRONT and front.shape[1] > 3:
        # Thinned evenly along the first objective: the boxes grow with the square of the front.
        order = np.argsort(front[:, 0], kind="stable")
        front = front[order[np.linspace(0, len(front) - 1, _FRONT).astype(np.intp)]]
    return ExpectedImprovement(np.ascontiguousarray(front), reference_point)
