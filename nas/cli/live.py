"""What a user sees of a running search: a live view in a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from nas.cli.console import err, note
from nas.devices.names import DeviceName
from nas.execution.trial.task import TrialProgress
from nas.search.learning import learning_of
from nas.search.watcher import Watcher
from nas.storage.run_devices import run_names
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from nas.study.study import Study
from nas.study.trial_result import STOPPED, TrialResult

FRONT_ROWS = 8
WIDE = 60
"""Columns of a terminal from which on the view has bars."""


@contextmanager
def watch(study: Study, folder: Path, drawn: bool = True) -> Iterator[Watcher]:
    """Give a watcher that fits standard error: a live view in a terminal, lines elsewhere.

    `drawn` is False where a sampler does not choose the candidates.
    """
    if not err.is_terminal:
        yield _Lines(study, folder, drawn)
        return
    view = _View(study, folder, drawn)
    with Live(view, console=err, refresh_per_second=4, transient=False):
        yield view


class _Lines:
    """Prints one line an event, for pipes, logs and CI."""

    def __init__(self, study: Study, folder: Path, drawn: bool = True) -> None:
        self._study = study
        self._folder = folder
        self._drawn = drawn
        self._tally = _Tally(study)
        self._packed = -1
        _line(f"{study.name}: opening the pictures and the devices")

    def preparing(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth != self._packed:
            self._packed = tenth
            _line(f"packing pictures {done}/{total} {what}")

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        self._tally.start(finished, trials, run)
        again = f", {len(finished)} of them done before" if finished else ""
        _line(f"{self._study.name} in {self._folder}: {trials} trials{again}")
        _say_learning(run, trials, self._drawn)

    def progress(self, progress: TrialProgress) -> None:
        if progress.stage == "rests":
            self._tally.resting.add(progress.number)
        if progress.stage in ("again", "warning", "rests", "replicated"):
            _line(f"trial {progress.number}: {progress.note}")

    def finished(self, result: TrialResult) -> None:
        self._tally.add(result)
        done, trials = len(self._tally.results), self._tally.trials
        outcome = _outcome(result, self._tally)
        looks = self._tally.looks()
        _line(f"[{done}/{trials}] trial {result.number}: {outcome}  {result.label}{looks}")

    def note(self, text: str) -> None:
        _line(text)


class _View:
    """Draws the live view: progress, running trials, and the best trade-offs so far."""

    def __init__(self, study: Study, folder: Path, drawn: bool = True) -> None:
        self._study = study
        self._folder = folder
        self._drawn = drawn
        self._tally = _Tally(study)
        self._running: dict[int, TrialProgress] = {}
        self._packing = "opening the pictures and the devices"
        self._labels: dict[int, str] = {}

    def preparing(self, what: str, done: int, total: int) -> None:
        self._packing = f"packing pictures {done}/{total} {what}" if done < total else ""

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        self._packing = ""
        self._tally.start(finished, trials, run)
        _say_learning(run, trials, self._drawn)

    def progress(self, progress: TrialProgress) -> None:
        if progress.label:
            self._labels[progress.number] = progress.label
        if progress.stage == "warning":  # stays above the view
            _line(f"trial {progress.number}: {progress.note}")
            return
        if progress.stage == "replicated":
            self._running.pop(progress.number, None)
            return
        if progress.stage == "rests":
            self._running.pop(progress.number, None)
            self._tally.resting.add(progress.number)
            return
        self._tally.resting.discard(progress.number)
        self._running[progress.number] = progress

    def finished(self, result: TrialResult) -> None:
        self._running.pop(result.number, None)
        self._tally.add(result)

    def note(self, text: str) -> None:
        _line(text)  # stays above the view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._drawn_at(options.max_width)

    def _drawn_at(self, columns: int) -> Group:
        width, height = self._study.size
        head = Text.assemble(
            (self._study.name, "bold"),
            f"  {self._study.data}  {width}x{height}  {', '.join(self._study.devices)}  ",
            (str(self._folder), "cyan"),
        )
        parts: list[Text | Table | Progress] = [head]
        if self._packing:
            parts.append(Text(self._packing))
        if self._tally.trials:
            parts += [self._overall(columns), self._trials(columns), self._front(columns)]
        return Group(*parts)

    def _overall(self, columns: int) -> Progress:
        bar = Progress(
            TextColumn("{task.completed:.0f}/{task.total:.0f} trials"),
            BarColumn(bar_width=30 if columns >= WIDE else 6),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=err,
        )
        begun = sum(_share(progress) for progress in self._running.values())
        task = bar.add_task(self._tally.summary(begun), total=self._tally.trials)
        bar.update(task, completed=len(self._tally.results))
        bar.tasks[0].start_time = bar.get_time() - (time.monotonic() - self._tally.began)
        return bar

    def _trials(self, columns: int) -> Table:
        cells = []
        for number, progress in sorted(self._running.items()):
            share = _share(progress)
            bar = f"{_bar(share)} " if columns >= WIDE else ""
            counted = f"{bar}{share:4.0%}" if progress.total else progress.note
            label = self._labels.get(number, progress.note)
            cells.append([f"trial {number}", progress.stage, counted, label])
        return _filling(cells, columns, (8, 9, 21 if columns >= WIDE else 7))

    def _front(self, columns: int) -> Table:
        names = [objective.metric for objective in self._study.expanded_objectives]
        best = self._tally.front()[:FRONT_ROWS]
        figures = [[_figure(result, name) for name in names] for result in best]
        headings = [self._tally.heading(name) for name in names]
        widths = [
            max(map(len, [*heading.split(), *(row[index] for row in figures)]))
            for index, heading in enumerate(headings)
        ]
        if columns >= WIDE:
            pairs = zip(widths, map(len, headings), strict=True)
            widths = [max(pair) for pair in pairs]
        labels = [result.label for result in best]
        cells = [[*row, label] for row, label in zip(figures, labels, strict=True)]
        busy = any(figure.endswith("!") for row in figures for figure in row)
        said = "best trade-offs so far" + (", ! on a busy processor" if busy else "")
        return _filling(cells, columns, widths, [*headings, said])


def _filling(
    cells: Sequence[Sequence[str]],
    columns: int,
    widths: Sequence[int],
    headings: Sequence[str] = (),
) -> Table:
    """Return a table whose first columns keep their `widths`; the last one has what is left."""
    rows = Table(box=None, pad_edge=False, show_header=bool(headings), header_style="bold")
    rest = columns - sum(widths) - 2 * len(widths)
    for index, width in enumerate((*widths, max(1, rest))):
        justify: Literal["left", "right"] = "left"
        if headings and index < len(widths):
            justify = "right"
        rows.add_column(
            Text(headings[index]) if headings else "",
            width=width, justify=justify, overflow="ellipsis", no_wrap=not headings,
        )  # fmt: skip
    for row in cells:
        rows.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    return rows


class _Tally:
    """Counts the trials that have ended, and estimates how long the others will take."""

    def __init__(self, study: Study) -> None:
        self._objectives = study.expanded_objectives
        self.results: list[TrialResult] = []
        self.trials = 0
        self.resting: set[int] = set()
        self.began = time.monotonic()
        self._before = 0
        self._run: RunFolder | None = None
        self.names: Mapping[str, DeviceName] = {}
        self._front: list[TrialResult] = []

    def start(self, finished: list[TrialResult], trials: int, run: RunFolder) -> None:
        self._run = run
        self.names = run_names(run, finished)
        self.results = list(finished)
        self.trials = trials
        self.began = time.monotonic()
        self._before = len(finished)
        self._front = self._sorted(front(self.results, self._objectives))

    def add(self, result: TrialResult) -> None:
        if self._run is not None and not all(map(_is_named, self.names.values())):
            self.names = run_names(self._run, [result, *self.results[:1]])
        self.results.append(result)
        self.resting.discard(result.number)
        self._front = self._sorted(front([*self._front, result], self._objectives))

    def device(self, device: str) -> str:
        """Name a device as people call it."""
        return self.names[device].name if device in self.names else device

    def title(self, metric: str) -> str:
        """Name a metric with its device as people call it: `latency_ms[Mate30-like]`."""
        base, bracket, device = metric.partition("[")
        called = self.device(device.removesuffix("]"))
        return f"{base}[{called}]" if bracket else base

    def heading(self, metric: str) -> str:
        """Name a metric as a narrow column does: "PSNR dB", "ms Mate30-like"."""
        base, bracket, device = metric.partition("[")
        names = {"psnr_db": "PSNR dB", "ssim": "SSIM", "latency_ms": "ms"}
        if base not in names:
            return self.title(metric)
        called = self.device(device.removesuffix("]"))
        return f"{names[base]} {called}" if bracket else names[base]

    def front(self) -> list[TrialResult]:
        """Return the best trade-offs, best quality first."""
        return self._front

    def summary(self, begun: float = 0.0) -> str:
        """Put the failures and the time that is left into words.

        `begun` counts what running trials have done, in trials.
        """
        words = []
        for state in ("infeasible", "failed", STOPPED):
            count = sum(result.state == state for result in self.results)
            if count:
                words.append(f"{count} {state}")
        if self.resting:
            words.append(f"{len(self.resting)} wait at a rung")
        if self.looks():
            words.append(self.looks().removeprefix("; "))
        done = len(self.results) + len(self.resting) - self._before + begun
        left = self.trials - len(self.results) - len(self.resting) - begun
        if done >= 1 and left > 0:
            seconds = (time.monotonic() - self.began) / done * left
            minutes = f"about {seconds / 60:.0f} min left"
            words.append(minutes if seconds > 90 else "less than 2 min left")
        return ", ".join(words)

    def looks(self) -> str:
        """Say how many looks there were so far, for the end of a line; nothing where none."""
        looks = self._run.looks() if self._run is not None else None
        return f"; {looks}" if looks is not None and looks.count else ""

    def _sorted(self, results: list[TrialResult]) -> list[TrialResult]:
        first = self._objectives[0]
        sign = -1 if first.direction == "maximize" else 1
        return sorted(results, key=lambda result: sign * result.value(first.metric))


def _say_learning(run: RunFolder, trials: int, drawn: bool) -> None:
    """Say how many of the trials are drawn by chance, unless somebody else chose them."""
    learning = learning_of(run.description()["study"], trials) if drawn else None
    if learning is not None:
        _line(learning.said)


def _is_named(name: DeviceName) -> bool:
    """Tell whether a device's name is final: it is no phone, or its model is known."""
    return not name.serial or bool(name.tool_sha256)


def _outcome(result: TrialResult, tally: _Tally) -> str:
    from nas.report.explanation import failure_message, reason

    if result.failure:
        return f"{result.state} ({failure_message(result, tally.device)})"
    if result.state == "infeasible":
        return reason(result, tally.device).removeprefix("is ")
    shown = [name for name in result.metrics if name.startswith(("psnr_db", "latency_ms"))]
    figures = ", ".join(
        f"{tally.title(name)} {result.value(name):.2f}{_caution(result, name)}"
        for name in shown
        if name != "psnr_db_input"
    )
    return f"{result.state} {figures}"


def _figure(result: TrialResult, name: str) -> str:
    """Write a figure for a narrow column; "!" marks one that was taken beside other work."""
    from nas.report.busy import busy_mark

    return f"{result.value(name):.2f}{busy_mark(result.metrics[name])}"


def _caution(result: TrialResult, name: str) -> str:
    """Return what is added to a figure that was not measured, or taken beside other work."""
    from nas.report.busy import busy_words

    metric = result.metrics[name]
    if metric.disturbed:
        return busy_words(metric)
    return f" ({metric.source})" if metric.source in ("simulated", "modelled", "published") else ""


def _share(progress: TrialProgress) -> float:
    """Return which part of a trial is done: of its training, which is most of it."""
    return progress.done / progress.total if progress.total else 0.0


def _bar(share: float, width: int = 16) -> str:
    done = round(share * width)
    return "━" * done + "╌" * (width - done)


def _line(text: str) -> None:
    note(text)
