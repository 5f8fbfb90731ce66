"""The Pareto front of a run, and the volume that it dominates.

A trial is on the front where no other one is at least as good in every objective and better in one.
The hypervolume is the volume between the front and one reference point that stays where it is for
the whole run; axes that span orders of magnitude (latency, MACs, ...) are taken as log10, so that
halving a latency counts the same at 10 ms and at 1000 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.study.objectives import MARGIN, Constraint, Objective
from nas.study.trial_result import TrialResult

FIRST_TRIALS = 16  # what fixes the reference point where neither the study nor the data does

THINNING_PASSES = 8

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """The hypervolume's corner: a value for each objective, in the objective's own unit.

    `reasons` says in words where each value comes from.
    """

    values: tuple[float, ...]
    reasons: tuple[str, ...]


def eligible(result: TrialResult, objectives: Sequence[Objective]) -> bool:
    """Whether a trial may be on the front: complete, feasible, and with every objective."""
    return (
        result.state == "complete"
        and all(violation <= 0 for violation in result.violations.values())
        and all(objective.metric in result.metrics for objective in objectives)
    )


def distinct(results: Iterable[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """The eligible trials by number, each candidate once: the first of equal keys."""
    found: dict[str, TrialResult] = {}
    for result in sorted(results, key=lambda result: result.number):
        if eligible(result, objectives):
            found.setdefault(result.key, result)
    return list(found.values())


def front(results: Iterable[TrialResult], objectives: Sequence[Objective]) -> list[TrialResult]:
    """The trials that no other one dominates, best in the first objective first.

    Candidates that are equal in every objective are all on it.
    """
    import moocore

    trials = distinct(results, objectives)
    if not trials:
        return []
    losses = np.array([_losses(trial, objectives) for trial in trials])
    kept = moocore.is_nondominated(losses, keep_weakly=True)
    order = sorted(np.flatnonzero(kept), key=lambda index: (*losses[index], index))
    return [trials[index] for index in order]


def reference_point(
    results: Iterable[TrialResult],
    objectives: Sequence[Objective],
    description: Mapping[str, Any] | None = None,
) -> Reference | None:
    """The run's reference point; None where nothing is known yet to place it by.

    `description` is what run.json holds. For each objective, the first of these that there is: the
    bound that a constraint sets on it; the blurred pictures' own quality; the worst of the run's
    first `FIRST_TRIALS` eligible trials, for costs times `MARGIN`. So the point stands still as
    soon as that many trials are complete, and from the start where the study itself fixes it.
    """
    first = distinct(results, objectives)[:FIRST_TRIALS]
    found = [_reference(objective, first, description or {}) for objective in objectives]
    placed = [one for one in found if one is not None]
    if len(placed) < len(found):
        return None
    return Reference(tuple(value for value, _ in placed), tuple(reason for _, reason in placed))


def _reference(
    objective: Objective, first: Sequence[TrialResult], description: Mapping[str, Any]
) -> tuple[float, str] | None:
    for text in description.get("study", {}).get("constraints", []):
        constraint = Constraint.parse(text)
        if constraint.bounds(objective):
            return constraint.bound, f"the constraint {text}"
    untouched = _input_quality(objective.metric, first, description)
    if untouched is not None:
        return untouched, "the blurred pictures themselves"
    if not first:
        return None
    values = [result.value(objective.metric) for result in first]
    if objective.direction == "maximize":
        return min(values), f"the worst of the first {len(first)} complete trials"
    margin = MARGIN if objective.is_logarithmic else 1.0
    times = f"{margin:g} times " if margin != 1 else ""
    return max(values) * margin, f"{times}the worst of the first {len(first)} complete trials"


def _input_quality(
    metric: str, first: Sequence[TrialResult], description: Mapping[str, Any]
) -> float | None:
    """A metric of the blurred pictures, from run.json or from the first trial that has it."""
    known = description.get("input", {}).get(metric)
    if known is not None:
        return float(known)
    name = f"{metric}_input"
    return next((result.value(name) for result in first if name in result.metrics), None)


class Front:
    """A front and its hypervolume that take one trial at a time, fast at any number of trials.

    `hypervolume` grows by the part that only the new trial dominates: its own box less what the
    present members dominate of it. Adding costs time in the size of the front, not of the run.
    """

    def __init__(self, objectives: Sequence[Objective], reference: Reference | None = None) -> None:
        self._objectives = tuple(objectives)
        self._members: list[TrialResult] = []
        self._points: Points = np.empty((len(self._objectives), 0))  # a column a member
        self._keys: set[str] = set()
        self._corner: Points | None = None
        if reference is not None:
            pairs = zip(reference.values, objectives, strict=True)
            self._corner = np.array([[objective.loss(value)] for value, objective in pairs])
        self.hypervolume = 0.0

    @property
    def members(self) -> list[TrialResult]:
        """The trials on the front, best in the first objective first."""
        order = np.lexsort(self._points[::-1])
        return [self._members[index] for index in order]

    def add(self, result: TrialResult) -> bool:
        """Take a finished trial in; True where it is on the front now."""
        if result.key in self._keys or not eligible(result, self._objectives):
            return False
        self._keys.add(result.key)
        point = np.array(_losses(result, self._objectives))[:, None]
        if ((self._points <= point).all(axis=0) & (self._points < point).any(axis=0)).any():
            return False
        self.hypervolume += self._contribution(point)
        beaten = (point <= self._points).all(axis=0) & (point < self._points).any(axis=0)
        for index in np.flatnonzero(beaten)[::-1]:
            del self._members[index]
        self._members.append(result)
        self._points = np.hstack([self._points[:, ~beaten], point])
        return True

    def _contribution(self, point: Points) -> float:
        """The volume that `point` dominates and no member does."""
        import moocore

        if self._corner is None or (point >= self._corner).any():
            return 0.0
        box = float(np.prod(self._corner - point))
        shared = np.maximum(self._points, point)
        shared = _thinned(shared[:, (shared < self._corner).all(axis=0)], self._corner)
        if not shared.size:
            return box
        common = moocore.hypervolume(np.ascontiguousarray(shared.T), ref=self._corner[:, 0])
        return max(0.0, box - float(common))


def _thinned(points: Points, corner: Points) -> Points:
    """Columns of `points` without most of those that another one dominates.

    The largest boxes dominate nearly all of a clipped front: a few passes leave little to add up.
    """
    largest = []
    for _ in range(THINNING_PASSES):
        if points.shape[1] <= 2 * THINNING_PASSES:
            break
        one = points[:, [int(np.argmax(np.prod(corner - points, axis=0)))]]
        largest.append(one)
        points = points[:, (points < one).any(axis=0)]
    return np.hstack([*largest, points])


def hypervolume_history(
    results: Iterable[TrialResult], objectives: Sequence[Objective], reference: Reference | None
) -> list[float]:
    """The front's hypervolume after each trial, in the order of `results`; 0 before the first."""
    growing = Front(objectives, reference)
    history = []
    for result in results:
        growing.add(result)
        history.append(growing.hypervolume)
    return history


def knee(members: Sequence[TrialResult], objectives: Sequence[Objective]) -> TrialResult | None:
    """The front's bend: the member nearest to the best of every objective at once.

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
