"""Objectives as losses: small is good, and what is far from interesting lies close together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.sampling.space import Encoding

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Predictor = Callable[[Mapping[str, Any]], Mapping[int, float]]
"""A function from a trial's parameters to the expected values of some objectives, by index."""
_MOST_KNOWN = 20_000  # predictions that are remembered


class Scale:
    """The map from objectives to losses of mean 0 and deviation 1.

    `signs` (k) turn objectives into losses, `logs` (k) says which ones count by their logarithms.
    Mean and deviation are those of `values` (n, k) where `known` (n, k).
    """

    def __init__(self, signs: Floats, logs: Bools, values: Floats, known: Bools) -> None:
        self._signs, self.logs = signs, logs
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
        turned = np.where(self.logs, np.log(np.maximum(safe, 1e-300)), safe) * self._signs
        losses: Floats = (turned - self._middle) / self._deviation
        return losses


class PredictedLosses:
    """A predictor's expected losses for rows; 0 for objectives that it says nothing about.

    `known` are predictions by a row's bytes; it is added to.
    """

    def __init__(
        self,
        predictor: Predictor,
        encoding: Encoding,
        scale: Scale,
        known: dict[bytes, list[float]] | None = None,
    ) -> None:
        self._predictor, self._encoding, self._scale = predictor, encoding, scale
        self._known: dict[bytes, list[float]] = {} if known is None else known
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self.tells: Bools = np.zeros(len(scale.objectives), bool)
        """The objectives (k) that the predictor gives values for, after a call."""

    def __call__(self, rows: Floats) -> Floats:
        """Return losses (n, k); ValueError where the predictor gives no finite numbers."""
        values = np.array([self._prediction(row) for row in rows])
        absent = np.isnan(values)
        if np.isinf(values).any() or (absent.any(axis=0) != absent.all(axis=0)).any():
            raise ValueError("expected a finite number for the same objectives of each candidate")
        self.tells = ~absent.any(axis=0)
        return np.where(absent, 0.0, self._scale.of(values))

    def _prediction(self, row: Floats) -> list[float]:
        key = row.tobytes()
        if key not in self._known:
            told = self._predictor(self._encoding.parameters(row))
            self._known[key] = [told.get(index, np.nan) for index in self._scale.objectives]
        return self._known[key]


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
