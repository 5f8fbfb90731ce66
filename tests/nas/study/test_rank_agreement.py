import numpy as np
import pytest
from scipy.stats import kendalltau

from nas.study.rank_agreement import agreement


def test_tau_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 9, 40).astype(float)
    second = first + rng.normal(0, 3, 40).round()
    found = agreement(list(first), list(second))
    assert found is not None
    assert found.count == 40
    assert found.tau == pytest.approx(float(kendalltau(first, second).statistic))
    assert found.interval[0] < found.tau < found.interval[1]


def test_the_interval_shrinks_with_networks() -> None:
    rng = np.random.default_rng(1)

    def width(count: int) -> float:
        first = rng.normal(size=count)
        found = agreement(list(first), list(first + rng.normal(0, 0.5, count)))
        assert found is not None
        return found.interval[1] - found.interval[0]

    assert width(200) < 0.5 * width(15)


def test_the_same_and_the_opposite_order() -> None:
    row = [1.0, 2.0, 3.0, 4.0, 5.0]
    same, opposite = agreement(row, row), agreement(row, row[::-1])
    assert same is not None
    assert opposite is not None
    assert (same.tau, same.interval) == (1, (1, 1))
    assert opposite.tau == -1


@pytest.mark.parametrize("rows", [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])])
def test_too_few_networks_or_none_that_differ(rows: tuple[list[float], list[float]]) -> None:
    assert agreement(*rows) is None
