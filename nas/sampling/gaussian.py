"""A small exact Gaussian process, fitted by its likelihood and priors.

Its kernel is `nas.sampling.kernel`'s, plus noise. Everything is numpy and scipy; equal data give
equal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from nas.sampling import kernel as kernels
from nas.sampling.kernel import Hyperparameters, Rows
from nas.sampling.threads import Recent

Floats = npt.NDArray[np.float64]
_BOUNDS = (-8.0, 4.0)
_NOISE_BOUNDS = (-13.8, 0.0)  # 1e-6 of the variance to all of it
TOGETHER = -1.5
CURVES = -2.0
LEVELS = -3.0
SLOPES = -0.7
ITERATIONS = 25


@final
@dataclass(frozen=True)
class Prior:
    """How sure one is of the hyperparameters' logarithms before any trial.

    `noise` is the mean of the noise's, `noise_spread` its deviation, `spread` that of the others.
    """

    noise: float = -4.5
    noise_spread: float = 2.5
    spread: float = 1.5


PLAIN = Prior()
TRAINED = Prior(-3.0, 1.5, 1.0)
"""For what comes of a training: luck has a share in it, and a handful of them tells little."""
FITS: Recent[Floats] = Recent(128)
"""Hyperparameters by the data that they were fitted to, so that equal data is fitted once.

Results do not depend on what this cache holds."""


class FitError(Exception):
    """A surrogate can't be fitted to these values."""


def fit(rows: Rows, y: Floats, prior: Prior = PLAIN) -> Hyperparameters:
    """Return the most probable hyperparameters for rows (n) and standardised values `y` (n).

    Raises FitError where the likelihood can't be maximised.
    """
    key = (
        rows.x.tobytes(),
        rows.categorical.tobytes(),
        repr((rows.features, prior)).encode(),
        y.tobytes(),
    )
    return Hyperparameters.of(FITS.of(key, lambda: _most_probable(rows, y, prior)))


def _most_probable(rows: Rows, y: Floats, prior: Prior) -> Floats:
    from scipy.optimize import minimize

    dimensions = rows.x.shape[1]
    # A length scale that grows with the root of the dimensions keeps distances of one size.
    variances = [-0.7, -0.7, TOGETHER, CURVES, LEVELS, SLOPES, prior.noise]
    centre = np.array([-np.log(0.25 * dimensions)] * dimensions + variances)
    spread = np.append(np.full(len(centre) - 1, prior.spread), prior.noise_spread)
    objective = Likelihood(rows, y, centre, spread)
    bounds = [_BOUNDS] * (len(centre) - 1) + [_NOISE_BOUNDS]
    try:
        done = minimize(
            objective, centre, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": ITERATIONS, "ftol": 1e-5},
        )  # fmt: skip
    except (np.linalg.LinAlgError, ValueError) as error:
        raise FitError(str(error)) from error
    logarithms: Floats = done.x
    if not np.isfinite(logarithms).all() or not np.isfinite(done.fun):
        raise FitError("the likelihood is not finite")
    return logarithms


class Likelihood:
    """The negative logarithm of likelihood times priors, with its gradient."""

    def __init__(self, rows: Rows, y: Floats, centre: Floats, spread: Floats) -> None:
        self._count = len(y)
        self._apart = kernels.apart(rows)
        parts = (kernels.trend, kernels.together, kernels.curves, kernels.levels, kernels.slopes)
        self._parts = np.stack([part(rows, rows) for part in parts])
        self._y, self._centre, self._spread = y, centre, spread

    def __call__(self, logarithms: Floats) -> tuple[float, Floats]:
        """Return the value and its gradient (d) at the logarithms (d) of the hyperparameters."""
        from scipy.linalg import cho_factor, cho_solve
        from scipy.linalg.lapack import dpotri

        now = Hyperparameters.of(logarithms)
        count = self._count
        r2 = (now.weights @ self._apart).reshape(count, count)
        smooth, steep = kernels.matern52(r2)
        variances = np.array([now.trend, now.together, now.curves, now.levels, now.slopes])
        covariance = now.rest * smooth + np.tensordot(variances, self._parts, 1)
        covariance.flat[:: count + 1] += now.noise
        factor, lower = cho_factor(covariance, lower=True, check_finite=False)
        alpha = cho_solve((factor, lower), self._y, check_finite=False)
        inverse, _ = dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        pull = 0.5 * (inverse - np.outer(alpha, alpha))
        slope = pull * (-5 / 6 * now.rest) * steep
        gradient = np.concatenate(
            [
                now.weights * (self._apart @ slope.ravel()),
                [now.rest * np.vdot(pull, smooth)],
                variances * (self._parts.reshape(len(self._parts), -1) @ pull.ravel()),
                [now.noise * np.trace(pull)],
            ]
        )
        off = (logarithms - self._centre) / self._spread
        value = 0.5 * self._y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        return float(value), gradient + off / self._spread


@final
class GaussianProcess:
    """The posterior of one quantity, given rows (n) and values `y` (n) in its own unit.

    `scale` is the deviation of the values, `now` are the hyperparameters for the values divided by
    it. Raises FitError where the covariance can't be factorised.
    """

    def __init__(self, rows: Rows, y: Floats, scale: float, now: Hyperparameters) -> None:
        self._rows, self._now, self._scale = rows, now, scale
        self._offset = float(y.mean())
        self._y = (y - self._offset) / scale
        self._factorise()

    @classmethod
    def fitted(
        cls,
        rows: Rows,
        y: Floats,
        which: npt.NDArray[np.intp],
        prior: Prior = PLAIN,
    ) -> GaussianProcess | float:
        """Return the posterior on all rows, with hyperparameters fitted to `which` of them.

        If all values are equal it is that value, as there is nothing to learn. Raises FitError.
        """
        scale = float(y.std())
        if scale <= 1e-12 * max(1.0, float(np.abs(y).max())):
            return float(y[0])
        part = y[which]
        deviation = float(part.std()) or scale
        now = fit(rows.at(which), (part - part.mean()) / deviation, prior)
        return cls(rows, y, deviation, now)

    def _factorise(self) -> None:
        from scipy.linalg import cho_factor, cho_solve

        covariance = kernels.kernel(self._rows, self._rows, self._now)
        covariance.flat[:: len(covariance) + 1] += self._now.noise
        try:
            self._factor = cho_factor(covariance, lower=True, check_finite=False)
            self._alpha = cho_solve(self._factor, self._y, check_finite=False)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise FitError(str(error)) from error
        if not np.isfinite(self._alpha).all():
            raise FitError("the posterior is not finite")

    def believing(self, rows: Rows) -> GaussianProcess:
        """Return the posterior as if its own expectations had been measured at `rows`.

        Its mean is the same everywhere; its deviation is smaller near these rows.
        """
        expected, _ = self.predict(rows)
        values = np.concatenate([self._y * self._scale + self._offset, expected])
        believer = GaussianProcess.__new__(GaussianProcess)
        believer._now, believer._scale, believer._offset = self._now, self._scale, self._offset
        believer._rows = self._rows.followed_by(rows)
        believer._y = (values - self._offset) / self._scale
        believer._factorise()
        return believer

    @property
    def noise(self) -> float:
        """The deviation of one trial's value from the quantity itself, in its unit."""
        return float(self._scale * np.sqrt(self._now.noise))

    def along_features(self) -> Floats:
        """Return the expected slopes (features), in deviations of the values and of features."""
        described = self._rows.described
        slopes: Floats = (
            self._now.slopes * (described.T @ self._alpha) / max(1, self._rows.features)
        )
        return slopes

    def predict(self, rows: Rows) -> tuple[Floats, Floats]:
        """Return means and deviations (m) of the quantity itself, without the noise of a trial."""
        from scipy.linalg import solve_triangular

        across = kernels.kernel(self._rows, rows, self._now)
        mean = across.T @ self._alpha
        rest = solve_triangular(
            self._factor[0], across, lower=True, check_finite=False, overwrite_b=True
        )
        before = kernels.own(rows, self._now)
        variance = np.maximum(before - np.einsum("nm,nm->m", rest, rest), 1e-10)
        return self._offset + self._scale * mean, self._scale * np.sqrt(variance)
