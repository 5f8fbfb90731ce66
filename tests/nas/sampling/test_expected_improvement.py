"""Boxes and expected improvements against another library, closed formulas and draws."""

import moocore
import numpy as np
import pytest
from scipy.stats import norm

from nas.sampling.expected_improvement import ExpectedImprovement, dominated_boxes


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_boxes_are_disjoint_and_fill_the_hypervolume(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    for points in (random.random((25, objectives)), random.integers(0, 4, (12, objectives)) / 4):
        reference = np.full(objectives, 0.9)
        low, high = dominated_boxes(points, reference)
        whole = moocore.hypervolume(points, ref=reference)
        assert (high - low).prod(axis=1).sum() == pytest.approx(whole)
        probes = random.random((400, objectives))
        inside = (probes[:, None] > low) & (probes[:, None] < high)
        assert inside.all(axis=2).sum(axis=1).max() <= 1


def test_one_objective_is_expected_improvement() -> None:
    mean, deviation = np.array([[0.3], [0.9], [1.6]]), np.array([[0.2], [0.4], [0.3]])
    t = (1.0 - mean) / deviation
    expected = (1.0 - mean) * norm.cdf(t) + deviation * norm.pdf(t)
    gain = ExpectedImprovement(np.array([[1.0], [1.5]]), np.array([3.0]))(mean, deviation)
    np.testing.assert_allclose(gain, expected[:, 0], rtol=1e-9)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_several_objectives_agree_with_draws(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    front, reference = random.random((8, objectives)), np.full(objectives, 1.1)
    mean, deviation = random.random((2, objectives)) * 0.6, np.full((2, objectives), 0.2)
    gain = ExpectedImprovement(front, reference)(mean, deviation)
    before = moocore.hypervolume(front, ref=reference)
    for index in range(2):
        draws = mean[index] + deviation[index] * random.standard_normal((1500, objectives))
        gains = [moocore.hypervolume(np.vstack([front, d]), ref=reference) - before for d in draws]
        error = np.std(gains) / np.sqrt(len(gains))
        assert gain[index] == pytest.approx(np.mean(gains), abs=4 * error)
