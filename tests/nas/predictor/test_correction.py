"""The correction of sums, against plain algebra and made-up families."""

import math

import numpy as np
import pytest

from nas.predictor.correction import COMMON, SESSION, Correction, Observation


def _observed(count: int, ratio: float = 1.2, noise: float = 0.0) -> list[Observation]:
    random = np.random.default_rng(1)
    found = []
    for number in range(count):
        conv = float(random.uniform(0.3, 0.9))
        ms = float(random.uniform(1, 20))
        truth = ms * (ratio * conv + 0.7 * (1 - conv)) * math.exp(noise * random.standard_normal())
        found.append(Observation(str(number), 1.0, {"CONV": conv, "ADD": 1 - conv}, ms, truth))
    return found


def test_ten_networks_teach_what_families_cost_together() -> None:
    correction = Correction.fitted(_observed(10), ("ADD", "CONV"))
    for conv in (0.35, 0.6, 0.85):
        mean, deviation = correction.ratio({"CONV": conv, "ADD": 1 - conv}, 5.0)
        assert math.exp(mean) == pytest.approx(1.2 * conv + 0.7 * (1 - conv), rel=0.03)
        assert deviation < 0.1


def test_the_posterior_is_that_of_plain_algebra() -> None:
    rows = _observed(8, noise=0.05)
    correction = Correction.fitted(rows, ("ADD", "CONV"))
    family, smooth, noise = correction.deviations
    w = np.array([[one.shares["ADD"], one.shares["CONV"]] for one in rows])
    size = np.log2([one.sum_ms for one in rows]) / 2.0
    at, at_size = np.array([0.25, 0.75]), math.log2(7.0) / 2.0

    def kernel(a: np.ndarray, s: float, b: np.ndarray, t: float) -> float:
        root = math.sqrt(3 * (((a - b) ** 2).sum() + (s - t) ** 2))
        return COMMON**2 + SESSION**2 + family**2 * a @ b + smooth**2 * (1 + root) * math.exp(-root)

    k = np.array(
        [
            [kernel(a, s, b, t) for b, t in zip(w, size, strict=True)]
            for a, s in zip(w, size, strict=True)
        ]
    )
    k += np.diag(noise**2 + np.array(correction.doubts))
    across = np.array([kernel(at, at_size, b, t) for b, t in zip(w, size, strict=True)])
    rest = np.log([one.latency_ms / one.sum_ms for one in rows])
    variance = kernel(at, at_size, at, at_size) - across @ np.linalg.solve(k, across) + noise**2
    mean, deviation = correction.ratio({"ADD": 0.25, "CONV": 0.75}, 7.0)
    assert mean == pytest.approx(across @ np.linalg.solve(k, rest), rel=1e-9)
    assert deviation == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert correction.mean([0.25, 0.75], 7.0) == pytest.approx(mean, rel=1e-9)


def test_noise_is_not_learned_by_heart() -> None:
    correction = Correction.fitted(_observed(40, ratio=0.7, noise=0.1), ("ADD", "CONV"))
    mean, deviation = correction.ratio({"CONV": 0.5, "ADD": 0.5}, 5.0)
    assert math.exp(mean) == pytest.approx(0.7, rel=0.06)
    assert 0.05 < deviation < 0.2
