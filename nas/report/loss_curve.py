"""Reads the curve of a trial's training from its log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LossPoint:
    """The L1 loss after a step of a training, and when it was taken, in seconds since 1970."""

    step: int
    loss: float
    at: float = 0.0


def loss_curve(log: Path) -> tuple[LossPoint, ...]:
    """Return the points of a trial's last training, by step; none where the log has none."""
    curve: dict[int, LossPoint] = {}
    for row in _rows(log):
        if row.get("event") == "given" and row.get("place", "trial") == "trial":
            curve = {}  # another attempt; other places are devices
        loss = re.match(r"L1 ([\d.]+)$", str(row.get("note", "")))
        if row.get("event") == "progress" and row.get("stage") == "training" and loss:
            step = int(row["done"])
            curve[step] = LossPoint(step, float(loss[1]), _seconds(row))
    return tuple(curve[step] for step in sorted(curve))


def log_times(log: Path) -> tuple[float, float] | None:
    """Return when a trial's log begins and ends, in seconds since 1970; None for an empty one."""
    times = [time for row in _rows(log) if (time := _seconds(row))]
    return (min(times), max(times)) if times else None


def _rows(log: Path) -> Iterator[dict[str, Any]]:
    """Yield a log's lines; one that a kill has cut is left out."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _seconds(row: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(row["at"])).timestamp()
    except (KeyError, ValueError):
        return 0.0
