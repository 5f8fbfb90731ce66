"""Do two rows of figures put networks in the same order? And how sure is that, of so few?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class RankOrder:
    """Kendall's rank correlation (tau-b) of `names` by published and by our figure.

    `p_value` is the probability that two orders without any relation agree or disagree as much
    (exact without ties); `range` the lowest and highest tau when any one of the names is left out.
    All are None for fewer than three names, or where all figures of a row are equal.
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
        """Whether chance alone would give it in fewer than one in twenty cases."""
        return self.p_value is not None and self.p_value < 0.05


def rank_order(what: str, pairs: Sequence[tuple[str, float, float]]) -> RankOrder:
    """Compare (name, published, here)."""
    names = tuple(name for name, _, _ in pairs)
    published = tuple(value for _, value, _ in pairs)
    here = tuple(value for _, _, value in pairs)
    found = _tau(published, here)
    if found is None:
        return RankOrder(what, names, published, here, None, None, None)
    parts = [
        _tau(published[:n] + published[n + 1 :], here[:n] + here[n + 1 :])
        for n in range(len(names))
    ]
    taus = [part[0] for part in parts if part is not None]
    return RankOrder(
        what, names, published, here, *found, (min(taus), max(taus)) if taus else None
    )  # fmt: skip


def _tau(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    from scipy.stats import kendalltau

    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    found = kendalltau(first, second)
    return float(found.statistic), float(found.pvalue)
