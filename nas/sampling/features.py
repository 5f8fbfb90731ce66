"""What is known of a candidate before its trial, as further inputs of surrogates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.sampling.earlier import EarlierValues
from nas.sampling.space import Encoding

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Features = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""A function from a trial's parameters to numbers that describe the candidate, by name."""
_DRAWN = 200  # random candidates that columns are scaled by
_SPREAD = 0.25  # the deviation of a column, around 0.5: other numbers run from 0 to 1
_FURTHEST = 4.0  # deviations from the middle
_MOST = 20_000  # candidates that are remembered


@final
class FeatureColumns:
    """Features of rows as columns whose mean is 0.5 and whose deviation is 0.25.

    That is so for candidates drawn at random. A feature that is the same for all of them is left
    out; one that is missing, or not finite, counts as the mean. What `earlier` trials let expect
    are columns as well. Raises what `features` raises.
    """

    def __init__(
        self,
        features: Features | None,
        encoding: Encoding,
        earlier: EarlierValues | None = None,
    ) -> None:
        self._features, self._encoding, self._earlier = features, encoding, earlier
        self._known: dict[bytes, Floats] = {}
        drawn = encoding.draw(np.random.default_rng(0), _DRAWN)
        told = [features(encoding.parameters(row)) for row in drawn] if features else []
        self._names = tuple(sorted({name for one in told for name in one}))
        values = self._values(drawn)
        there = np.isfinite(values)
        count = np.maximum(there.sum(axis=0), 1)
        self._middle = np.where(there, values, 0.0).sum(axis=0) / count
        off = np.where(there, values - self._middle, 0.0)
        deviation = np.sqrt((off * off).sum(axis=0) / count)
        varies = deviation > 1e-9 * np.maximum(1.0, np.abs(self._middle))
        self._deviation = np.where(varies, deviation, 1.0)
        self._kept: Bools = varies

    def __call__(self, rows: Floats) -> Floats:
        """Return the columns (n, features) of rows (n, parameters)."""
        off = (self._values(rows) - self._middle) / self._deviation
        off = np.where(np.isfinite(off), np.clip(off, -_FURTHEST, _FURTHEST), 0.0)
        columns: Floats = 0.5 + _SPREAD * off[:, self._kept]
        return columns

    def _values(self, rows: Floats) -> Floats:
        """Return features as they are told (n, features), NaN where one is missing."""
        told = np.array([self._told(row) for row in rows]).reshape(len(rows), -1)
        return told if self._earlier is None else np.hstack([told, self._earlier(rows)])

    def _told(self, row: Floats) -> Floats:
        if self._features is None:
            return np.empty(0)
        key = row.tobytes()
        found = self._known.get(key)
        if found is None:
            told = self._features(self._encoding.parameters(row))
            found = np.array([told.get(name, np.nan) for name in self._names], np.float64)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = found
        return found
