"""Tells what each choice of a study does to its objectives, from the trials that a run has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.study.objectives import Objective
from nas.study.trial_result import TrialResult

LEAST_SHARE = 0.05
"""A choice that explains a smaller share of the differences is not shown."""


@dataclass(frozen=True)
class Effect:
    """How a metric differs between the values of one parameter.

    `groups` holds the trials' numbers and values under each of the parameter's values, in order.
    `share` is the share of the metric's variance that the parameter explains by itself (epsilon
    squared: eta squared less what chance alone would give); None for too few trials.
    """

    parameter: str
    metric: str
    groups: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]
    share: float | None


def find_effects(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> list[Effect]:
    """Compare each parameter's values, by objective, strongest first; one value is not compared."""
    choices = {result.number: parameters_of(result) for result in results}
    names = dict.fromkeys(name for chosen in choices.values() for name in chosen)
    effects = []
    for objective in objectives:
        compared = [_effect(results, choices, name, objective.metric) for name in names]
        several = [effect for effect in compared if len(effect.groups) > 1]
        effects += sorted(several, key=lambda effect: -(effect.share or 0.0))
    return effects


def telling(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects that explain at least `LEAST_SHARE` of the differences."""
    return [effect for effect in effects if (effect.share or 0.0) >= LEAST_SHARE]


def _effect(
    results: Sequence[TrialResult],
    choices: Mapping[int, Mapping[str, Any]],
    name: str,
    metric: str,
) -> Effect:
    groups: dict[Any, list[tuple[int, float]]] = {}
    for result in results:
        if name in choices[result.number] and metric in result.metrics:
            group = groups.setdefault(choices[result.number][name], [])
            group.append((result.number, result.value(metric)))
    ordered = sorted(groups, key=_rank)
    logarithmic = metric.startswith("latency_ms")
    values = [np.array([value for _, value in groups[key]]) for key in ordered]
    share = explained([np.log10(group) if logarithmic else group for group in values])
    return Effect(name, metric, tuple((_say(key), tuple(groups[key])) for key in ordered), share)


def explained(groups: Sequence[np.ndarray[Any, np.dtype[Any]]]) -> float | None:
    """Return the share of the variance between groups, corrected for chance (epsilon squared).

    None for fewer than two groups, fewer than 8 values, or values that do not differ. Source:
    Kelley, "An unbiased correlation ratio measure", 1935.
    """
    if len(groups) < 2:
        return None
    everything = np.concatenate(groups)
    count = len(everything)
    total = float(((everything - everything.mean()) ** 2).sum())
    if count < 8 or count <= len(groups) or total == 0:
        return None
    within = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
    noise = within / (count - len(groups)) * (len(groups) - 1)
    return max(0.0, (total - within - noise) / total)


def _rank(value: Any) -> tuple[Any, ...]:
    """Return what values are ordered by: numbers, then names, then a choice that is not made."""
    return (2,) if value is None else (int(isinstance(value, str)), value)


def _say(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def parameters_of(result: TrialResult) -> dict[str, Any]:
    """Return a candidate's choices as a flat dictionary: the sampler's, else its JSON flattened."""
    return dict(result.parameters) or flatten(result.candidate)


def flatten(value: Mapping[str, Any]) -> dict[str, Any]:
    """Put nested JSON on one level: lists become `name_0`, `name_1`, ...; deeper names stand alone.

    A name that two branches share gets its branch in front.
    """
    flat: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            inner = flatten(entry)
        elif isinstance(entry, list):
            inner = {f"{name}_{index}": item for index, item in enumerate(entry)}
        else:
            inner = {name: entry}
        for key, item in inner.items():
            flat[f"{name}.{key}" if key in flat else key] = item
    return flat
