"""Reads the curve of a trial's training from its log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.storage.run_folder import stage_progress, trial_events


@dataclass(frozen=True)
class LossPoint:
    """The L1 loss after a step of a training, and when it was taken, in seconds since 1970."""

    step: int
    loss: float
    at: float = 0.0


def loss_curve(log: Path) -> tuple[LossPoint, ...]:
    """Return the points of a trial's last training, by step; none where the log has none."""
    curve: dict[int, LossPoint] = {}
    for event in stage_progress(log, "training"):
        if loss := re.match(r"L1 ([\d.]+)$", str(event.get("note", ""))):
            step = int(event["done"])
            curve[step] = LossPoint(step, float(loss[1]), _seconds(event))
    return tuple(curve[step] for step in sorted(curve))


def log_times(log: Path) -> tuple[float, float] | None:
    """Return when a trial's log begins and ends, in seconds since 1970; None for an empty one."""
    times = [time for event in trial_events(log) if (time := _seconds(event))]
    return (min(times), max(times)) if times else None


def _seconds(event: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(event["at"])).timestamp()
    except (KeyError, ValueError):
        return 0.0
