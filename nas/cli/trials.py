"""`nas trials` lists a run's finished trials with their states and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from nas.cli.complete import states
from nas.cli.console import emit_json, note, print_csv
from nas.cli.options import FormatOption, JsonOption, RunArgument, chosen_format
from nas.errors import unknown

if TYPE_CHECKING:
    from nas.storage.run_folder import RunFolder
    from nas.study.trial_result import TrialResult

StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state", help="complete, infeasible, failed or stopped; repeatable.",
        autocompletion=states, show_default="all",
    ),
]  # fmt: skip


def trials(
    run: RunArgument,
    state: StateOption = None,
    format_: FormatOption = "table",
    json_: JsonOption = False,
) -> None:
    """List a run's finished trials with their state, and why they ended so."""
    from nas.cli.results import opened
    from nas.report.choice import open_front
    from nas.storage.run_devices import run_names
    from nas.study.trial_result import State

    wanted = state or list(get_args(State))
    for word in wanted:
        if word not in get_args(State):
            raise unknown("state", word, get_args(State))
    form = chosen_format(format_, json_)
    folder = opened(run)
    found = open_front(folder)
    names = {device: name.name for device, name in run_names(folder, found.results).items()}
    on_front = {member.number for member in found.front}
    shown = [result for result in found.results if result.state in wanted]
    rows = [trial_json(result, result.number in on_front, names) for result in shown]
    if form == "json":
        emit_json("trials", {"run": str(run), "trials": rows})
    elif form == "csv":
        print_csv(_csv_rows(rows))
    else:
        _show(folder, shown, rows, names)


def trial_json(result: TrialResult, on_front: bool, names: dict[str, str]) -> dict[str, Any]:
    """Return a trial as `TrialDocument` has it; `names` are people's names of the devices."""
    from nas.report.explanation import reason

    return {
        "trial": result.number,
        "label": result.label,
        "key": result.key,
        "state": result.state,
        "on_front": on_front,
        "baseline": result.baseline,
        "reason": "" if result.state == "complete" else reason(result, lambda d: names.get(d, d)),
        "failure": vars(result.failure) if result.failure else None,
        "violations": dict(result.violations),
        "figures": {name: metric.value for name, metric in result.metrics.items()},
        "sources": {name: metric.source for name, metric in result.metrics.items()},
        "taken_on_busy_processor": {
            name: metric.disturbed for name, metric in result.metrics.items() if metric.disturbed
        },
        "timings_s": dict(result.timings_s),
    }


def _csv_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return flat rows: a column for each figure that any trial has."""
    figures = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    plain = ("trial", "label", "key", "state", "on_front", "baseline", "reason")
    return [
        {name: row[name] for name in plain} | {name: row["figures"].get(name) for name in figures}
        for row in rows
    ]


def _show(
    folder: RunFolder,
    shown: Sequence[TrialResult],
    rows: Sequence[dict[str, Any]],
    names: dict[str, str],
) -> None:
    if not rows:
        note("no trial of that kind has ended")
        return
    from nas.cli.model_table import ModelTable, print_models
    from nas.report.busy import disturbed_said
    from nas.report.titles import brief_title, marked_figure

    figures = table_figures(folder, shown)
    columns = {
        "trial": [str(result.number) for result in shown],
        "state": ["front" if row["on_front"] else row["state"] for row in rows],
    }
    for name in figures:
        head = brief_title(name, lambda device: names.get(device, device))
        columns[head] = [marked_figure(name, result.metrics.get(name)) for result in shown]
    words = [f"{row['label']}{': ' if row['reason'] else ''}{row['reason']}" for row in rows]
    print_models(ModelTable(columns, words, "network, and why", left=frozenset({"state"})))
    busy = disturbed_said(shown)
    if busy:
        note(busy)


def table_figures(folder: RunFolder, results: Sequence[TrialResult]) -> list[str]:
    """Name the figures of a table of trials: PSNR, where any has it, latencies, the objectives."""
    devices = folder.description()["study"]["devices"]
    names = [f"latency_ms[{device}]" for device in devices]
    names += [o.metric for o in folder.objectives() if o.metric not in ("psnr_db", *names)]
    return ["psnr_db"] * any("psnr_db" in result.metrics for result in results) + names
