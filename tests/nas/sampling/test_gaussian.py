"""The likelihood against the normal density of another library, and its gradient."""

import numpy as np
import pytest
from numpy.polynomial.legendre import legval
from scipy.stats import multivariate_normal

from nas.sampling import gaussian, kernel


@pytest.mark.parametrize("features", [0, 2])
def test_the_likelihood_is_the_normal_density_and_its_gradient_is_right(features: int) -> None:
    random = np.random.default_rng(0)
    numbers = np.column_stack([random.random(15), random.integers(0, 4, 15) / 3])
    x = np.column_stack([numbers, random.integers(0, 3, (15, 2)), random.random((15, features))])
    categorical = np.array([False, False, True, True, *[False] * features])
    y = random.standard_normal(15)
    count = 11 + features
    at = random.standard_normal(count) * 0.5
    rows = kernel.Rows.of(x, categorical, features)
    flat = gaussian.Likelihood(rows, y, np.zeros(count), np.full(count, 1e9))
    now = kernel.Hyperparameters.of(at)
    bent = np.stack([legval(2 * x[:, :2] - 1, [0, 0, 1]), legval(2 * x[:, :2] - 1, [0, 0, 0, 0.5])])
    covariance = np.empty((15, 15))
    for i, a in enumerate(x):
        for j, b in enumerate(x):
            equal = [float(a[2] == b[2]), float(a[3] == b[3])]
            apart = [(a[0] - b[0]) ** 2, (a[1] - b[1]) ** 2, 1 - equal[0], 1 - equal[1]]
            apart += [(a[k] - b[k]) ** 2 for k in range(4, 4 + features)]
            r = np.sqrt(5 * (now.weights @ apart))
            line = 1 + sum((2 * a[k] - 1) * (2 * b[k] - 1) for k in (0, 1)) + sum(equal)
            covariance[i, j] = now.rest * (1 + r + r * r / 3) * np.exp(-r) + now.trend * line / 5
            covariance[i, j] += now.together * equal[0] * equal[1]
            covariance[i, j] += now.levels * (a[:2] == b[:2]).mean()
            covariance[i, j] += now.curves * (bent[:, i] * bent[:, j]).sum()
            for k in range(4, 4 + features):
                covariance[i, j] += now.slopes / features * (4 * a[k] - 2) * (4 * b[k] - 2)
    np.testing.assert_allclose(kernel.kernel(rows, rows, now), covariance)
    np.testing.assert_allclose(kernel.own(rows, now), np.diag(covariance))
    covariance += now.noise * np.eye(15)
    value, gradient = flat(at)
    expected = -multivariate_normal(cov=covariance).logpdf(y) - 7.5 * np.log(2 * np.pi)
    assert value == pytest.approx(expected)
    steps = 1e-5 * np.eye(count)
    slopes = [(flat(at + step)[0] - flat(at - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)
