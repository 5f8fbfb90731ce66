"""The table of workers in `nas status`, at several widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nas.cli.worker_table import NAMED, WorkerTable

CHIPS = ("npu:sm8450", "npu:sm8650", "npu:sm8750", "npu:sm8850")
BUSY = {
    "kind": "train", "where": "pid 5687", "state": "busy", "attempt": 1, "stage": "training",
    "done": 2045, "total": 5000, "for_s": 89.0, "stage_left_s": 720.0,
}  # fmt: skip
IDLE = {"where": "this process", "state": "idle", "for_s": 1124.0}
WORKERS = (
    *({**IDLE, "worker": chip, "kind": chip} for chip in CHIPS),
    {**BUSY, "worker": "process-1", "trial": 0},
    {**BUSY, "worker": "process-2", "trial": 12, "attempt": 2},
)


def _shown(table: WorkerTable, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_wide_terminal_has_every_column_and_worker() -> None:
    head, *rows = _shown(WorkerTable(WORKERS), 140)
    assert head.split() == ["worker", "for", "where", "state", "trial", "stage", "left", "since"]
    assert len(rows) == len(WORKERS)
    assert rows[0].split()[:2] == ["process-1", "training"]
    assert rows[2].split() == ["npu:sm8450", "this", "process", "idle", "18", "min", "44", "s"]


@pytest.mark.parametrize("width", [24, 40, 60, 80])
def test_a_narrow_one_cuts_nothing(width: int) -> None:
    lines = _shown(WorkerTable(WORKERS), width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    for word in ("training 2045/5000 (41%)", "(41%, attempt 2)", "12 min", "process-2"):
        assert word in text
    assert text.endswith(f"idle: {', '.join(CHIPS)}")
    assert "this process" not in text


def test_80_columns_still_make_a_table() -> None:
    lines = _shown(WorkerTable(WORKERS), 80)
    assert lines[0].split()[:1] == ["worker"]
    assert len([line for line in lines if "training" in line]) == 2


def test_of_many_workers_some_are_shown() -> None:
    many = [{**BUSY, "worker": f"process-{n}", "trial": n} for n in range(NAMED + 2)]
    resting = [{**IDLE, "worker": f"idle-{n}", "kind": "train"} for n in range(NAMED + 1)]
    wide = _shown(WorkerTable([*many, *resting], 5), 140)
    assert len(wide) == 7
    assert wide[-1] == "and 22 more; 14 of 27 are busy"
    narrow = _shown(WorkerTable([*many, *resting], 5), 60)
    assert narrow[-2:] == ["and 9 more", "idle: 13 workers"]
    assert _shown(WorkerTable(resting[:1]), 30) == ["idle: idle-0"]
