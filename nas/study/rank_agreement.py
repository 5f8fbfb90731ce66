"""How far two rows of figures put networks in the same order, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

LEAST = 4  # networks, below which an order says nothing
RESAMPLES = 2000
COVERED = 0.95


@final
@dataclass(frozen=True)
class Agreement:
    """Kendall's `tau`-b of `count` networks, with the bootstrap `interval` (95 %) over networks."""

    count: int
    tau: float
    interval: tuple[float, float]


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement | None:
    """Return how far two rows of equal length agree on the order of networks.

    None for fewer than `LEAST` networks, or where all figures of a row are equal.

    The interval is the middle 95 % of `RESAMPLES` draws of as many networks with replacement, the
    same at every call. Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
    """
    a, b = (_signs(np.asarray(row, np.float64)) for row in (first, second))
    count = len(first)
    tau = _drawn_tau(a, b, np.arange(count)) if count >= LEAST else None
    if tau is None:
        return None
    rng = np.random.default_rng(0)
    draws = (_drawn_tau(a, b, rng.integers(0, count, count)) for _ in range(RESAMPLES))
    taus = [one for one in draws if one is not None]
    tail = 50 * (1 - COVERED)
    low, high = np.percentile(taus, [tail, 100 - tail])
    return Agreement(count, tau, (float(low), float(high)))


def _signs(row: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.sign(row[:, None] - row[None, :]).astype(np.int64)


def _drawn_tau(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> float | None:
    """Return tau-b of the networks of `rows`; None where a row of figures has ties only.

    `nas.system.statistics.kendall_tau` gives the same up to rounding. A bootstrap asks thousands of
    times, so the signs are computed once. Rows of one order give exactly 1, so that a tau lies
    within its interval.
    """
    a, b = (signs[np.ix_(rows, rows)] for signs in (first, second))
    norm = float(np.sqrt(float((a * a).sum()) * float((b * b).sum())))
    return float((a * b).sum()) / norm if norm else None
