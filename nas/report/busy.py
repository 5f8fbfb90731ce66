"""Marks the figures that were taken on a busy processor, and says why."""

from __future__ import annotations

from collections.abc import Sequence

from nas.study.metric import Metric
from nas.study.trial_result import TrialResult


def busy_mark(figure: Metric) -> str:
    """Return "!" for a figure that was taken beside other work, else an empty text."""
    return "!" if figure.disturbed else ""


def busy_words(figure: Metric) -> str:
    """Return " (busy processor)" for a figure that was taken beside other work, else nothing."""
    return " (busy processor)" if figure.disturbed else ""


def source_said(figure: Metric, *parts: str | None) -> str:
    """Say where a figure comes from: the `parts` that there are, and who had the processor."""
    busy = f"taken on a busy processor: {figure.disturbed}" if figure.disturbed else None
    return ", ".join(part for part in (*parts, busy) if part)


def disturbed_trials(results: Sequence[TrialResult]) -> dict[int, str]:
    """Return the trials with a latency that was taken on a busy processor, with the reason."""
    return {
        result.number: metric.disturbed
        for result in results
        for name, metric in result.metrics.items()
        if name.startswith("latency_ms[") and metric.disturbed
    }


def disturbed_said(results: Sequence[TrialResult]) -> str:
    """Name the trials whose latencies other programs disturbed; empty where there are none."""
    disturbed = disturbed_trials(results)
    if not disturbed:
        return ""
    numbers = ", ".join(str(number) for number in disturbed)
    return (
        f"! taken on a busy processor: trial{'s' * (len(disturbed) > 1)} {numbers} "
        f"({next(iter(disturbed.values()))}). Measure again on a quiet machine before "
        "you choose by it"
    )
