"""The first trials: every pair of categories soon, and everything else far apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nas.sampling.space import Encoding, unseen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
FEW = 2048
"""The most candidates of a space that is searched as a whole."""
_TIMES = 20  # so often are rows drawn until one is allowed
_DRAWN = 8  # more would put all numbers at their ends, which is no better than chance


def spread_out(
    encoding: Encoding,
    random: np.random.Generator,
    tried: Floats,
    seen: set[bytes],
    allowed: Callable[[Floats], bool] = lambda _: True,
) -> Floats | None:
    """Return a row that is not in `seen`, far from those in `tried`; None where all are seen.

    Of the rows drawn, those that are `allowed` if any is; of these the one with most pairs of
    categories that were never tried together, and among those the one whose nearest tried row is
    the furthest away.
    """
    for _ in range(_TIMES):
        if encoding.size <= FEW:
            rows = random.permutation(unseen(encoding.everything(), seen))[:_DRAWN]
        else:
            rows = encoding.draw(random, _DRAWN)
        rows = unseen(rows, seen)
        fine = [row for row in rows if allowed(row)]
        if fine or not len(rows):
            rows = np.array(fine) if fine else rows
            break
    if not len(rows) or not len(tried):
        return rows[0] if len(rows) else None
    fresh = new_pairs(rows, tried, np.flatnonzero(encoding.categorical))
    rows = rows[fresh == fresh.max()]
    apart = distances(encoding, rows, tried[-512:]).min(axis=1)
    row: Floats = rows[np.argmax(apart)]
    return row


def new_pairs(rows: Floats, tried: Floats, categories: Ints) -> Ints:
    """Return for each row how many of its categories, and pairs of them, were never tried."""
    counts = np.zeros(len(rows), np.intp)
    for axis in categories:
        counts += ~np.isin(rows[:, axis], tried[:, axis])
    for one, other in itertools.combinations(categories, 2):
        theirs = tried[:, one] * 1e6 + tried[:, other]
        counts += ~np.isin(rows[:, one] * 1e6 + rows[:, other], theirs)
    return counts


def distances(encoding: Encoding, rows: Floats, tried: Floats) -> Floats:
    """Return squared distances (rows, tried); numbers run from 0 to 1, categories differ by 1."""
    ours, theirs = encoding.features(rows), encoding.features(tried)
    apart = ours[:, None, :] - theirs[None, :, :]
    squared = np.where(encoding.categorical, apart != 0, apart * apart)
    total: Floats = squared.sum(axis=2)
    return total
