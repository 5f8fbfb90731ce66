"""A small exact Gaussian process: a linear trend plus a smooth rest, fitted by its likelihood.

    k(x, y) = a * trend(x, y) + b * together(x, y) + s * matern52(r(x, y)) + noise
    r^2 = sum_j w_j d_j(x, y)

d_j is the squared difference of a number scaled to 0..1, or for a category 1 where the two differ.
The trend is linear in numbers and one constant a category: logarithms of latencies nearly are, so
a handful of trials says something about the far end of the space. `together` is one constant for
each combination of two or more categories: a kind of operation may be slow in one precision alone,
and what was never tried together is not known. Everything is numpy and scipy; equal data give equal
numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_BOUNDS = (-8.0, 4.0)
_NOISE_BOUNDS = (-13.8, 0.0)  # 1e-6 of the variance to all of it
TOGETHER = -1.5
_SQRT5 = float(np.sqrt(5.0))
_FITS = 128
_fits: OrderedDict[tuple[bytes, bytes, bytes], Floats] = OrderedDict()
"""Hyperparameters by the data they were fitted to: what was fitted once is not fitted again.

The numbers don't depend on what is in here."""


class FitError(Exception):
    """A surrogate can't be fitted to these values."""


@final
@dataclass(frozen=True)
class Hyperparameters:
    """Weights of the dimensions (d), variances of the rest, trend, combinations and noise."""

    weights: Floats
    rest: float
    trend: float
    together: float
    noise: float

    @classmethod
    def of(cls, logarithms: Floats) -> Hyperparameters:
        """From the vector that is optimised: d weights, then the variances."""
        values = np.exp(logarithms)
        rest, trend, together, noise = map(float, values[-4:])
        return cls(values[:-4], rest, trend, together, noise)


def fit(x: Floats, categorical: Bools, y: Floats) -> Hyperparameters:
    """The most probable hyperparameters for rows `x` (n, d) and standardised values `y` (n).

    A category's column holds its number. Raises FitError.
    """
    key = (x.tobytes(), categorical.tobytes(), y.tobytes())
    if key in _fits:
        _fits.move_to_end(key)
        return Hyperparameters.of(_fits[key])
    found = _most_probable(x, categorical, y)
    _fits[key] = found
    while len(_fits) > _FITS:
        _fits.popitem(last=False)
    return Hyperparameters.of(found)


def _most_probable(x: Floats, categorical: Bools, y: Floats) -> Floats:
    from scipy.optimize import minimize

    dimensions = x.shape[1]
    # A length scale that grows with the root of the dimensions keeps distances of one size.
    centre = np.array(
        [-np.log(0.25 * dimensions)] * dimensions + [-0.7, -0.7, TOGETHER, np.log(3e-3)]
    )
    spread = np.array([1.5] * dimensions + [1.5, 1.5, 1.5, 1.5])
    objective = _Likelihood(x, categorical, y, centre, spread)
    bounds = [_BOUNDS] * (dimensions + 3) + [_NOISE_BOUNDS]
    try:
        done = minimize(
            objective, centre, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": 25, "ftol": 1e-5},
        )  # fmt: skip
    except (np.linalg.LinAlgError, ValueError) as error:
        raise FitError(str(error)) from error
    found: Floats = done.x
    if not np.isfinite(found).all() or not np.isfinite(done.fun):
        raise FitError("the likelihood is not finite")
    return found


class _Likelihood:
    """The negative logarithm of likelihood times priors, with its gradient."""

    def __init__(
        self, x: Floats, categorical: Bools, y: Floats, centre: Floats, spread: Floats
    ) -> None:
        difference = x[:, None, :] - x[None, :, :]
        squared = np.where(categorical, difference != 0, difference * difference)
        self._count = len(y)
        self._parts = np.ascontiguousarray(squared.transpose(2, 0, 1).reshape(x.shape[1], -1))
        self._trend = trend(x, x, categorical)
        self._together = together(x, x, categorical)
        self._y, self._centre, self._spread = y, centre, spread

    def __call__(self, logarithms: Floats) -> tuple[float, Floats]:
        from scipy.linalg import cho_factor, cho_solve
        from scipy.linalg.lapack import dpotri

        now = Hyperparameters.of(logarithms)
        count = self._count
        r2 = (now.weights @ self._parts).reshape(count, count)
        root = _SQRT5 * np.sqrt(r2)
        decay = np.exp(-root)
        smooth = (1 + root + root * root / 3) * decay
        covariance = now.rest * smooth + now.trend * self._trend + now.together * self._together
        covariance.flat[:: count + 1] += now.noise
        factor, lower = cho_factor(covariance, lower=True, check_finite=False)
        alpha = cho_solve((factor, lower), self._y, check_finite=False)
        inverse, _ = dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        pull = 0.5 * (inverse - np.outer(alpha, alpha))
        slope = pull * (-5 / 6 * now.rest) * (1 + root) * decay
        gradient = np.concatenate(
            [
                now.weights * (self._parts @ slope.ravel()),
                [
                    now.rest * np.vdot(pull, smooth),
                    now.trend * np.vdot(pull, self._trend),
                    now.together * np.vdot(pull, self._together),
                    now.noise * np.trace(pull),
                ],
            ]
        )
        off = (logarithms - self._centre) / self._spread
        value = 0.5 * self._y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        return float(value), gradient + off / self._spread


def trend(a: Floats, b: Floats, categorical: Bools) -> Floats:
    """The linear part of the kernel (n, m): 1 at most, for a constant and each dimension alike."""
    numbers = (2 * a[:, ~categorical] - 1) @ (2 * b[:, ~categorical] - 1).T
    same = sum(
        (a[:, [axis]] == b[:, axis]).astype(np.float64) for axis in np.flatnonzero(categorical)
    )
    found: Floats = (1 + numbers + same) / (1 + a.shape[1])
    return found


def together(a: Floats, b: Floats, categorical: Bools) -> Floats:
    """The share (n, m) of combinations of two or more categories that rows have in common."""
    axes = np.flatnonzero(categorical)
    if len(axes) < 2:
        return np.zeros((len(a), len(b)))
    same = [(a[:, [axis]] == b[:, axis]).astype(np.float64) for axis in axes]
    every = np.prod([1 + one for one in same], axis=0) - 1 - np.sum(same, axis=0)
    found: Floats = every / (2.0 ** len(axes) - 1 - len(axes))
    return found


@final
class GaussianProcess:
    """The posterior of one quantity, given rows `x` (n, d) and values `y` (n) in its own unit.

    `hyperparameters` are of the values standardised to deviation 1. Raises FitError.
    """

    def __init__(
        self, x: Floats, categorical: Bools, y: Floats, scale: float, now: Hyperparameters
    ) -> None:
        self._x, self._categorical, self._now, self._scale = x, categorical, now, scale
        self._offset = float(y.mean())
        self._y = (y - self._offset) / scale
        self._factorise()

    @classmethod
    def fitted(
        cls, x: Floats, categorical: Bools, y: Floats, rows: npt.NDArray[np.intp]
    ) -> GaussianProcess | float:
        """A posterior on all rows, its hyperparameters fitted to those of `rows`.

        The value itself where all values are equal: there is nothing to learn. Raises FitError.
        """
        scale = float(y.std())
        if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
            return float(y[0])
        part = y[rows]
        deviation = float(part.std()) or scale
        now = fit(x[rows], categorical, (part - part.mean()) / deviation)
        return cls(x, categorical, y, deviation, now)

    def _factorise(self) -> None:
        from scipy.linalg import cho_factor, cho_solve

        covariance = self._kernel(self._x, self._x)
        covariance.flat[:: len(covariance) + 1] += self._now.noise
        try:
            self._factor = cho_factor(covariance, lower=True, check_finite=False)
            self._alpha = cho_solve(self._factor, self._y, check_finite=False)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise FitError(str(error)) from error
        if not np.isfinite(self._alpha).all():
            raise FitError("the posterior is not finite")

    def believing(self, x: Floats) -> GaussianProcess:
        """The posterior as if what it expects at `x` had been seen there: surer, no other mean."""
        expected, _ = self.predict(x)
        values = np.concatenate([self._y * self._scale + self._offset, expected])
        believer = GaussianProcess.__new__(GaussianProcess)
        believer._categorical, believer._now = self._categorical, self._now
        believer._scale, believer._offset = self._scale, self._offset
        believer._x = np.concatenate([self._x, x])
        believer._y = (values - self._offset) / self._scale
        believer._factorise()
        return believer

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Means and deviations (m) of the quantity itself, without the noise of observing it."""
        from scipy.linalg import solve_triangular

        across = self._kernel(self._x, x)
        mean = across.T @ self._alpha
        rest = solve_triangular(
            self._factor[0], across, lower=True, check_finite=False, overwrite_b=True
        )
        before = self._now.rest + self._now.trend * _own_trend(x, self._categorical)
        before += self._now.together * (self._categorical.sum() > 1)
        variance = np.maximum(before - np.einsum("nm,nm->m", rest, rest), 1e-10)
        return self._offset + self._scale * mean, self._scale * np.sqrt(variance)

    def _kernel(self, a: Floats, b: Floats) -> Floats:
        left, right = self._scaled(a), self._scaled(b)
        r2 = (left * left).sum(1)[:, None] + (right * right).sum(1) - 2 * left @ right.T
        for axis in np.flatnonzero(self._categorical):
            r2 += self._now.weights[axis] * (a[:, [axis]] != b[:, axis])
        root = _SQRT5 * np.sqrt(np.maximum(r2, 0.0))
        smooth = (1 + root + root * root / 3) * np.exp(-root)
        found: Floats = self._now.rest * smooth + self._now.trend * trend(a, b, self._categorical)
        found += self._now.together * together(a, b, self._categorical)
        return found

    def _scaled(self, x: Floats) -> Floats:
        numbers = ~self._categorical
        found: Floats = x[:, numbers] * np.sqrt(self._now.weights[numbers])
        return found


def _own_trend(x: Floats, categorical: Bools) -> Floats:
    """The diagonal of `trend(x, x)`."""
    numbers = ((2 * x[:, ~categorical] - 1) ** 2).sum(axis=1)
    found: Floats = (1 + numbers + int(categorical.sum())) / (1 + x.shape[1])
    return found
