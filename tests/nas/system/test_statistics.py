import itertools

import pytest
from scipy.stats import kendalltau

from nas.system.statistics import kendall_tau, rank_correlation


def counted(first: list[float], second: list[float]) -> float:
    """Tau-b by going through all pairs."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [
        (
            (first[i] > first[j]) - (first[i] < first[j]),
            (second[i] > second[j]) - (second[i] < second[j]),
        )
        for i, j in pairs
    ]
    known = sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)
    return float(sum(a * b for a, b in signs) / known**0.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [([1, 2, 3, 4], [1, 3, 2, 4]), ([1, 1, 2, 3], [4, 5, 5, 1]), ([3, 2], [1, 9])],
)
def test_tau_is_that_of_counted_pairs_and_of_scipy(first: list[float], second: list[float]) -> None:
    assert kendall_tau(first, second) == pytest.approx(counted(first, second))
    assert kendall_tau(first, second) == pytest.approx(kendalltau(first, second).statistic)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3])])
def test_tau_is_none_where_it_says_nothing(first: list[float], second: list[float]) -> None:
    assert kendall_tau(first, second) is None


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length, but 2 and 1"):
        kendall_tau([1, 2], [1])


def test_the_probability_is_the_share_of_orders_that_are_as_far_from_chance() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 3.0, 5.0, 4.0]
    correlation = rank_correlation(first, second)
    assert correlation is not None
    assert correlation.tau == kendall_tau(first, second) == pytest.approx(0.6)
    orders = list(itertools.permutations(second))
    as_far = sum(abs(counted(first, list(order))) > 0.6 - 1e-9 for order in orders)
    assert correlation.p_value == pytest.approx(as_far / len(orders))


def test_no_correlation_where_a_row_says_nothing() -> None:
    assert rank_correlation([1.0, 1.0], [1.0, 2.0]) is None
    with pytest.raises(ValueError, match="equal length, but 1 and 2"):
        rank_correlation([1], [1, 2])
