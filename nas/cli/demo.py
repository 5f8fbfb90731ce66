"""`nas demo`: a search over modelled phones in a minute, its bar falling, and its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, final

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.cli.console import err, note, out

if TYPE_CHECKING:
    from nas.execution.trial.task import TrialProgress
    from nas.storage.run_folder import RunFolder
    from nas.study.study import Study
    from nas.study.trial_result import TrialResult

PAUSE_SECONDS = 1.5
"""How long a terminal shows each of the first two bars, so that an eye can follow."""

ALIKE_DB = 0.1
"""PSNR that the best found may lack to the paper's network: nobody sees so little."""
NARROW = 60
"""Columns below which names and figures are short."""


def demo(
    out_: Annotated[Path, typer.Option("--out", help="The run's folder.")] = Path("runs/demo"),
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Show the report in a browser.")
    ] = True,
    trials: Annotated[int, typer.Option(min=4, help="Networks to try.")] = 60,
    npu: Annotated[
        bool | None,
        typer.Option(
            "--npu/--no-npu",
            help="Ask the compiler of Snapdragon NPUs, too.",
            show_default="where the extra is installed",
        ),
    ] = None,
) -> None:
    """See a search and its report in a minute: nothing is trained, no phone is needed.

    Latencies are those of the paper's three phones: published for its own networks, modelled for
    others. PSNR is modelled, too. Where the extra `npu` is installed, the compiler of Snapdragon
    NPUs judges the same up-sampling operations in a decoder of today.
    """
    from nas.cli.browser import open_page
    from nas.cli.npu_demo import show_npu_demo
    from nas.cli.search import resumable, say_finished

    began = time.monotonic()
    note(
        "One operation that falls off a phone's accelerator can make a deblurring network nearly "
        "fifty times too slow. Here is the network of the paper, and a search for a better one."
    )
    with resumable(out_):
        _search(out_, trials)
        show_npu_demo(npu)
        page = _report(out_)
    say_finished(out_, time.monotonic() - began)
    out.print(str(page), markup=False, highlight=False, soft_wrap=True)
    if open_:
        open_page(page)
    note("next:  nas search quickstart --out runs/a", style="bold")


def _search(folder: Path, trials: int) -> None:
    with err.status("loading"):
        from nas.search import search
        from studies.portable import DEMO
    with _falling_bar(DEMO) as watcher:
        search(DEMO, folder, trials, watcher=watcher)


def _report(folder: Path) -> Path:
    from nas.report import write_report
    from nas.storage.run_folder import RunFolder
    from search_spaces import architecture_from_dict

    with err.status("writing the report"):
        return write_report(RunFolder(folder), pictures=0, read=architecture_from_dict)


@dataclass(frozen=True)
class Bar:
    """A bar: what it is of, seconds on the phone, PSNR in dB, and the source of the latency."""

    name: str
    seconds: float
    psnr_db: float
    source: str


def bars(results: Sequence[TrialResult], device: str) -> list[Bar]:
    """Return the bars of the results so far: the paper's network, its remedy, and the best found.

    The first is the network with transposed convolutions, the second the same one with bilinear
    resizing; each is there once its trial has ended. The best found is the fastest on `device` of
    all that are as sharp as the first, within `ALIKE_DB`.
    """
    metric = f"latency_ms[{device}]"
    timed = [r for r in results if r.state == "complete" and metric in r.metrics]
    by_key = {result.key: result for result in timed}
    shown = []
    for name, key in zip(("transposed convolution", "bilinear resizing"), _keys(), strict=True):
        if key in by_key:
            shown.append(_bar(name, by_key[key], metric))
    if not shown:
        return []
    sharp = [r for r in timed if r.value("psnr_db") >= shown[0].psnr_db - ALIKE_DB]
    fastest = min(sharp, key=lambda result: result.value(metric))
    return [*shown, _bar("best so far", fastest, metric)]


def _bar(name: str, result: TrialResult, metric: str) -> Bar:
    figure = result.metrics[metric]
    return Bar(name, figure.value / 1000, result.value("psnr_db"), figure.source)


def _keys() -> tuple[str, str]:
    from studies.portable import REMEDY, TRANSPOSED

    return TRANSPOSED.key, REMEDY.key


def drawn_bars(shown: Sequence[Bar], width: int) -> Table:
    """Draw the bars in `width` columns, to one scale: that of the longest."""
    narrow = width < NARROW
    cells = [
        (
            bar.name.split()[0] if narrow else bar.name,
            f"{bar.seconds:.3g} s",
            f"{bar.psnr_db:.1f} dB" if narrow else f"{bar.psnr_db:.2f} dB  {bar.source}",
        )
        for bar in shown
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room = max(4, width - sum(widths) - 6)
    rows = Table(box=None, pad_edge=False, show_header=False)
    rows.add_column(no_wrap=True, width=widths[0])
    rows.add_column(no_wrap=True, width=widths[1], justify="right")
    rows.add_column(no_wrap=True, width=room)
    rows.add_column(no_wrap=True, width=widths[2])
    longest = max(bar.seconds for bar in shown)
    for bar, (name, seconds, figures) in zip(shown, cells, strict=True):
        length = max(1, round(bar.seconds / longest * room))
        style = "red" if bar.seconds > longest / 5 else "green"
        rows.add_row(name, seconds, Text("█" * length, style=style), figures)
    return rows


@contextmanager
def _falling_bar(study: Study) -> Iterator[_Bars]:
    """Give a watcher that draws the bars; where standard error is no terminal, once in the end."""
    watcher = _Bars(study.devices[0])
    if err.is_terminal:
        with Live(watcher, console=err, refresh_per_second=8, transient=False):
            yield watcher
    else:
        yield watcher
        err.print(watcher)


@final
@dataclass
class _Bars:
    """Watches the demonstration's search and draws its bars."""

    device: str
    pause: Callable[[float], None] = time.sleep
    results: list[TrialResult] = field(default_factory=list)
    trials: int = 0

    def preparing(self, what: str, done: int, total: int) -> None:
        """Nothing is packed."""

    def started(self, run: RunFolder, finished: list[TrialResult], trials: int) -> None:
        """Take over the results of an earlier start."""
        self.results, self.trials = list(finished), trials

    def progress(self, progress: TrialProgress) -> None:
        """No trial takes long."""

    def finished(self, result: TrialResult) -> None:
        """Draw another one."""
        self.results.append(result)
        if err.is_terminal and len(self.results) <= 2:
            self.pause(PAUSE_SECONDS)

    def note(self, text: str) -> None:
        """Print it above the bars."""
        note(text)

    def __rich__(self) -> Group:
        head = f"{len(self.results)} of {self.trials} networks tried" if self.trials else "loading"
        shown = bars(self.results, self.device)
        where = Text("Seconds a picture of 1280x720 on a Huawei Mate30 Pro 5G", style="bold")
        if not shown:
            return Group(Text(head))
        return Group(Text(head), where, drawn_bars(shown, err.width))
