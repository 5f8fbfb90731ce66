"""The Pareto front of a run, and the hypervolume that it dominates.

A trial is on the front where no other one is at least as good in every objective and better in one.
The hypervolume is the volume between the front and one reference point, which stays where it is for
the whole run. Axes that span orders of magnitude (latency, MACs, ...) are taken as log10, so that
halving a latency counts the same at 10 ms and at 1000 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.study.hypervolume import Points, contribution
from nas.study.objectives import MARGIN, Constraint, Objective
from nas.study.trial_result import TrialResult

FIRST_TRIALS = 16  # what fixes the reference point where neither the study nor the data does


@dataclass(frozen=True)
class ReferencePoint:
    """The worst point of the hypervolume: one value and one reason for each objective.

    `values` are in the objectives' own units; `reasons` say in words where each one comes from.
    """

    values: tuple[float, ...]
    reasons: tuple[str, ...]


def eligible(result: TrialResult, objectives: Sequence[Objective]) -> bool:
    """Return whether a trial may be on the front: complete, feasible, and with every objective."""
    return (
        result.state == "complete"
        and all(violation <= 0 for violation in result.violations.values())
        and all(objective.metric in result.metrics for objective in objectives)
    )


def distinct(results: Iterable[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """Return the eligible trials by number, each candidate once: the first of equal keys."""
    by_key: dict[str, TrialResult] = {}
    for result in sorted(results, key=lambda result: result.number):
        if eligible(result, objectives):
            by_key.setdefault(result.key, result)
    return list(by_key.values())


def front(results: Iterable[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """Return the trials that no other one dominates, best in the first objective first.

    Candidates that are equal in every objective are all on it.
    """
    import moocore

    trials = distinct(results, objectives)
    if not trials:
        return []
    losses = np.array([_losses(trial, objectives) for trial in trials])
    on_front = moocore.is_nondominated(losses, keep_weakly=True)
    order = sorted(np.flatnonzero(on_front), key=lambda index: (*losses[index], index))
    return [trials[index] for index in order]


def reference_point(
    results: Iterable[TrialResult],
    objectives: Sequence[Objective],
    description: Mapping[str, Any] | None = None,
) -> ReferencePoint | None:
    """Return the run's reference point; None while nothing is known to place it by.

    `description` is what run.json holds. Each coordinate is `reference_coordinate`'s, from the
    first `FIRST_TRIALS` eligible trials. So the point stands still as soon as that many trials are
    complete, and from the start where the study or its pictures fix it.
    """
    description = description or {}
    first = distinct(results, objectives)[:FIRST_TRIALS]
    texts = description.get("study", {}).get("constraints", [])
    constraints = [Constraint.parse(text) for text in texts]
    coordinates = []
    for objective in objectives:
        coordinate = reference_coordinate(
            objective,
            constraints,
            _input_quality(objective.metric, first, description),
            [result.value(objective.metric) for result in first],
        )
        if coordinate is None:
            return None
        coordinates.append(coordinate)
    return ReferencePoint(
        tuple(value for value, _ in coordinates), tuple(reason for _, reason in coordinates)
    )


def reference_coordinate(
    objective: Objective,
    constraints: Iterable[Constraint],
    input_quality: float | None,
    first_values: Sequence[float],
) -> tuple[float, str] | None:
    """Return the reference point's value in one objective, with the reason in words.

    It is the first of these that there is: the bound that a constraint sets on the objective;
    `input_quality`, which is the objective of the blurred pictures themselves; the worst of
    `first_values`, those of the run's first trials, for costs times `MARGIN`. None without any.
    """
    for constraint in constraints:
        if constraint.bounds(objective):
            return constraint.bound, f"the constraint {constraint}"
    if input_quality is not None:
        return input_quality, "the pictures before restoration"
    if not first_values:
        return None
    trials = f"the worst of the first {len(first_values)} complete trials"
    if objective.direction == "maximize":
        return min(first_values), trials
    if not objective.is_logarithmic:
        return max(first_values), trials
    return max(first_values) * MARGIN, f"{MARGIN:g} times {trials}"


def _input_quality(
    metric: str, first: Sequence[TrialResult], description: Mapping[str, Any]
) -> float | None:
    """Return a metric of the blurred pictures: run.json's, or that of the first trial with one."""
    value = description.get("input", {}).get(metric)
    if value is not None:
        return float(value)
    name = f"{metric}_input"
    return next((result.value(name) for result in first if name in result.metrics), None)


class Front:
    """A front that takes one trial at a time, and its hypervolume.

    `hypervolume` grows by the part that only the new trial dominates; it stays 0 without a
    reference point. Adding a trial costs time in the size of the front, not of the run.
    """

    def __init__(
        self, objectives: Sequence[Objective], reference_point: ReferencePoint | None = None
    ) -> None:
        self._objectives = tuple(objectives)
        self._members: list[TrialResult] = []
        self._points: Points = np.empty((len(self._objectives), 0))  # a column a member
        self._keys: set[str] = set()
        self._reference_point: Points | None = None
        if reference_point is not None:
            pairs = zip(reference_point.values, objectives, strict=True)
            self._reference_point = np.array([objective.loss(value) for value, objective in pairs])
        self.hypervolume = 0.0

    @property
    def members(self) -> list[TrialResult]:
        """The trials on the front, best in the first objective first."""
        order = np.lexsort(self._points[::-1])
        return [self._members[index] for index in order]

    def add(self, result: TrialResult) -> bool:
        """Take in a finished trial; return whether it is on the front now."""
        if result.key in self._keys or not eligible(result, self._objectives):
            return False
        self._keys.add(result.key)
        point = np.array(_losses(result, self._objectives))[:, None]
        if ((self._points <= point).all(axis=0) & (self._points < point).any(axis=0)).any():
            return False
        if self._reference_point is not None:
            self.hypervolume += contribution(point[:, 0], self._points, self._reference_point)
        beaten = (point <= self._points).all(axis=0) & (point < self._points).any(axis=0)
        for index in np.flatnonzero(beaten)[::-1]:
            del self._members[index]
        self._members.append(result)
        self._points = np.hstack([self._points[:, ~beaten], point])
        return True


def hypervolume_history(
    results: Iterable[TrialResult],
    objectives: Sequence[Objective],
    reference_point: ReferencePoint | None,
) -> list[float]:
    """Return the front's hypervolume after each trial, in the order of `results`.

    A trial that adds nothing repeats the value before it; without a reference point all are 0.
    """
    growing = Front(objectives, reference_point)
    history = []
    for result in results:
        growing.add(result)
        history.append(growing.hypervolume)
    return history


def knee(members: Sequence[TrialResult], objectives: Sequence[Objective]) -> TrialResult | None:
    """Return the front's bend: the member nearest to the best of every objective at once.

    Each axis is stretched to run from 0 (the front's best) to 1 (its worst). None for fewer than
    three members, where there is no choice between the ends.
    """
    if len(members) < 3:
        return None
    losses = np.array([_losses(member, objectives) for member in members])
    best, worst = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - best) / np.where(worst > best, worst - best, 1.0)
    return members[int(np.argmin((scaled**2).sum(axis=1)))]


def _losses(result: TrialResult, objectives: Sequence[Objective]) -> list[float]:
    return [objective.loss(result.value(objective.metric)) for objective in objectives]
