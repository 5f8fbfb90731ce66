"""`nas status` shows a run from any terminal while it goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.cli.console import emit_json, out
from nas.cli.options import JsonOption, RunArgument
from nas.cli.worker_table import WorkerTable

if TYPE_CHECKING:
    from nas.execution.status import Status

SECONDS = 1.0
ROWS = 24


def status(
    run: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Until Ctrl-C or the run's end.")] = False,
    json_: JsonOption = False,
) -> None:
    """Tell how a run stands: its trials, workers, phones, failures, and when it will end."""
    from rich.live import Live

    from nas.execution.status import Look
    from nas.storage.run_folder import RunFolder

    look = Look(RunFolder(run))
    now = look.status()
    if json_:
        emit_json("status", now.to_dict())
    elif not watch or not out.is_terminal:
        out.print(_page(now, None), soft_wrap=False)
    else:
        with Live(_page(now, ROWS), console=out, refresh_per_second=4, screen=False) as live:
            while now.driver is not None:
                time.sleep(SECONDS)
                now = look.status()
                live.update(_page(now, ROWS))


def _page(now: Status, rows: int | None) -> RenderableType:
    parts: list[RenderableType] = [_head(now), _counts(now)]
    if now.workers:
        parts += [Text(), WorkerTable(now.workers, rows)]
    if now.failures or now.retried or now.lost_devices:
        parts += [Text(), _troubles(now)]
    if now.driver is None and now.front:
        lines = f"next: nas explain {now.folder}\n      nas report {now.folder}"
        parts += [Text(lines, style="bold")]
    return Group(*parts)


def _head(now: Status) -> Text:
    return Text.assemble((now.name, "bold"), "  ", (now.folder, "cyan"), f"  {_stand(now)}")


def _stand(now: Status) -> str:
    """Say whether a run goes on, has finished, or was stopped."""
    from nas.report.numbers import duration

    if now.driver:
        return f"driven by {now.driver}"
    after = f", {duration(now.seconds)} after its start" if now.seconds else ""
    if now.ended is not None:
        return f"converged{after}: {now.ended}"
    if now.goal is not None and now.finished < now.goal:
        return "stopped; the same command goes on"
    return f"finished{after}" if now.finished else "not started"


def _counts(now: Status) -> Text:
    from nas.report.numbers import duration

    running = len({row["trial"] for row in now.workers if "trial" in row})
    waiting = sum(now.queued.values())
    of = f" of {now.goal}" if now.goal else ""
    states = [f"{count} {state}" for state, count in sorted(now.states.items())]
    states += [f"{running} running"] if running else []
    states += [f"{waiting} waiting"] if waiting else []
    line = f"{now.finished}{of} trials: {', '.join(states) or 'none yet'}"
    second = [f"{now.front} on the front"]
    if now.hypervolume is not None:
        second.append(f"hypervolume {now.hypervolume:.4g}")
    if now.looks:
        looks = "look" if now.looks == 1 else "looks"
        second.append(
            f"{now.looks} {looks} in {duration(now.look_seconds)} beside "
            f"{duration(now.trial_seconds)} of trials"
        )
    if now.rate_per_hour is not None:
        second.append(f"{now.rate_per_hour:.3g} trials an hour")
    if now.left_s is not None:
        second.append(f"about {duration(now.left_s)} left")
    return Text(f"{line}\n{', '.join(second)}")


def _troubles(now: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for cause, count in now.failures.items():
        table.add_row(f"{count}x", Text(cause))
    for cause, count in now.retried.items():
        table.add_row(f"{count}x", Text(f"tried again: {cause}"))
    for device in now.lost_devices:
        table.add_row("", Text(f"{device} is lost, and optional until the next start"))
    return table
