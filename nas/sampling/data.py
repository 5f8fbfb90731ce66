"""What surrogates learn from: trials and looks as scaled losses, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from nas.sampling.features import FeatureColumns
from nas.sampling.history import TrialTable
from nas.sampling.losses import PredictedLosses, Scale
from nas.sampling.space import Encoding
from nas.sampling.threads import Recent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
LOOKED = 0.02  # the deviation of a look from the trial's value, of all trials' deviation
_TRUSTED = 4.0  # trials that count as having agreed with their looks so
_parts: Recent[Ints] = Recent(8)
"""The trials that surrogates learn from, by the values that the choice depends on."""


@final
@dataclass(frozen=True)
class LookedRows:
    """Candidates that were looked at, oldest first, as rows (m, d).

    `values` (m, k) are in the objectives' units, NaN where a look gives none; `refused` (m) says
    that a candidate can't be used.
    """

    rows: Floats
    values: Floats
    refused: Bools

    @classmethod
    def none(cls, width: int, objectives: int) -> LookedRows:
        """Return no looks, of a space of `width` parameters."""
        return cls(np.empty((0, width)), np.empty((0, objectives)), np.empty(0, bool))


@dataclass
class Data:
    """Completed trials (n) with their objectives (k) as scaled losses.

    `encoding` is that of `rows` (n, d). `losses` are (n, k); `known` (n, k) says which of them a
    trial has. `feasible` (n): all constraints hold and all losses are known. `constraints` are
    values (n) by name, NaN where a trial has none. `front` are the indices of trials that no other
    one dominates. `predict` gives expected losses for rows; None without a predictor.
    `reference_point` (k) is that of the hypervolume as losses; None for the default. `scale`
    made the losses. `features` are further columns of rows. `looked` are candidates that were
    looked at, tried or not.
    """

    encoding: Encoding
    rows: Floats
    losses: Floats
    known: Bools
    feasible: Bools
    constraints: Mapping[str, Floats]
    front: Ints
    predict: PredictedLosses | None
    scale: Scale
    looked: LookedRows
    reference_point: Floats | None = None
    features: FeatureColumns | None = None

    @classmethod
    def of(
        cls,
        encoding: Encoding,
        known: TrialTable,
        scale: Scale,
        predict: PredictedLosses | None = None,
        reference_point: Sequence[float] | None = None,
        features: FeatureColumns | None = None,
        looked: LookedRows | None = None,
    ) -> Data:
        """Return the scaled data of the trials that were read.

        `reference_point` is in the objectives' units. A trial that lacks a value is not feasible.
        """
        there = np.isfinite(known.values)
        looked = looked or LookedRows.none(len(encoding.names), known.values.shape[1])
        return cls(
            encoding,
            known.rows,
            scale.of(known.values),
            there,
            known.feasible & there.all(axis=1),
            known.constraints,
            known.front,
            predict,
            scale,
            looked,
            None if reference_point is None else scale.of(np.array([reference_point]))[0],
            features,
        )

    def with_looks(self, looked: LookedRows) -> Data:
        """Return the same data with these looks."""
        return replace(self, looked=looked)

    @cached_property
    def looked_losses(self) -> Floats:
        """The losses (m, k) of looks, NaN where a look gives none.

        What later trials differed from their looks by on average is added to all.
        """
        values = self.looked.values
        losses = np.where(np.isfinite(values), self.scale.of(values), np.nan)
        return losses + self.look_error(losses)[0]

    def look_error(self, losses: Floats) -> tuple[Floats, Floats]:
        """Return by how much trials differ from the looks (m, k) before them: mean, deviation (k).

        Both are shrunk to 0 and to `LOOKED` as if four trials had been told so.
        """
        at = {row.tobytes(): place for place, row in enumerate(self.rows)}
        pairs = [
            (at[row.tobytes()], place)
            for place, row in enumerate(self.looked.rows)
            if row.tobytes() in at
        ]
        tried, looks = np.array(pairs, np.intp).reshape(-1, 2).T
        off = np.where(self.known[tried], self.losses[tried] - losses[looks], np.nan)
        there = np.isfinite(off)
        count = there.sum(axis=0) + _TRUSTED
        mean = np.where(there, off, 0.0).sum(axis=0) / count
        rest = np.where(there, off - mean, 0.0)
        return mean, np.sqrt(((rest * rest).sum(axis=0) + _TRUSTED * LOOKED**2) / count)

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


def settled(count: int) -> int:
    """Return how many of `count` trials hyperparameters are learned from: all while few.

    From 64 on it is a multiple of a twentieth to a tenth of them.
    """
    if count <= 64:
        return count
    return count - count % int(2 ** np.floor(np.log2(count / 10)))


def chosen(data: Data, first: int, most: int) -> Ints:
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
