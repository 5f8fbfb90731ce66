"""Statistics that several rooms need of a few figures."""

from __future__ import annotations

import math
from collections.abc import Sequence


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Kendall's tau-b: how far two rows of figures put things in the same order, -1 to 1.

    None where it says nothing: fewer than two figures, or a row whose figures are all equal.
    Raises ValueError for rows of different lengths.
    """
    if len(first) != len(second):
        raise ValueError(f"expected two rows of equal length, but {len(first)} and {len(second)}")
    if len(first) < 2:
        return None
    from scipy.stats import kendalltau

    tau = float(kendalltau(first, second).statistic)
    return tau if math.isfinite(tau) else None
