"""The rank correlation of few networks against counted pairs and counted orders."""

import itertools
import math

import pytest

from nas.paper.rank_order import rank_order


def test_kendalls_tau_is_that_of_counted_pairs() -> None:
    first, second = [31.67, 29.24, 29.40, 31.23, 28.63, 29.78], [27.0, 26.1, 26.5, 26.0, 25.0, 27.5]
    signs = [
        math.copysign(1, (first[a] - first[b]) * (second[a] - second[b]))
        for a, b in itertools.combinations(range(6), 2)
    ]
    names = list("abcdef")
    order = rank_order("x", list(zip(names, first, second, strict=True)))
    assert order.tau == pytest.approx(sum(signs) / len(signs))
    as_far = 0  # of all orders of six, those whose tau is as far from 0
    for permuted in itertools.permutations(second):
        tau = sum(
            math.copysign(1, (first[a] - first[b]) * (permuted[a] - permuted[b]))
            for a, b in itertools.combinations(range(6), 2)
        )
        as_far += abs(tau) >= abs(sum(signs)) - 1e-9
    assert order.p_value == pytest.approx(as_far / 720)
    assert order.range is not None
    assert order.range[0] <= order.tau <= order.range[1]
    assert rank_order("x", [("a", 1.0, 2.0), ("b", 2.0, 1.0)]).tau is None
