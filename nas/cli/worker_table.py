"""Shows a run's workers: what each is at, and how long that will take, in any width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from nas.cli.console import counted

NAMED = 12
"""Idle workers that are named in one line; of further ones only their number is told."""
_STYLES = {"busy": "green", "idle": "dim", "starting": "yellow"}
_RIGHT = ("trial", "left", "since")
_SPARED = ("for", "where", "since", "state")
"""Columns that a narrow terminal can do without, the first first."""


@final
@dataclass(frozen=True)
class WorkerTable:
    """The rows of `nas.execution.status.Status.workers`; `most` is how many are shown, None all.

    Where the terminal has no room for all columns, idle workers stand in one line, and columns are
    left out; in the narrowest each worker is a sentence.
    """

    workers: Sequence[Mapping[str, Any]]
    most: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits the console."""
        ordered = sorted(self.workers, key=lambda row: (row["state"] != "busy", row["worker"]))
        busy = sum(row["state"] == "busy" for row in ordered)
        shown = ordered[: self.most]
        if _needs(_columns(shown)) <= options.max_width:
            yield _grid(_columns(shown), shown)
            if len(ordered) > len(shown):
                rest = len(ordered) - len(shown)
                yield Text(f"and {rest} more; {busy} of {len(ordered)} are busy")
            return
        working = [row for row in ordered if row["state"] != "idle"]
        if working:
            yield _narrow(working[: self.most], options.max_width)
        if self.most is not None and len(working) > self.most:
            yield Text(f"and {len(working) - self.most} more")
        idle = [str(row["worker"]) for row in ordered if row["state"] == "idle"]
        if idle:
            told = ", ".join(idle) if len(idle) <= NAMED else counted(len(idle), "worker")
            yield Text(_filled(f"idle: {told}", options.max_width))


def _narrow(rows: Sequence[Mapping[str, Any]], width: int) -> Table | Text:
    """Return the rows without some of the columns; as sentences where that does not do."""
    columns = _columns(rows)
    for name in _SPARED:
        if _needs(columns) > width:
            columns.pop(name, None)
    if _needs(columns) <= width:
        return _grid(columns, rows)
    return Text("\n".join(_sentences(rows, width)))


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the cells by heading, in their order; a column that tells nothing is left out."""
    cells = {
        "worker": [str(row["worker"]) for row in rows],
        "for": [_kind(row) for row in rows],
        "where": [str(row["where"]) for row in rows],
        "state": [str(row["state"]) for row in rows],
        "trial": [str(row.get("trial", "")) for row in rows],
        "stage": [_stage(row) for row in rows],
        "left": [_duration(row, "stage_left_s") for row in rows],
        "since": [_duration(row, "for_s") for row in rows],
    }
    return {name: column for name, column in cells.items() if any(column)}


def _needs(columns: Mapping[str, Sequence[str]]) -> int:
    """Return how many columns of a terminal a table needs."""
    return sum(max(map(len, (name, *cells))) + 2 for name, cells in columns.items()) - 2


def _grid(columns: Mapping[str, Sequence[str]], rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        side: Literal["left", "right"] = "right" if name in _RIGHT else "left"
        table.add_column(name, justify=side, no_wrap=True)
    for row, cells in zip(rows, zip(*columns.values(), strict=True), strict=True):
        styles = (_STYLES.get(row["state"], "") if name == "state" else "" for name in columns)
        table.add_row(*(Text(cell, style=style) for cell, style in zip(cells, styles, strict=True)))
    return table


def _sentences(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    for row in rows:
        left = _duration(row, "stage_left_s")
        trial = f"trial {row['trial']}" if "trial" in row else str(row["state"])
        parts = [f"{row['worker']}: {trial}", _stage(row), f"{left} left" if left else ""]
        yield _filled(", ".join(filter(None, parts)), width)


def _stage(row: Mapping[str, Any]) -> str:
    """Return what a worker is at: "training 2045/5000 (41%, attempt 2)"."""
    total, attempt = row.get("total") or 0, row.get("attempt", 1)
    done = f" {row['done']}/{total}" if total else ""
    about = [f"{row['done'] / total:.0%}"] if total else []
    about += [f"attempt {attempt}"] if attempt > 1 else []
    return f"{row.get('stage', '')}{done}" + (f" ({', '.join(about)})" if about else "")


def _kind(row: Mapping[str, Any]) -> str:
    """Return what a worker is for; nothing where its name says it."""
    kind = str(row["kind"])
    word = {"train": "training", "light": "screening"}.get(kind, kind)
    return "" if word == row["worker"] else word


def _duration(row: Mapping[str, Any], name: str) -> str:
    from nas.report.numbers import duration

    return "" if row.get(name) is None else duration(float(row[name]))


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)
