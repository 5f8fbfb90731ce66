"""Statistics that several rooms need of a few figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class RankCorrelation(NamedTuple):
    """Kendall's tau-b of two rows of figures, and how likely one so far from 0 is by chance.

    `p_value` is exact where no two figures of a row are equal, else an approximation.
    """

    tau: float
    p_value: float


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b: how far two rows of figures put things in the same order, -1 to 1.

    None where it says nothing: fewer than two figures, or a row whose figures are all equal.
    Raises ValueError for rows of different lengths.
    """
    correlation = rank_correlation(first, second)
    return correlation.tau if correlation else None


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> RankCorrelation | None:
    """Return Kendall's tau-b of two rows of figures and the probability of it by chance alone.

    None where it says nothing: fewer than two figures, or a row whose figures are all equal.
    Raises ValueError for rows of different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"expected two rows of equal length, but {len(first)} and {len(second)}")
    if len(first) < 2:
        return None
    from scipy.stats import kendalltau

    result = kendalltau(first, second)
    tau = float(result.statistic)
    return RankCorrelation(tau, float(result.pvalue)) if math.isfinite(tau) else None
