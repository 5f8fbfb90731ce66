"""Lists what a run's figures mean and how they were taken, by metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nas.study.trial_result import TrialResult


@dataclass(frozen=True)
class Definition:
    """One way in which a metric was taken.

    `definition` names the formula, `conditions` what it was taken on; `trials` counts the trials
    that took it so.
    """

    metric: str
    source: str
    definition: str | None
    conditions: str | None
    trials: int


def definitions(results: Sequence[TrialResult]) -> list[Definition]:
    """List each metric with each way in which it was taken, in the order of their first trials."""
    conditions_of: dict[tuple[str, str, str | None, str | None], list[str]] = {}
    for result in results:
        for name, metric in result.metrics.items():
            manner = (name, metric.source, metric.definition, _coarse(metric.conditions))
            conditions_of.setdefault(manner, []).append(metric.conditions or "")
    return [
        Definition(*manner[:3], _with_agreement(manner[3], conditions), trials=len(conditions))
        for manner, conditions in conditions_of.items()
    ]


_AGREEMENT = re.compile(r"\((\d+) dB from int16")  # see `evaluators.stand_in`


def _coarse(conditions: str | None) -> str | None:
    """Return conditions without what differs between trials: the runs, an agreement in dB."""
    if not conditions:
        return conditions
    return _AGREEMENT.sub("(dB from int16", re.sub(r",? \d+ runs", "", conditions))


def _with_agreement(coarse: str | None, taken: Sequence[str]) -> str | None:
    """Put the agreements of all these trials with the int16 files back, as a range."""
    agreements = [
        int(match[1]) for conditions in taken for match in _AGREEMENT.finditer(conditions)
    ]
    if not coarse or not agreements:
        return coarse
    least, greatest = min(agreements), max(agreements)
    span = f"{least}" if least == greatest else f"{least} to {greatest}"
    return coarse.replace("(dB from int16", f"({span} dB from int16")
