"""The choice of a candidate from a pool: the first ones by distance, later ones by their score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas.sampling.allowed import AllowedRows
from nas.sampling.history import TrialTable
from nas.sampling.looks import Looker
from nas.sampling.space import Encoding, unseen
from nas.sampling.startup import FEW, spread_out
from nas.sampling.surrogates import Beliefs

Floats = npt.NDArray[np.float64]


def first_row(
    encoding: Encoding,
    random: np.random.Generator,
    known: TrialTable,
    looker: Looker,
    allowed: AllowedRows,
) -> Floats | None:
    """Return one of the first rows: far from those tried, allowed, and refused by no look."""
    row = None
    for _ in range(max(1, looker.most)):
        seen = known.seen | looker.refused
        refused = looker.looked.rows[looker.looked.refused]
        tried = np.concatenate([known.tried, refused])
        drawn = spread_out(encoding, random, tried, seen, allowed)
        if drawn is None or not looker.most:
            return drawn if drawn is not None else row
        row = drawn
        looker.at(row[None])
        if row.tobytes() not in looker.refused:
            break
    return row


def best_rows(
    encoding: Encoding,
    beliefs: Beliefs,
    random: np.random.Generator,
    seen: set[bytes],
    count: int,
    wanted: int,
    allowed: AllowedRows,
) -> Floats:
    """Return the `wanted` best rows (at least one) of a pool, after a climb; none if all are seen.

    The best one comes first.
    """
    wanted = max(1, wanted)
    if encoding.size <= FEW:
        pool = unseen(encoding.everything(), seen)
        return pool[allowed.best(pool, beliefs.score(pool), wanted)] if len(pool) else pool
    drawn = encoding.draw(random, count // 2)
    mutants = encoding.mutants(random, beliefs.parents(), count - count // 2)
    pool = unseen(np.concatenate([drawn, mutants]), seen)
    if not len(pool):
        return pool
    scores = beliefs.score(pool)
    for _ in range(3):
        kept = allowed.best(pool, scores, max(2, wanted))
        top = scores[kept[0]]
        near = np.concatenate([encoding.neighbours(pool[one]) for one in kept[:2]])
        near = unseen(near, seen | {pool[one].tobytes() for one in kept})
        if not len(near):
            break
        pool, scores = (
            np.concatenate([pool[kept], near]),
            np.concatenate([scores[kept], beliefs.score(near)]),
        )
        if scores.max() <= top:
            break
    best: Floats = pool[allowed.best(pool, scores, wanted)]
    return best
