import math

import pytest

from nas.errors import ConfigError
from nas.study.objectives import Constraint, Objective, is_logarithmic


def test_quality_goes_up_and_costs_go_down() -> None:
    up = ("psnr_db", "ssim", "supernet_psnr_db", "accelerated_mac_share[adb:1]")
    down = ("latency_ms[host]", "bytes", "worst_latency_ratio", "gmacs_conv")
    assert [Objective.of(name).direction for name in up] == ["maximize"] * 4
    assert [Objective.of(name).direction for name in down] == ["minimize"] * 4


def test_a_device_in_brackets_changes_no_scale() -> None:
    assert is_logarithmic("latency_ms")
    assert is_logarithmic("latency_ms[adb:a b[1]]")
    assert not is_logarithmic("psnr_db")
    assert not is_logarithmic("accelerated_mac_share[latency_ms]")


def test_a_loss_is_the_logarithm_of_a_cost_and_the_negative_of_a_gain() -> None:
    assert Objective.of("latency_ms[host]").loss(1000.0) == pytest.approx(3.0)
    assert Objective.of("psnr_db").loss(30.5) == -30.5
    halved = Objective.of("bytes").loss(50) - Objective.of("bytes").loss(100)
    assert halved == pytest.approx(math.log10(0.5))
    with pytest.raises(ValueError, match=r"bytes must be more than 0, but 0 came"):
        Objective.of("bytes").loss(0)


@pytest.mark.parametrize(
    ("text", "metric", "comparison", "bound"),
    [
        ("latency_ms[host]<=50", "latency_ms[host]", "<=", 50.0),
        (" psnr_db >= 2.5e1 ", "psnr_db", ">=", 25.0),
        ("latency_ms[adb:one:paper]<=1.5", "latency_ms[adb:one:paper]", "<=", 1.5),
        ("psnr_db>=-1", "psnr_db", ">=", -1.0),
    ],
)  # fmt: skip
def test_a_constraint_is_read_and_written_back(
    text: str, metric: str, comparison: str, bound: float
) -> None:
    constraint = Constraint.parse(text)
    assert constraint == Constraint(metric, comparison, bound)  # type: ignore[arg-type]
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize("text", ["", "psnr_db", "psnr_db<5", "psnr_db>=", "psnr_db>=--1", "<=5"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="expected METRIC<=NUMBER or METRIC>=NUMBER, for example"):
        Constraint.parse(text)


def test_a_violation_is_a_share_of_the_bound() -> None:
    assert Constraint.parse("bytes<=200").violation(300) == pytest.approx(0.5)
    assert Constraint.parse("bytes<=200").violation(100) == pytest.approx(-0.5)
    assert Constraint.parse("psnr_db>=25").violation(24) == pytest.approx(0.04)
    assert Constraint.parse("psnr_db>=0").violation(-2) == pytest.approx(2.0)


def test_a_constraint_bounds_an_objective_from_its_bad_side_alone() -> None:
    latency, quality = Objective.of("latency_ms[host]"), Objective.of("psnr_db")
    assert Constraint.parse("latency_ms[host]<=50").bounds(latency)
    assert not Constraint.parse("latency_ms[host]>=50").bounds(latency)
    assert not Constraint.parse("latency_ms[other]<=50").bounds(latency)
    assert Constraint.parse("psnr_db>=25").bounds(quality)
    assert not Constraint.parse("psnr_db<=25").bounds(quality)
