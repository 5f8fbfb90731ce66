"""The warp of a quality's losses: order, the way back, and expectations by quadrature."""

import numpy as np
import pytest
from scipy.stats import norm

from nas.sampling.expected_improvement import below
from nas.sampling.warp import Warp


def test_the_better_part_stays_and_the_rest_keeps_its_order() -> None:
    losses = np.sort(np.random.default_rng(0).normal(size=60))
    losses[-3:] = 40.0, 50.0, 60.0  # trainings that failed
    warp = Warp.of(losses)
    warped = warp(losses)
    assert (np.diff(warped) > 0).all()
    assert (warped[:36] == losses[:36]).all()  # three fifths of the trials
    assert warped[-1] - warped[0] < 4 * (losses[35] - losses[0])
    np.testing.assert_allclose(warp.back(warped), losses)
    beside = warp(np.array([warp.start - 1e-6, warp.start + 1e-6]))
    assert np.diff(beside)[0] == pytest.approx(2e-6, rel=1e-3)  # value and slope are continuous


def test_equal_losses_have_a_warp() -> None:
    warp = Warp.of(np.full(5, 2.0))
    assert warp(np.array([2.0, 3.0])).tolist() == [2.0, pytest.approx(2.0, abs=0.01)]


@pytest.mark.parametrize("deviation", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("mean", [-2.0, 0.4, 3.0])
@pytest.mark.parametrize("edge", [-1.0, 0.6, 4.0])
def test_the_expectation_below_an_edge_is_that_of_the_warped_normal(
    mean: float, deviation: float, edge: float
) -> None:
    warp = Warp(0.5, 0.25)
    z = np.linspace(-9, 9, 200_001)
    value = warp.back(mean + deviation * z)
    expected = np.trapezoid(np.maximum(edge - value, 0.0) * norm.pdf(z), z)
    found = below(np.array([edge]), np.array([mean]), np.array([deviation]), warp)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_far_means_and_deviations_give_numbers() -> None:
    warp = Warp(0.0, 1e-3)
    mean, deviation = np.array([-1e3, 0.0, 1e3]), np.array([1e-6, 1e3, 1.0])
    found = below(np.array([-5.0, 5.0]), mean, deviation, warp)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_warp_that_begins_beyond_the_edges_changes_nothing() -> None:
    random = np.random.default_rng(3)
    edges, mean, deviation = random.random(6), random.random(9), np.full(9, 0.2)
    warped = below(edges, mean, deviation, Warp(2.0, 0.1))
    np.testing.assert_allclose(below(edges, mean, deviation), warped)
