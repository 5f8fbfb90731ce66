from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from nas.errors import ConfigError
from nas.study.metric import Metric
from nas.study.picker import (
    BudgetChoice,
    Offer,
    best_within,
    offers_of,
    parse_budgets,
    resolved_difference,
)
from nas.study.seed_noise import pooled
from nas.study.trial_result import TrialResult
from tests.helpers.offers import drawn, offer


def made(number: int, **figures: float) -> TrialResult:
    metrics = {name: Metric(value, "synthetic") for name, value in figures.items()}
    return TrialResult(number, f"k{number}", "net", {}, "complete", metrics=metrics)


def by_hand(offers: list[Offer], budgets: dict[str, float], apart: float) -> BudgetChoice | None:
    """The rule once more, pair by pair, without a sort key."""
    within = [o for o in offers if all(o.figures[d] <= ms for d, ms in budgets.items())]
    if not within:
        return None
    best = within[0]
    for one in within:
        faster = one.speed is not None and best.speed is not None and one.speed < best.speed
        if one.quality > best.quality or (one.quality == best.quality and faster):
            best = one
    model = best
    for one in within:
        tied = best.quality - one.quality <= apart and one.training != best.training
        assert one.speed is not None
        assert model.speed is not None
        if tied and (one.speed, one.trial) < (model.speed, model.trial):
            model = one
    equal = {best.trial: best}
    for one in within:
        if one.training != best.training and best.quality - one.quality <= apart:
            equal[one.trial] = one
    fastest_first = []
    while equal:
        first = next(iter(equal.values()))
        for one in equal.values():
            assert one.speed is not None
            assert first.speed is not None
            if (one.speed, one.trial) < (first.speed, first.trial):
                first = one
        fastest_first.append(equal.pop(first.trial))
    return BudgetChoice(model, best, tuple(fastest_first))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("apart", [0.0, 0.4, 1.5])
def test_the_choice_is_that_of_a_look_at_every_model(seed: int, apart: float) -> None:
    offers = drawn(seed)
    for a, b in itertools.product([None, 1, 3, 5, 8], repeat=2):
        budgets = {d: float(ms) for d, ms in (("a", a), ("b", b)) if ms is not None}
        assert best_within(offers, budgets, apart) == by_hand(offers, budgets, apart)


def test_more_budget_is_never_less_quality() -> None:
    for seed in range(20):
        offers = drawn(seed)
        for one, other in itertools.pairwise(range(1, 9)):
            less = best_within(offers, {"a": one, "b": one})
            more = best_within(offers, {"a": other, "b": other})
            assert less is None or (more is not None and more.model.quality >= less.model.quality)


def test_the_review_s_example_within_every_device_s_budget() -> None:
    """At most 107 ms: 31.91 dB qualifies, not 31.36 dB; and each further device limits, too."""
    offers = [offer(6, 31.36, 95, 20), offer(3, 31.91, 106.8, 30), offer(1, 32.5, 280, 10)]
    within = best_within(offers, {"a": 107})
    assert within is not None
    assert within.model.trial == 3
    both = best_within(offers, {"a": 107, "b": 25})
    assert both is not None
    assert both.model.trial == 6
    assert best_within(offers, {"a": 50}) is None
    assert best_within(offers, {"a": 300, "elsewhere": 300}) is None


def test_what_noise_can_t_tell_apart_goes_to_the_fastest() -> None:
    offers = [offer(0, 30.0, 9, 9), offer(1, 29.8, 2, 9), offer(2, 29.4, 1, 1)]
    both = (offers[1], offers[0])
    assert best_within(offers, {}, 0.3) == BudgetChoice(offers[1], offers[0], both)
    alone = BudgetChoice(offers[0], offers[0], (offers[0],))
    assert best_within(offers, {}, 0.0) == alone
    twin = replace(offers[1], training="0")  # the same training: a precision's loss is no noise
    assert best_within([offers[0], twin], {}, 0.3) == alone


def test_noise_counts_for_psnr_alone() -> None:
    noise = pooled([(30.0, 30.4), (28.0, 28.1)], [30.0, 28.0, 29.0])
    assert resolved_difference(noise) == noise.resolved_db
    assert resolved_difference(noise, "ssim") == resolved_difference(None) == 0.0


def test_an_offer_has_every_figure_and_a_speed_over_the_devices() -> None:
    models = [made(0, psnr_db=30.0, **{"latency_ms[a]": 4.0, "latency_ms[b]": 9.0, "bytes": 7.0})]
    models += [made(1, psnr_db=31.0, **{"latency_ms[a]": 4.0}), made(2, ssim=0.9)]
    both, one = offers_of(models, ["a", "b"])
    assert both.figures == {"psnr_db": 30.0, "latency_ms[a]": 4.0, "latency_ms[b]": 9.0, "bytes": 7}
    assert both.speed == pytest.approx(math.log(6.0))
    assert one.speed is None
    assert both.to_dict(["bytes", "none"])["figures"] == {"bytes": 7.0}
    assert [offer.trial for offer in offers_of(models, [], "ssim")] == [2]
    within = best_within([both, one], {"bytes": 8.0})
    assert within is not None
    assert within.model is both


def test_budgets_are_read_from_words() -> None:
    known = ["latency_ms[npu:sm8650]", "bytes", "psnr_db"]
    asked = ["latency_ms[npu:sm8650]=33", "bytes<=1e6"]
    assert parse_budgets(asked, known) == {"latency_ms[npu:sm8650]": 33.0, "bytes": 1e6}
    for wrong in ("bytes", "bytes=many", "=3", "bytes=-1", "bytes=nan", "bytes=inf", "bytes>=3"):
        with pytest.raises(ConfigError, match=r"FIGURE=NUMBER|unknown figure"):
            parse_budgets([wrong], known)
    with pytest.raises(ConfigError, match=r"unknown figure in a budget.*'byte'.*mean 'bytes'"):
        parse_budgets(["byte=3"], known)
    with pytest.raises(ConfigError, match="more psnr_db is better"):
        parse_budgets(["psnr_db=30"], known)
    with pytest.raises(ConfigError, match="bytes has a budget already"):
        parse_budgets(["bytes=3", "bytes=4"], known)
