"""Progress on standard error: bars in a terminal, lines now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nas.cli.console import err

if TYPE_CHECKING:
    from nas.data import Progress as DataProgress
    from nas.predictor.fitting import Progress as StageProgress

_BAR_LINE_SECONDS = 30.0
_STAGE_LINE_SECONDS = 15.0


@contextmanager
def progress_bar(what: str) -> Iterator[DataProgress]:
    """Give a function `(done, total, name)` that moves one bar; it vanishes in the end.

    Where standard error is no terminal, it prints a line every half minute.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None, unit="")
        last_line = time.monotonic()

        def report(done: int, total: int, name: str) -> None:
            nonlocal last_line
            bar.update(task, completed=done, total=total, unit=name)
            if not err.is_terminal and time.monotonic() - last_line > _BAR_LINE_SECONDS:
                err.print(f"{what}: {done} of {total}, now {escape(name)}", highlight=False)
                last_line = time.monotonic()

        yield report


@contextmanager
def stage_bars(what: str) -> Iterator[StageProgress]:
    """Give a function `(stage, done, total)` that moves a bar for each stage.

    Where standard error is no terminal, it prints a line for each stage every quarter of a minute,
    and at the stage's end.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        last_lines: dict[str, float] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(f"{what}: {stage}", total=total or None)
            bars.update(tasks[stage], completed=done, total=total)
            now = time.monotonic()
            waited = now - last_lines.get(stage, -_STAGE_LINE_SECONDS)
            if not err.is_terminal and (waited >= _STAGE_LINE_SECONDS or done == total):
                err.print(f"{what}: {stage} {done} of {total}", highlight=False, markup=False)
                last_lines[stage] = now

        yield report
