"""Chooses the best model within budgets, for the report, its cards, `nas pareto` and Python.

A budget bounds a figure from above, for example `latency_ms[host]` by 33. Chosen is the best
quality within all budgets; where noise can't tell models apart, the fastest of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.errors import ConfigError, unknown
from nas.study.objectives import Objective
from nas.study.seed_noise import Noise
from nas.study.trial_result import TrialResult


@dataclass(frozen=True)
class Offer:
    """A model as a budget sees it.

    `quality` is the study's quality, the higher the better; of a cost, which stands for it in a
    study of costs alone, it is the negative. `training` is the same for models of one training:
    seeds do not explain their differences. `figures` are all of the model's figures by name.
    `speed` is the mean over devices of the latency's natural logarithm, so that each device counts
    the same; the lower, the faster. It is None where a device has no latency.
    """

    trial: int
    quality: float
    training: str
    figures: Mapping[str, float]
    speed: float | None

    def to_dict(self, metrics: Iterable[str]) -> dict[str, Any]:
        """Return the offer as JSON types with these of its figures, as the page's script wants."""
        kept = {metric: self.figures[metric] for metric in metrics if metric in self.figures}
        return {**vars(self), "figures": kept}

    def is_within(self, budgets: Mapping[str, float]) -> bool:
        """Return whether no budgeted figure is over its budget; one that is missing is over it."""
        return all(self.figures.get(metric, math.inf) <= most for metric, most in budgets.items())


@dataclass(frozen=True)
class BudgetChoice:
    """The `model` that a budget makes the choice.

    `sharpest` is the best model by its figure alone; noise can't tell the choice from it. `equal`
    are all that it can't tell from `sharpest`, this one included, the fastest first.
    """

    model: Offer
    sharpest: Offer
    equal: tuple[Offer, ...] = ()


def latency_of(device: str) -> str:
    """Return the name of the figure that is the latency on a device."""
    return f"latency_ms[{device}]"


def offers_of(
    models: Sequence[TrialResult], devices: Sequence[str], quality: str = "psnr_db"
) -> list[Offer]:
    """Return an offer for each model that has the quality, in the models' order.

    `devices` are the required ones, over which the speed is taken.
    """
    offers = []
    sign = 1.0 if Objective.of(quality).direction == "maximize" else -1.0
    for model in models:
        if quality not in model.metrics:
            continue
        figures = {name: metric.value for name, metric in model.metrics.items()}
        timed = [figures.get(latency_of(device)) for device in devices]
        known = [math.log(latency) for latency in timed if latency is not None]
        speed = sum(known) / len(known) if known and len(known) == len(timed) else None
        training = model.weights or model.key
        offers.append(Offer(model.number, sign * model.value(quality), training, figures, speed))
    return offers


def resolved_difference(noise: Noise | None, quality: str = "psnr_db") -> float:
    """Return the difference of quality below which two trainings are alike.

    It is 0 where nothing is known of the noise, and for a quality other than PSNR.
    """
    return noise.resolved_db if noise is not None and quality == "psnr_db" else 0.0


def best_within(
    offers: Sequence[Offer], budgets: Mapping[str, float], resolved: float = 0.0
) -> BudgetChoice | None:
    """Return the model to take where each figure of `budgets` may be so much at most.

    It is the fastest of those whose quality is the best within `resolved`. Models of the best one's
    own training are left out of these: their precision makes the difference, not noise. None where
    no model is within all budgets; a model without a figure is outside of that figure's budget.
    """
    within = [offer for offer in offers if offer.is_within(budgets)]
    if not within:
        return None
    best = min(within, key=lambda offer: (-offer.quality, *_speed(offer)))
    equal = [
        offer
        for offer in within
        if offer is best
        or (offer.quality >= best.quality - resolved and offer.training != best.training)
    ]
    equal.sort(key=lambda offer: (*_speed(offer), -offer.quality))
    return BudgetChoice(equal[0], best, tuple(equal))


def _speed(offer: Offer) -> tuple[float, int]:
    """Return a key that sorts the fastest offer first, then the first trial."""
    return (math.inf if offer.speed is None else offer.speed, offer.trial)


def parse_budgets(texts: Iterable[str], known: Iterable[str]) -> dict[str, float]:
    """Read budgets such as `latency_ms[host]=33`; `known` are the figures that a run has.

    Raises ConfigError for another form, a figure that is not known, one of which more is better,
    one that is named twice, and a bound that is not a number above 0.
    """
    names = sorted(known)
    budgets: dict[str, float] = {}
    for text in texts:
        metric, equals, value = text.rpartition("=")
        metric = metric.removesuffix("<").strip()
        try:
            most = float(value) if equals else math.nan
        except ValueError:
            most = math.nan
        if not metric or not (0 < most < math.inf):
            raise ConfigError(
                f"budget {text!r}: expected FIGURE=NUMBER, for example 'latency_ms[host]=33'"
            )
        if metric not in names:
            raise unknown("figure in a budget", metric, names)
        if Objective.of(metric).direction == "maximize":
            raise ConfigError(
                f"budget {text!r}: more {metric} is better, so it needs no upper bound"
            )
        if metric in budgets:
            raise ConfigError(f"budget {text!r}: {metric} has a budget already")
        budgets[metric] = most
    return budgets
