"""Says a run's result in sentences: which model to take, why, and what the next step costs.

`nas explain` prints them, and the first of them head the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nas.errors import ConfigError
from nas.report.busy import busy_words
from nas.report.choice import RunFront
from nas.report.numbers import short_number
from nas.report.titles import title, unit
from nas.study.halving import RUNG_NAMES, readings_of
from nas.study.objectives import WORST_RATIO, Constraint
from nas.study.picker import BudgetChoice, Offer
from nas.study.trial_result import STOPPED, TrialResult

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MOST_NAMED = 8
NameOf = Callable[[str], str]
"""Gives people's name of a device, of the one that files use."""


def explain_run(found: RunFront, name_of: NameOf = str) -> list[str]:
    """Return sentences: the models that are alike, the one to take, the price of the next step.

    Without a model they say so; without known noise they say that, where anything was trained.
    """
    choice = found.choose()
    if choice is None:
        done = _count(len(found.results), "finished trial", "finished trials")
        return [f"No model yet: {done}, none of them complete and within the constraints."]
    model, sharpest = choice.model, choice.sharpest
    figures = _figures(found, model, name_of)
    sentences = []
    if len(choice.equal) > 1:
        sentences.append(
            f"{_count(len(choice.equal), 'model', 'models').capitalize()} are equally "
            f"{_sharp(found)} within noise ({found.resolved:.2f} dB): "
            f"{_trials([offer.trial for offer in choice.equal])}."
        )
        ratio = _times_faster(sharpest, model)
        best = "which also has the best figure"
        if model is not sharpest:
            best = f"{ratio} than trial {sharpest.trial}, which has the best figure"
        sentences.append(f"Trial {model.trial} is the fastest of them: {figures}, {best}.")
    else:
        sentences.append(f"Trial {model.trial} {_is_sharpest(found)}: {figures}.")
        if found.noise is None and any(result.weights for result in found.results):
            sentences.append(
                "How much of the differences is noise is not known: no network was trained twice."
            )
    sentences.append(_next_step(found, model, name_of))
    return [sentence for sentence in sentences if sentence]


def explain_choice(found: RunFront, choice: BudgetChoice, name_of: NameOf = str) -> str:
    """Say in a sentence or two which model a budget makes the choice, and what else is alike."""
    model, sharpest = choice.model, choice.sharpest
    said = f"Take trial {model.trial}: {_figures(found, model, name_of)}."
    if model is sharpest:
        return said
    more = _difference(found, sharpest.quality - model.quality)
    ratio = _times_faster(sharpest, model)
    return f"{said} Trial {sharpest.trial} is {more} better, which noise explains; this is {ratio}."


def _next_step(found: RunFront, model: Offer, name_of: NameOf) -> str:
    """Say what the best of the faster models costs; empty where speed is not known."""
    if model.speed is None:
        return ""
    faster = [o for o in found.offers if o.speed is not None and o.speed < model.speed]
    if not faster:
        return "No model of the front is faster." if len(found.offers) > 1 else ""
    step = max(faster, key=lambda offer: (offer.quality, -(offer.speed or 0.0)))
    lost = _difference(found, model.quality - step.quality)
    return (
        f"The next faster one, trial {step.trial}, costs {lost}: "
        f"{_figures(found, step, name_of)}, {_times_faster(model, step)}."
    )


def explain_trial(
    found: RunFront, number: int, name_of: NameOf = str, on_devices: Sequence[str] = ()
) -> list[str]:
    """Return sentences on one trial: how it ended and why, who beats it, or its place on the front.

    `on_devices` are those of `explain_devices`, which tell what a device that refuses it says.
    Raises ConfigError where no trial of that number has ended.
    """
    by_number = {result.number: result for result in found.results}
    if number not in by_number:
        last = f"; the last is {max(by_number)}" if by_number else ""
        raise ConfigError(f"no trial {number} has ended: {len(by_number)} have{last}")
    result = by_number[number]
    sentences = [f"Trial {number} is {result.label}{', a baseline' if result.baseline else ''}."]
    refused = result.failure is not None and result.failure.kind == "DeviceRefusedError"
    if refused and on_devices:
        return [*sentences, "It is infeasible: a required device can't run it.", *on_devices]
    if result.state != "complete":
        return [*sentences, f"It {reason(result, name_of)}.", *on_devices]
    offers = {offer.trial: offer for offer in found.offers}
    if number in offers:
        return [*sentences, *_place(found, offers[number], name_of), *on_devices]
    return [*sentences, *_beaten(found, result, name_of), *on_devices]


def reason(result: TrialResult, name_of: NameOf = str) -> str:
    """Say how a trial ended that is not complete, and why: "failed: TrainingError: ..."."""
    if result.failure is not None:
        return f"{_ended(result)}: {result.failure.kind}: {failure_message(result, name_of)}"
    if result.state == STOPPED:
        readings = readings_of(result)
        at = f" at {RUNG_NAMES[len(readings) - 1]} of the training" if readings else ""
        return f"was stopped{at}, because others were better there"
    broken = [_broken(result, text, name_of) for text, by in result.violations.items() if by > 0]
    return f"{_ended(result)}: {'; '.join(broken) or 'no reason was kept'}"


def failure_message(result: TrialResult, name_of: NameOf = str) -> str:
    """Return the message of a trial that failed, with people's names of the devices in it."""
    said = f" {result.failure.message}" if result.failure is not None else ""
    for device in result.conditions.get("devices", {}):
        said = said.replace(f" {device}: ", f" {name_of(device)}: ")
    return said.strip()


def _ended(result: TrialResult) -> str:
    return "failed" if result.state == "failed" else f"is {result.state}"


def _broken(result: TrialResult, text: str, name_of: NameOf) -> str:
    """Say which bound a trial breaks: "Latency on host is 74 ms, 60 at most (23 % over)"."""
    by = result.violations[text]
    try:
        bound = Constraint.parse(text)
    except ConfigError:
        return f"it breaks {text}"
    what = title(bound.metric, name_of)
    if bound.metric not in result.metrics:
        return f"{what} breaks {bound.comparison} {bound.bound:g}"
    value = f"{short_number(result.value(bound.metric))} {unit(bound.metric)}".strip()
    most = "at most" if bound.comparison == "<=" else "at least"
    side = "over" if bound.comparison == "<=" else "under"
    return f"{what} is {value}, {bound.bound:g} {most} ({100 * by:.0f} % {side})"


def _place(found: RunFront, own: Offer, name_of: NameOf) -> list[str]:
    """Say where a model of the front stands among the others."""
    figures = _figures(found, own, name_of)
    sentences = [f"It is on the front, no other model beats it: {figures}."]
    alike = [
        offer
        for offer in found.offers
        if offer.training != own.training and abs(offer.quality - own.quality) <= found.resolved
    ]
    quicker = [o for o in alike if None not in (o.speed, own.speed) and o.speed < own.speed]  # type: ignore[operator]
    if alike and found.resolved:
        named = _trials([offer.trial for offer in alike])
        sentences.append(f"Within noise ({found.resolved:.2f} dB) it is as good as {named}.")
    if quicker and found.resolved:
        fastest = min(quicker, key=lambda offer: offer.speed or 0.0)
        sentences.append(
            f"The fastest of these is trial {fastest.trial}, {_times_faster(own, fastest)}."
        )
    sharper = [o for o in found.offers if o.quality > own.quality + found.resolved]
    if sharper:
        step = min(sharper, key=lambda offer: (offer.speed or 0.0, offer.quality))
        gained = _difference(found, step.quality - own.quality)
        verb = "gains" if found.quality.direction == "maximize" else "saves"
        sentences.append(
            f"The next better one, trial {step.trial}, {verb} {gained}: "
            f"{_figures(found, step, name_of)}."
        )
    return [*sentences, _next_step(found, own, name_of)]


def _beaten(found: RunFront, result: TrialResult, name_of: NameOf) -> list[str]:
    """Say which model of the front beats a complete trial, and in what."""
    shared = [o for o in found.objectives if o.metric in result.metrics]
    shown = [f"{title(o.metric, name_of)} {_value(result, o.metric)}" for o in shared]
    sentences = [f"It is complete, but not on the front: {', '.join(shown)}."]
    winners = [
        member
        for member in found.front
        if all(
            o.metric in member.metrics
            and o.loss(member.value(o.metric)) <= o.loss(result.value(o.metric))
            for o in shared
        )
    ]
    if winners:
        by = next(o for o in (found.quality, *shared) if o in shared)
        best = min(winners, key=lambda member: by.loss(member.value(by.metric)))
        if best.key == result.key:
            return [*sentences, f"It is the same candidate as trial {best.number}."]
        shown = [f"{title(o.metric, name_of)} {_value(best, o.metric)}" for o in shared]
        sentences.append(f"Trial {best.number} is as good or better in all: {', '.join(shown)}.")
    return sentences


def _value(result: TrialResult, metric: str) -> str:
    return _figure(metric, result.value(metric)) + busy_words(result.metrics[metric])


def _figure(metric: str, value: float) -> str:
    places = {"psnr_db": 2, "ssim": 4}.get(metric)
    shown = short_number(value) if places is None else f"{value:.{places}f}"
    return f"{shown} {unit(metric)}".strip()


def _figures(found: RunFront, offer: Offer, name_of: NameOf) -> str:
    """Write a model's quality and costs: "31.91 dB, 107 ms on host"."""
    result = next(one for one in found.results if one.number == offer.trial)
    parts = []
    if found.quality.direction == "maximize":
        parts.append(_figure(found.quality.metric, offer.quality))
    for objective in found.objectives:
        metric, _, device = objective.metric.rstrip("]").partition("[")
        if objective.direction == "minimize" and objective.metric in offer.figures:
            shown = _figure(objective.metric, offer.figures[objective.metric])
            if metric == WORST_RATIO:
                parts.append(f"{shown} times the reference's latency at worst")
                continue
            named = f" on {name_of(device)}" if device else f" {title(metric).lower()}"
            named = named if device or not unit(metric) else ""
            parts.append(shown + named + busy_words(result.metrics[objective.metric]))
    return ", ".join(parts)


def _difference(found: RunFront, value: float) -> str:
    """Write how much better a model is; `value` is positive."""
    shown = _figure(found.quality.metric, value)
    plain = found.quality.direction == "maximize" or unit(found.quality.metric)
    return shown if plain else f"{shown} {title(found.quality.metric).lower()}"


def _times_faster(slow: Offer, fast: Offer) -> str:
    """Write how many times faster one model is, by the mean over devices of the logarithms."""
    if slow.speed is None or fast.speed is None:
        return "faster"
    return f"{math.exp(slow.speed - fast.speed):.3g} times faster"


def _sharp(found: RunFront) -> str:
    return "sharp" if found.quality.metric == "psnr_db" else "good"


def _is_sharpest(found: RunFront) -> str:
    if found.quality.direction == "minimize":
        return f"has the least {title(found.quality.metric).lower()}"
    return "is the sharpest" if found.quality.metric == "psnr_db" else "is the best"


def _count(amount: int, one: str, several: str) -> str:
    word = NUMBERS[amount] if amount < len(NUMBERS) else str(amount)
    return f"{word} {one if amount == 1 else several}"


def _trials(numbers: Sequence[int]) -> str:
    """Name trials, at most `MOST_NAMED` of them."""
    shown = ", ".join(str(number) for number in numbers[:MOST_NAMED])
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {shown}{more}"
