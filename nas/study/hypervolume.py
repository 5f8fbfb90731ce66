"""The part of a hypervolume that one more point adds. All objectives here are losses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

THINNING_PASSES = 8

Points = npt.NDArray[np.float64]


def contribution(point: Points, members: Points, reference_point: Points) -> float:
    """Return the volume that `point` dominates and no member does, up to `reference_point`.

    `point` and `reference_point` are (k); `members` is (k, n), a column for each. The volume is
    the point's own box less what the members dominate of that box; it is 0 where the point is not
    better than the reference point in every objective.
    """
    import moocore

    column, limit = point[:, None], reference_point[:, None]
    if (column >= limit).any() or (members <= column).all(axis=0).any():
        return 0.0
    box = float(np.prod(reference_point - point))
    shared = np.maximum(members, column)
    shared = _thinned(shared[:, (shared < limit).all(axis=0)], limit)
    if not shared.size:
        return box
    common = moocore.hypervolume(np.ascontiguousarray(shared.T), ref=reference_point)
    return max(0.0, box - float(common))


def _thinned(points: Points, limit: Points) -> Points:
    """Return the columns of `points` (k, n) without most of those that another one dominates.

    The largest boxes dominate nearly all of a clipped front: a few passes leave little to add up.
    """
    largest = []
    for _ in range(THINNING_PASSES):
        if points.shape[1] <= 2 * THINNING_PASSES:
            break
        one = points[:, [int(np.argmax(np.prod(limit - points, axis=0)))]]
        largest.append(one)
        points = points[:, (points < one).any(axis=0)]
    return np.hstack([*largest, points])
