"""Report page's budgets: stops of its sliders, models to make pictures with, what its script needs.

The choice itself is `nas.study.picker`'s; `budget.js` holds the same rule for the page, and a test
compares the two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.report.crops import evenly_spaced
from nas.report.report_data import ReportData
from nas.study.picker import Offer, best_within, latency_of
from nas.study.trial_result import TrialResult

DIGITS = 3  # of a slider's stop


def budget_stops(models: Sequence[Offer], metric: str) -> list[float]:
    """Return the budgets at which another model comes in: its figure, rounded up; sorted."""
    return sorted({round_up(o.figures[metric]) for o in models if metric in o.figures})


def round_up(value: float, digits: int = DIGITS) -> float:
    """Return the least number of `digits` significant digits not below `value` (above 0)."""
    places = digits - 1 - math.floor(math.log10(value))
    near = round(value, places)
    return near if near >= value else round(near + 10.0**-places, places)


def budget_choices(
    offers: Sequence[Offer], metrics: Sequence[str], resolved: float = 0.0
) -> list[int]:
    """Return the trials that some budget makes the choice, those of most budgets first.

    It tries no budget at all, the stops of each of `metrics` by itself, and each model's own
    figures.
    """
    counts: Counter[int] = Counter()
    for budgets in _asked(offers, metrics):
        choice = best_within(offers, budgets, resolved)
        if choice is not None:
            counts[choice.model.trial] += 1
    return [trial for trial, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _asked(offers: Sequence[Offer], metrics: Sequence[str]) -> Iterator[Mapping[str, float]]:
    yield {}
    for metric in metrics:
        yield from ({metric: stop} for stop in budget_stops(offers, metric))
    for offer in offers:
        yield {metric: offer.figures[metric] for metric in metrics if metric in offer.figures}


def budget_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return what a field and a slider need, for each device with a latency of a front's model."""
    rows = []
    for device in (*data.devices, *data.optional_devices):
        stops = budget_stops(data.offers, latency_of(device))
        if stops:
            name = data.names[device]
            rows.append(
                {"device": device, "metric": latency_of(device), "name": name, "stops": stops}
            )
    return [row for row in rows if row["stops"]]


def choice_values(data: ReportData) -> dict[str, Any]:
    """Return what the page's script chooses from, as JSON types: every model of the front."""
    rows = budget_rows(data)
    metrics = [row["metric"] for row in rows]
    return {
        "offers": [offer.to_dict(metrics) for offer in data.offers],
        "resolved": data.resolved,
        "stops": {row["metric"]: row["stops"] for row in rows},
        "names": {row["metric"]: row["name"].name for row in rows},
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
    metrics = [row["metric"] for row in budget_rows(data)]
    further = [*budget_choices(data.offers, metrics, data.resolved)]
    further += [model.number for model in evenly_spaced(models, most)]
    numbers = [number for number in dict.fromkeys((*wanted, *further)) if number in by_number]
    shown = set(numbers[:room])
    return [model for model in models if model.number in shown]
