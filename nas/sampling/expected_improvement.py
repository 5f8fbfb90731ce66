"""Expected hypervolume improvement of independent normal objectives, in closed form.

All objectives are made small. The dominated part of the space is cut into disjoint boxes (Lacour,
Klamroth and Fonseca, "A box decomposition algorithm to compute the hypervolume indicator", 2017).
What a point y adds is the volume of [y, reference] less what the boxes share with it, and both
have closed expectations where the components of y are independent and normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nas.sampling.warp import Warp

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
        columns = zip(mean.T, deviation.T, strict=True)
        return self.expected([partial(below, mean=mu, deviation=sigma) for mu, sigma in columns])

    def expected(self, below_edges: Sequence[Callable[[Floats], Floats]]) -> Floats:
        """Return the expectation (m) for independent objectives y of any distribution.

        Each of `below_edges` (k) gives E[max(0, edge - y)] as (edges, m) for edges.
        """
        box: Floats | float = 1.0
        shared: Floats | float = 1.0
        for axis, limit in enumerate(self._reference):
            at = below_edges[axis](np.append(self._edges[axis], limit))
            box = box * at[-1]
            shared = shared * (at[self._high[axis]] - at[self._low[axis]])  # (boxes, m)
        gain: Floats = np.maximum(box - np.sum(shared, axis=0), 0.0)
        return gain


def below(edges: Floats, mean: Floats, deviation: Floats, warp: Warp | None = None) -> Floats:
    """Return E[max(0, edge - y)] as (edges, m), for y or warp(y) ~ N(mean, deviation^2)."""
    if warp is None or not (edges > warp.start).any():
        return _plain(edges, mean, deviation)
    start, beyond = np.array([warp.start]), edges > warp.start
    found = np.empty((len(edges), len(mean)))
    found[~beyond] = _plain(edges[~beyond], mean, deviation)
    found[beyond] = _plain(start, mean, deviation) + _bent(edges[beyond], mean, deviation, warp)
    return found


def _plain(edges: Floats, mean: Floats, deviation: Floats) -> Floats:
    from scipy.special import ndtr

    t = (edges[:, None] - mean) / deviation
    density = np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)
    expectation: Floats = deviation * (t * ndtr(t) + density)
    return expectation


def _bent(edges: Floats, mean: Floats, deviation: Floats, warp: Warp) -> Floats:
    """Return what edges beyond the warp's start add: E[edge - max(y, start); y < edge].

    Beyond the start, y is a log-normal that is shifted; in units of the bend from there.
    """
    from scipy.special import ndtr

    gap = ((edges - warp.start) / warp.bend)[:, None]
    # A deviation of 24 bends is as good as none known, and its exponential stays a number.
    mu, sigma = (mean - warp.start) / warp.bend, np.minimum(deviation / warp.bend, 24.0)
    low, high = -mu / sigma, (np.log1p(gap) - mu) / sigma
    left = low > 0  # the difference of two numbers near 1 is lost: take that of their complements
    inside = np.where(left, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    far = low - sigma > 0
    raised = np.where(
        far, ndtr(sigma - low) - ndtr(sigma - high), ndtr(high - sigma) - ndtr(low - sigma)
    )
    lift = np.exp(np.minimum(mu + 0.5 * sigma * sigma, 600.0))
    whole = gap * ndtr(low) + (gap + 1) * inside - lift * raised
    added: Floats = warp.bend * np.clip(whole, 0.0, gap)
    return added
