"""The kernel of `nas.sampling.gaussian`: how alike two candidates are.

    k(x, y) = s * matern52(r(x, y)) + a * trend(x, y) + b * together(x, y) + c * curves(x, y)
              + e * levels(x, y)
    r^2 = sum_j w_j d_j(x, y)

d_j is the squared difference of a number scaled to 0..1, or for a category 1 where the two differ.
The trend is linear in numbers and one constant a category: logarithms of latencies nearly are, so
a handful of trials says something about the far end of the space. `together` is one constant for
each combination of two or more categories: a kind of operation may be slow in one precision alone,
and what was never tried together is not known. `curves` is one smooth curve for each number: twice
the width is not worth twice as much. `levels` is one constant for each value of each number: some
numbers of channels fill a processor's vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
_SQRT5 = float(np.sqrt(5.0))


@final
@dataclass(frozen=True)
class Hyperparameters:
    """The weights of the dimensions (d), and the variances of the kernel's parts and of the noise.

    `rest` is the variance of the Matern part; the other names are those of the functions below.
    """

    weights: Floats
    rest: float
    trend: float
    together: float
    curves: float
    levels: float
    slopes: float
    noise: float

    @classmethod
    def of(cls, logarithms: Floats) -> Hyperparameters:
        """Return the hyperparameters whose logarithms are given: d weights, then the variances."""
        values = np.exp(logarithms)
        return cls(values[:-7], *map(float, values[-7:]))


@final
@dataclass(frozen=True)
class Rows:
    """Candidates (n, d), a category's column holding its number, and what kernels need of them.

    There are few combinations of categories: `kinds` (u, categories) are those that occur, `kind`
    (n) each row's. The last `features` columns tell of the candidate's structure, as
    `nas.sampling.features` scales them: `described` (n, features) has mean 0 and deviation 1.
    """

    x: Floats
    categorical: Bools
    features: int
    described: Floats
    numbers: Floats
    bends: Floats
    kinds: Floats
    kind: Ints

    @classmethod
    def of(cls, x: Floats, categorical: Bools, features: int = 0) -> Rows:
        """Return the rows with columns `x` (n, d); `categorical` (d) says which are categories.

        The last `features` columns are features.
        """
        plain = len(categorical) - features
        numbers = np.ascontiguousarray(x[:, :plain][:, ~categorical[:plain]])
        described = (x[:, plain:] - 0.5) / 0.25
        codes = np.zeros(len(x), np.intp)
        for axis in np.flatnonzero(categorical):
            category = x[:, axis].astype(np.intp)
            wide = int(category.max(initial=0)) + 2  # an absent one is -1
            _, codes = np.unique(codes * wide + category, return_inverse=True)
        _, first, kind = np.unique(codes, return_index=True, return_inverse=True)
        return cls(
            x,
            categorical,
            features,
            described,
            numbers,
            _bends(numbers),
            x[first][:, categorical],
            kind,
        )

    def followed_by(self, other: Rows) -> Rows:
        """Return these rows followed by those of `other`."""
        return Rows.of(np.concatenate([self.x, other.x]), self.categorical, self.features)

    def at(self, which: npt.NDArray[np.intp] | Bools) -> Rows:
        """Return the rows at the indices `which`, or where that mask is true."""
        return Rows.of(self.x[which], self.categorical, self.features)

    def __len__(self) -> int:
        return len(self.x)


def _bends(numbers: Floats) -> Floats:
    """Return Legendre's polynomials 2 and 3 (half of it), with a deviation of 1 in all."""
    z = 2 * numbers - 1
    both = np.concatenate([(3 * z * z - 1) / 2, 0.5 * (5 * z * z - 3) * z / 2], axis=1)
    bends: Floats = both * np.sqrt(2.0 / max(1, z.shape[1]))
    return bends


def _equal(a: Rows, b: Rows) -> Floats:
    """Return 1 where two kinds share a category (categories, u, v), else 0."""
    equal: Floats = (a.kinds.T[:, :, None] == b.kinds.T[:, None, :]).astype(np.float64)
    return equal


def _among(table: Floats, a: Rows, b: Rows) -> Floats:
    """Return a table of kinds (u, v) as a table of rows (n, m)."""
    values: Floats = table[:, b.kind][a.kind]
    return values


def _common(equal: Floats) -> Floats:
    """Return the share (u, v) of combinations of two or more categories that kinds share."""
    count = len(equal)
    if count < 2:
        return np.zeros(equal.shape[1:])
    every = np.prod(1 + equal, axis=0) - 1 - equal.sum(axis=0)
    share: Floats = every / (2.0**count - 1 - count)
    return share


def trend(a: Rows, b: Rows) -> Floats:
    """Return the linear part (n, m), at most 1; a constant and each dimension count alike."""
    numbers = (2 * a.numbers - 1) @ (2 * b.numbers - 1).T
    same = _among(_equal(a, b).sum(axis=0), a, b)
    values: Floats = (1 + numbers + same) / (1 + a.x.shape[1] - a.features)
    return values


def slopes(a: Rows, b: Rows) -> Floats:
    """Return the linear part of features (n, m)."""
    values: Floats = a.described @ b.described.T / max(1, a.features)
    return values


def together(a: Rows, b: Rows) -> Floats:
    """Return the share (n, m) of combinations of two or more categories that rows share."""
    return _among(_common(_equal(a, b)), a, b)


def curves(a: Rows, b: Rows) -> Floats:
    """Return sums (n, m) of curves, one for each number: Legendre's polynomials 2 and 3."""
    values: Floats = a.bends @ b.bends.T
    return values


def levels(a: Rows, b: Rows) -> Floats:
    """Return the share (n, m) of numbers that are equal."""
    share = np.zeros((len(a), len(b)))
    for left, right in zip(a.numbers.T, b.numbers.T, strict=True):
        share += left[:, None] == right
    share /= max(1, a.numbers.shape[1])
    return share


def apart(a: Rows) -> Floats:
    """Return the distances d_j of all pairs of rows for each dimension (d, n * n)."""
    difference = a.x[:, None, :] - a.x[None, :, :]
    squared = np.where(a.categorical, difference != 0, difference * difference)
    return np.ascontiguousarray(squared.transpose(2, 0, 1).reshape(a.x.shape[1], -1))


def matern52(r2: Floats) -> tuple[Floats, Floats]:
    """Return the Matern kernel (nu 5/2) of squared distances, and minus 6/5 of its slope."""
    root = _SQRT5 * np.sqrt(np.maximum(r2, 0.0))
    decay = np.exp(-root)
    straight = 1 + root
    return (straight + root * root / 3) * decay, straight * decay


def kernel(a: Rows, b: Rows, now: Hyperparameters) -> Floats:
    """Return the sum (n, m) of all parts, without the noise."""
    equal = _equal(a, b)
    root = np.sqrt(now.weights[~a.categorical])
    left, right = a.x[:, ~a.categorical] * root, b.x[:, ~a.categorical] * root
    r2 = (left * left).sum(1)[:, None] + (right * right).sum(1) - 2 * left @ right.T
    if len(equal):
        r2 += _among(np.tensordot(now.weights[a.categorical], 1 - equal, 1), a, b)
    covariance = now.rest * matern52(r2)[0]
    if a.features:
        covariance += now.slopes * slopes(a, b)
    share = now.trend / (1 + a.x.shape[1] - a.features)
    covariance += share * ((2 * a.numbers - 1) @ (2 * b.numbers - 1).T)
    covariance += (now.curves * a.bends) @ b.bends.T
    covariance += now.levels * levels(a, b)
    covariance += _among(share * (1 + equal.sum(axis=0)) + now.together * _common(equal), a, b)
    return covariance


def own(a: Rows, now: Hyperparameters) -> Floats:
    """Return the diagonal (n) of `kernel(a, a)`."""
    categories = int(a.categorical.sum())
    linear = 1 + ((2 * a.numbers - 1) ** 2).sum(axis=1) + categories
    variance = now.rest + now.trend * linear / (1 + a.x.shape[1] - a.features)
    variance += now.together * (categories > 1)
    variance += now.levels * (a.numbers.shape[1] > 0)
    if a.features:
        variance += now.slopes * np.einsum("nf,nf->n", a.described, a.described) / a.features
    whole: Floats = variance + now.curves * (a.bends * a.bends).sum(axis=1)
    return whole
