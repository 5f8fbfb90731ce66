"""The curve of a training, from a trial's log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from nas.report.loss_curve import LossPoint, log_times, loss_curve


def test_a_curve_is_the_last_attempt_s(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    step = {"event": "progress", "stage": "training", "total": 600}
    rows = [
        {"event": "given", "at": "2026-01-02T03:04:00.000Z"},
        {**step, "done": 30, "note": "L1 0.5000"},
        {"event": "given", "place": "trial"},
        {"event": "stage", "stage": "training", "note": "L1 0.1000"},
        {**step, "done": 30, "note": "L1 0.2500"},
        {**step, "done": 60, "note": "L1 0.1250", "at": "2026-01-02T03:04:05.500Z"},
        {"event": "given", "place": "adb:1"},
        {**step, "stage": "pruning", "done": 60, "note": "L1 0.9"},
    ]
    log.write_text("\n".join([*map(json.dumps, rows), '{"cut off']))
    ended = datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC).timestamp()
    assert loss_curve(log) == (LossPoint(30, 0.25), LossPoint(60, 0.125, ended))
    assert log_times(log) == (ended - 5.5, ended)
    assert loss_curve(tmp_path / "none") == ()
    assert log_times(tmp_path / "none") is None
