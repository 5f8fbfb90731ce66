"""Picks the models of a front that a report gives a card each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.devices.names import DeviceName
from nas.report.choice import RunFront
from nas.report.titles import title
from nas.study.objectives import Objective
from nas.study.pareto import knee
from nas.study.trial_result import TrialResult


@dataclass(frozen=True)
class Pick:
    """A member of the front that is worth a sentence; `title` says why.

    `sharper` is a model with a better figure, but not for certain, and slower; None where the pick
    is the best by its figure, too.
    """

    title: str
    result: TrialResult
    sharper: TrialResult | None = None


def find_picks(found: RunFront, names: Mapping[str, DeviceName]) -> list[Pick]:
    """Return the ends of the front and its bend, each trial once.

    Each is the picker's choice: without a budget, within the costs of the bend, and within the
    least of one cost.
    """
    objectives = found.objectives
    costs = [objective.metric for objective in objectives if objective.direction == "minimize"]
    wanted: list[tuple[str, Mapping[str, float] | None, TrialResult]] = []
    for objective in objectives if found.front else ():
        best = _best(found.front, objective)
        limits: Mapping[str, float] | None = {objective.metric: best.value(objective.metric)}
        if objective.direction == "maximize":
            limits = {} if objective == found.quality else None
        wanted.append((_superlative(objective, names), limits, best))
    bend = knee(found.front, objectives)
    if bend is not None:
        wanted.insert(1, ("Balanced", {cost: bend.value(cost) for cost in costs}, bend))
    by_number = {member.number: member for member in found.front}
    picks: dict[int, Pick] = {}
    for name, budgets, best in wanted:
        choice = None if budgets is None else found.choose(budgets)
        model = by_number[choice.model.trial] if choice else best
        sharper = by_number[choice.sharpest.trial] if choice else best
        picks.setdefault(model.number, Pick(name, model, None if sharper == model else sharper))
    return list(picks.values())


def _best(members: Sequence[TrialResult], objective: Objective) -> TrialResult:
    better = max if objective.direction == "maximize" else min
    return better(members, key=lambda member: member.value(objective.metric))


def _superlative(objective: Objective, known: Mapping[str, DeviceName]) -> str:
    base, _, device = objective.metric.rstrip("]").partition("[")
    names = {"psnr_db": "Sharpest", "ssim": "Most similar", "latency_ms": "Fastest"}
    names["worst_latency_ratio"] = "Most portable"
    name = names.get(base, f"Best {title(base)}")
    return f"{name} on {known[device].name if device in known else device}" if device else name
