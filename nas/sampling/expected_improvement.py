"""Expected hypervolume improvement of independent normal objectives, in closed form.

All objectives are made small. The dominated part of the space is cut into disjoint boxes (Lacour,
Klamroth and Fonseca, "A box decomposition algorithm to compute the hypervolume indicator", 2017).
What a point y adds is the volume of [y, reference] less what the boxes share with it, and both
have closed expectations where the components of y are independent and normal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


def dominated_boxes(points: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return lower and upper ends (boxes, k) of disjoint boxes that fill what `points` dominate.

    `points` is (n, k); those not better than `reference` (k) in every objective dominate nothing.
    """
    count = len(reference)
    upper = reference[None, :].copy()
    # z[u, i] is the point that bounds u in objective i; at first none does but the reference.
    z = np.full((1, count, count), -np.inf)
    z[0, range(count), range(count)] = reference
    inside = points[(points < reference).all(axis=1)]
    for point in inside[np.lexsort(inside.T[::-1])]:
        hit = (point < upper).all(axis=1)
        if hit.any():
            fresh = [_replaced(upper[hit], z[hit], point, axis) for axis in range(count)]
            upper = np.concatenate([upper[~hit], *(one for one, _ in fresh)])
            z = np.concatenate([z[~hit], *(one for _, one in fresh)])
    low, high = np.empty_like(upper), upper.copy()
    low[:, 0], high[:, 0] = z[:, 0, 0], reference[0]
    for axis in range(1, count):
        low[:, axis] = z[:, :axis, axis].max(axis=1)
    filled = (low < high).all(axis=1) & np.isfinite(low).all(axis=1)
    return low[filled], high[filled]


def _replaced(upper: Floats, z: Floats, point: Floats, axis: int) -> tuple[Floats, Floats]:
    """Return the local upper bounds that `point` makes of `upper` along one axis, and their z."""
    others = [other for other in range(len(point)) if other != axis]
    valid = point[axis] >= z[:, others, axis].max(axis=1, initial=-np.inf)
    upper, z = upper[valid].copy(), z[valid].copy()
    upper[:, axis], z[:, axis] = point[axis], point
    return upper, z


class ExpectedImprovement:
    """The hypervolume that a candidate is expected to add to that of a front.

    `front` (n, k) and `reference` (k), the reference point, are losses.
    """

    def __init__(self, front: Floats, reference: Floats) -> None:
        self._reference = reference
        low, high = dominated_boxes(front, reference)
        # The ends of boxes are coordinates of the front: each is worked out once, however many
        # boxes share it.
        self._edges: list[Floats] = []
        self._low: list[Ints] = []
        self._high: list[Ints] = []
        for axis in range(len(reference)):
            both = np.concatenate([low[:, axis], high[:, axis]])
            edges, where = np.unique(both, return_inverse=True)
            self._edges.append(edges)
            self._low.append(where[: len(low)])
            self._high.append(where[len(low) :])

    def __call__(self, mean: Floats, deviation: Floats) -> Floats:
        """Return the expectation (m) for means and deviations (m, k); deviations are positive."""
        box = np.ones(len(mean))
        shared = np.ones((len(self._low[0]), len(mean)))  # (boxes, m)
        for axis, limit in enumerate(self._reference):
            mu, sigma = mean[:, axis], deviation[:, axis]
            box *= _below(np.array([limit]), mu, sigma)[0]
            at = _below(self._edges[axis], mu, sigma)
            shared *= at[self._high[axis]] - at[self._low[axis]]
        gain: Floats = np.maximum(box - shared.sum(axis=0), 0.0)
        return gain


def _below(edges: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Return E[max(0, edge - y)] for y ~ N(mean, deviation^2), as (edges, m)."""
    from scipy.special import ndtr

    t = (edges[:, None] - mean) / deviation
    density = np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)
    expectation: Floats = deviation * (t * ndtr(t) + density)
    return expectation
