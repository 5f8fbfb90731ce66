"""Chooses the best model within a budget of milliseconds for each device.

Pages and programs share this one rule. `budget.js` holds it for the report's page; a test compares
the two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.crops import evenly_spaced
from nas.report.report_data import ReportData, latency_metrics
from nas.study.seed_noise import Noise
from nas.study.trial_result import TrialResult

DIGITS = 3  # of a slider's stop


@dataclass(frozen=True)
class Offer:
    """A model as a budget sees it.

    `quality` is the study's quality, the higher the better. `training` is the same for models of
    one training: seeds do not explain their differences. `speed` is the mean over devices of the
    latency's natural logarithm, so that each device counts the same; the lower, the faster. It is
    None where a device has no latency.
    """

    trial: int
    quality: float
    training: str
    latency_ms: Mapping[str, float]
    speed: float | None

    def to_dict(self) -> dict[str, Any]:
        """The offer as JSON types, as the page's script takes it."""
        return {**vars(self), "latency_ms": dict(self.latency_ms)}


@dataclass(frozen=True)
class BudgetChoice:
    """The `model` that a budget makes the choice.

    `sharpest` is the best model by its figure alone; noise can't tell the choice from it.
    """

    model: Offer
    sharpest: Offer


def offers_of(
    models: Sequence[TrialResult], devices: Sequence[str], quality: str = "psnr_db"
) -> list[Offer]:
    """Return an offer for each model that has the quality, in the models' order.

    `devices` are the required ones, over which the speed is taken.
    """
    offers = []
    for model in models:
        timed = {name: metric.value for name, metric in latency_metrics(model).items()}
        if quality in model.metrics:
            speed = None
            if devices and set(devices) <= timed.keys():
                speed = sum(math.log(timed[device]) for device in devices) / len(devices)
            training = model.weights or model.key
            offers.append(Offer(model.number, model.value(quality), training, timed, speed))
    return offers


def resolved_difference(noise: Noise | None, quality: str = "psnr_db") -> float:
    """Return the difference of quality below which two trainings are alike.

    It is 0 where nothing is known of the noise, and for a quality other than PSNR.
    """
    return noise.resolved_db if noise is not None and quality == "psnr_db" else 0.0


def best_within(
    offers: Sequence[Offer], budgets: Mapping[str, float], resolved: float = 0.0
) -> BudgetChoice | None:
    """Return the model to take where each device of `budgets` may need so many ms at most.

    It is the fastest of those whose quality is the best within `resolved`. Models of the best one's
    own training are left out of these: their precision makes the difference, not noise. None where
    no model is within all budgets; a model without a latency on a device is outside of that
    device's budget.
    """
    within = [
        offer
        for offer in offers
        if all(offer.latency_ms.get(device, math.inf) <= ms for device, ms in budgets.items())
    ]
    if not within:
        return None
    best = min(within, key=lambda offer: (-offer.quality, *_speed(offer)))
    equal = [
        offer
        for offer in within
        if offer is best
        or (offer.quality >= best.quality - resolved and offer.training != best.training)
    ]
    return BudgetChoice(min(equal, key=lambda offer: (*_speed(offer), -offer.quality)), best)


def _speed(offer: Offer) -> tuple[float, int]:
    """Return a key that sorts the fastest offer first, then the first trial."""
    return (math.inf if offer.speed is None else offer.speed, offer.trial)


def budget_stops(models: Sequence[Offer], device: str) -> list[float]:
    """Return the budgets in ms at which another model comes in: its latency, rounded up; sorted."""
    return sorted({round_up(o.latency_ms[device]) for o in models if device in o.latency_ms})


def round_up(value: float, digits: int = DIGITS) -> float:
    """Return the least number of `digits` significant digits not below `value` (above 0)."""
    places = digits - 1 - math.floor(math.log10(value))
    near = round(value, places)
    return near if near >= value else round(near + 10.0**-places, places)


def budget_choices(
    offers: Sequence[Offer], devices: Sequence[str], resolved: float = 0.0
) -> list[int]:
    """Return the trials that some budget makes the choice, those of most budgets first.

    It tries no budget at all, each device's stops by itself, and each model's own latencies.
    """
    counts: Counter[int] = Counter()
    for budgets in _asked(offers, devices):
        choice = best_within(offers, budgets, resolved)
        if choice is not None:
            counts[choice.model.trial] += 1
    return [trial for trial, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _asked(offers: Sequence[Offer], devices: Sequence[str]) -> Iterator[Mapping[str, float]]:
    yield {}
    for device in devices:
        yield from ({device: stop} for stop in budget_stops(offers, device))
    yield from (offer.latency_ms for offer in offers)


def budget_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return what a field and a slider need, for each device with a latency of a front's model."""
    offers = _offers(data)
    devices = (*data.devices, *data.optional_devices)
    rows = ({"device": d, "name": data.names[d], "stops": budget_stops(offers, d)} for d in devices)
    return [row for row in rows if row["stops"]]


def choice_values(data: ReportData) -> dict[str, Any]:
    """Return what the page's script chooses from, as JSON types: every model of the front."""
    rows = budget_rows(data)
    return {
        "offers": [offer.to_dict() for offer in _offers(data)],
        "resolved": _resolved(data),
        "stops": {row["device"]: row["stops"] for row in rows},
        "names": {row["device"]: row["name"].name for row in rows},
    }


def models_to_picture(data: ReportData, most: int) -> list[TrialResult]:
    """Choose `most` models of the front, or more, to make pictures with, in the front's order.

    All of the report's picks come first, then the models that a budget chooses, then others, evenly
    over the front.
    """
    models = [member for member in data.front if member.artifact is not None]
    by_number = {model.number: model for model in models}
    wanted = dict.fromkeys(pick.result.number for pick in data.picks)
    room = max(most, len(wanted))
    devices = [row["device"] for row in budget_rows(data)]
    further = [*budget_choices(_offers(data), devices, _resolved(data))]
    further += [model.number for model in evenly_spaced(models, most)]
    numbers = [number for number in dict.fromkeys((*wanted, *further)) if number in by_number]
    shown = set(numbers[:room])
    return [model for model in models if model.number in shown]


def _offers(data: ReportData) -> list[Offer]:
    return offers_of(data.front, data.devices, data.quality.metric)


def _resolved(data: ReportData) -> float:
    noise = data.certainty.noise if data.certainty else None
    return resolved_difference(noise, data.quality.metric)
