"""Tells whether two rows of figures put networks in the same order, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.system.statistics import RankCorrelation, rank_correlation

LEAST = 3  # networks, below which an order says nothing


@final
@dataclass(frozen=True)
class RankOrder:
    """Kendall's rank correlation (tau-b) of `names` by published and by our figure.

    `p_value` is the probability that two orders without any relation agree or disagree as much
    (exact without ties); `range` the lowest and highest tau when any one of the names is left out.
    All are None for fewer than `LEAST` names, or where all figures of a row are equal.
    """

    what: str
    names: tuple[str, ...]
    published: tuple[float, ...]
    here: tuple[float, ...]
    tau: float | None
    p_value: float | None
    range: tuple[float, float] | None

    @property
    def certain(self) -> bool:
        """Tell whether chance alone would give it in fewer than one in twenty cases."""
        return self.p_value is not None and self.p_value < 0.05


def rank_order(what: str, pairs: Sequence[tuple[str, float, float]]) -> RankOrder:
    """Compare the orders of (name, published, ours); `what` names the rows for people."""
    names = tuple(name for name, _, _ in pairs)
    published = tuple(value for _, value, _ in pairs)
    here = tuple(value for _, _, value in pairs)
    correlation = _correlation(published, here)
    if correlation is None:
        return RankOrder(what, names, published, here, None, None, None)
    parts = [
        _correlation(published[:n] + published[n + 1 :], here[:n] + here[n + 1 :])
        for n in range(len(names))
    ]
    taus = [part.tau for part in parts if part is not None]
    return RankOrder(
        what, names, published, here, *correlation, (min(taus), max(taus)) if taus else None
    )  # fmt: skip


def _correlation(first: Sequence[float], second: Sequence[float]) -> RankCorrelation | None:
    """Return the correlation of two rows; None for fewer than `LEAST` figures too."""
    return rank_correlation(first, second) if len(first) >= LEAST else None
