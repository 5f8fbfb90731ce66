"""The challenge's score and the trust in figures that are made of several."""

from __future__ import annotations

import math

import pytest

from nas.study.metric import least_trusted, ntire_smartphone_score


def test_twice_the_speed_is_worth_half_a_decibel() -> None:
    assert ntire_smartphone_score(28.34, 1000 / 8.23) == pytest.approx(28.34)
    slow, fast = (ntire_smartphone_score(30.0, ms) for ms in (200.0, 100.0))
    assert fast - slow == pytest.approx(0.5)


def test_more_than_45_frames_a_second_earn_nothing() -> None:
    best = 31.0 + 0.5 * math.log2(45 / 8.23)
    assert ntire_smartphone_score(31.0, 1000 / 45) == pytest.approx(best)
    assert ntire_smartphone_score(31.0, 1.0) == pytest.approx(best)
    assert ntire_smartphone_score(31.0, 30.0) < best


@pytest.mark.parametrize("latency", [0.0, -1.0])
def test_a_latency_is_positive(latency: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        ntire_smartphone_score(30.0, latency)


def test_the_weakest_source_counts() -> None:
    assert least_trusted(["measured", "published"]) == "published"
    assert least_trusted(["modelled", "published", "measured"]) == "modelled"
    assert least_trusted(["synthetic", "modelled"]) == "synthetic"
    assert least_trusted(["measured", "measured"]) == "measured"
