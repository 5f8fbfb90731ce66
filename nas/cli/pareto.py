"""`nas pareto` lists a run's front, or the model to take within a budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli import complete
from nas.cli.console import emit_json, note, print_csv
from nas.cli.options import FormatOption, JsonOption, RunArgument, chosen_format
from nas.cli.results import opened

if TYPE_CHECKING:
    from nas.cli.model_table import ModelTable
    from nas.devices.names import DeviceName
    from nas.report.choice import RunFront
    from nas.storage.run_folder import RunFolder
    from nas.study.picker import BudgetChoice
    from nas.study.trial_result import TrialResult

CSV_COLUMNS = (
    "trial", "label", "key", "precision", "baseline", "psnr_db", "psnr_db_input", "ssim",
    "gmacs_conv", "gmacs_profiler", "parameters", "bytes", "artifact",
)  # fmt: skip

UnderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--under",
        metavar="FIGURE=NUMBER",
        help="A budget, such as 'latency_ms\\[host]=33': only models within it, and the one to "
        "take; repeatable.",
        autocompletion=complete.budgets,
    ),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        metavar="FIGURE",
        help="The figure to sort by, the best first.",
        show_default="the first objective",
        autocompletion=complete.figures,
    ),
]


def pareto(
    run: RunArgument,
    under: UnderOption = None,
    sort: SortOption = None,
    format_: FormatOption = "table",
    json_: JsonOption = False,
) -> None:
    """List the models that no other one beats, or the one to take within a budget.

    The one to take is the best within every budget; where noise can't tell models apart, the
    fastest of them.
    """
    from nas.report.choice import open_front
    from nas.study.picker import parse_budgets

    form = chosen_format(format_, json_)
    folder = opened(run)
    found = open_front(folder)
    budgets = parse_budgets(under or [], found.figures)
    members = _sorted(found, budgets, sort)
    view = _View(run, folder, found, budgets, tuple(members))
    if form == "json":
        emit_json("pareto", pareto_json(view))
    elif form == "csv":
        print_csv([_csv_row(view, member) for member in members])
    elif members:
        _show_front(view)
    elif found.front:
        note(f"no model of the front is within {_budgets(budgets)}; {_least(found, budgets)}")
    else:
        done = len(found.results)
        note(
            f"no model yet: {done} trial{'s' * (done != 1)} finished, none of them complete and "
            "within the constraints"
        )


@dataclass(frozen=True)
class _View:
    """A run's front as it was asked for: within budgets, and sorted."""

    run: Path
    folder: RunFolder
    found: RunFront
    budgets: Mapping[str, float]
    members: tuple[TrialResult, ...]

    @property
    def choice(self) -> BudgetChoice | None:
        """The model to take; None where none is within the budgets."""
        return self.found.choose(self.budgets)


def _sorted(found: RunFront, budgets: Mapping[str, float], sort: str | None) -> list[TrialResult]:
    """Return the front's models within budgets, sorted; ConfigError on an unknown figure."""
    from nas.errors import unknown
    from nas.study.objectives import Objective

    within = {offer.trial for offer in found.offers if offer.is_within(budgets)}
    members = [member for member in found.front if not budgets or member.number in within]
    if sort is None:
        return members
    if found.front and sort not in found.figures:
        raise unknown("figure to sort by", sort, sorted(found.figures))
    sign = -1 if Objective.of(sort).direction == "maximize" else 1

    def place(member: TrialResult) -> float:
        return sign * member.value(sort) if sort in member.metrics else math.inf

    return sorted(members, key=place)


def pareto_json(view: _View) -> dict[str, Any]:
    """Return a front as `ParetoDocument` has it."""
    from nas.storage.run_devices import run_names

    names = run_names(view.folder, view.found.results)
    return {
        "run": str(view.run),
        "size": view.folder.description()["study"]["size"],
        "device_names": {device: name.full for device, name in names.items()},
        "under": dict(view.budgets),
        "choice": choice_json(view.choice),
        "resolved_db": view.found.noise.resolved_db if view.found.noise else None,
        "said": _findings(view, names),
        "models": [model_json(view.folder, member) for member in view.members],
    }


def choice_json(choice: BudgetChoice | None) -> dict[str, Any] | None:
    """Return a choice as `ChoiceDocument` has it."""
    if choice is None:
        return None
    equal = [offer.trial for offer in choice.equal]
    return {"trial": choice.model.trial, "sharpest": choice.sharpest.trial, "equal": equal}


def _csv_row(view: _View, member: TrialResult) -> dict[str, Any]:
    """Return a model as one row: a column for each of the study's devices, none for lists.

    `chosen` marks the model to take.
    """
    model = model_json(view.folder, member)
    low, high = model["psnr_db_interval"] or (None, None)
    plain = {name: model[name] for name in CSV_COLUMNS}
    plain |= {"psnr_db_low": low, "psnr_db_high": high}
    study = view.folder.description()["study"]
    devices = (*study["devices"], *study.get("optional_devices", ()))
    timed = {f"latency_ms[{device}]": model["latency_ms"].get(device) for device in devices}
    chosen = view.choice is not None and view.choice.model.trial == member.number
    return plain | timed | {"chosen": chosen}


def _budgets(budgets: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={most:g}" for name, most in budgets.items())


def _least(found: RunFront, budgets: Mapping[str, float]) -> str:
    """Say what the least of each budgeted figure is on the front."""
    least = [
        f"{name} {min(o.figures[name] for o in found.offers if name in o.figures):.4g}"
        for name in budgets
    ]
    return f"the least of each: {', '.join(least)}"


def _show_front(view: _View) -> None:
    """Print the table of the front's models, the one to take, and what must be known of it."""
    from nas.cli.model_table import print_models
    from nas.cli.trials import table_figures
    from nas.report.titles import brief_title
    from nas.storage.run_devices import run_names

    found = view.found
    devices = view.folder.description()["study"]["devices"]
    names = run_names(view.folder, found.results)
    called = {device: names[device].name for device in devices}
    shown = table_figures(view.folder, view.members)
    columns = {name: brief_title(name, lambda device: called.get(device, device)) for name in shown}
    print_models(front_table(view.members, columns))
    if view.budgets:
        _say_choice(view, called)
    for text in _findings(view, names):
        note(text)
    phones = [name.full for name in names.values() if name.serial]
    if phones:
        note("; ".join(phones), style="dim")
    complete_ = sum(result.state == "complete" for result in found.results)
    within = f"{len(view.members)} within {_budgets(view.budgets)}, " if view.budgets else ""
    note(
        f"{within}{len(found.front)} on the front, of {complete_} complete trials and "
        f"{len(found.results)} in all. Latencies at {_size(view.folder)}"
        f"{_unmeasured(view.members)}; every figure with its conditions: nas report {view.run}",
        style="dim",
    )


def _say_choice(view: _View, names: Mapping[str, str]) -> None:
    """Say which model to take within the budgets."""
    from nas.report.explanation import explain_choice

    choice = view.choice
    if choice is not None:
        note(explain_choice(view.found, choice, lambda device: names.get(device, device)))


def _findings(view: _View, names: Mapping[str, DeviceName]) -> list[str]:
    """Say who beats the baselines, how sure the front is, and which latencies were disturbed."""
    from nas.report.baselines import verdict
    from nas.report.busy import disturbed_said
    from nas.report.certainty import certainty

    description = view.folder.description()
    results, members = view.found.results, view.members
    texts = [verdict(results, description, description["study"]["devices"], names)]
    sure = certainty(view.folder, results, members)
    if sure is not None:
        texts += [sure.said, sure.ties, sure.advice]
    texts.append(disturbed_said(members))
    return [text for text in texts if text]


def _unmeasured(members: Sequence[TrialResult]) -> str:
    """Name the devices whose latencies were not measured; empty where all were."""
    from nas.report.report_data import latency_metrics

    sources: dict[str, set[str]] = {}
    for member in members:
        for device, metric in latency_metrics(member).items():
            sources.setdefault(device, set()).add(metric.source)
    told = [
        f"{' or '.join(sorted(found))} on {device}"
        for device, found in sources.items()
        if found != {"measured"}
    ]
    if len(told) == len(sources) > 1 and len({frozenset(found) for found in sources.values()}) == 1:
        told = [" or ".join(sorted(next(iter(sources.values()))))]  # the same everywhere
    return f", {', '.join(told)}: not measured" if told else ""


def model_json(run: RunFolder, result: TrialResult) -> dict[str, Any]:
    """Return a model as `nas pareto --json` prints it; a figure that the trial lacks is None."""
    from nas.report.report_data import latency_metrics

    def value(name: str) -> float | None:
        return result.value(name) if name in result.metrics else None

    timed = latency_metrics(result)
    return {
        "key": result.key,
        "label": result.label,
        "trial": result.number,
        "architecture": result.candidate.get("architecture"),
        "precision": result.candidate.get("compression", {}).get("precision"),
        "baseline": result.baseline,
        "psnr_db": value("psnr_db"),
        "psnr_db_interval": _interval(result, "psnr_db"),
        "psnr_db_input": value("psnr_db_input"),
        "ssim": value("ssim"),
        "gmacs": value("gmacs_conv"),
        "gmacs_conv": value("gmacs_conv"),
        "gmacs_profiler": value("gmacs_profiler"),
        "parameters": value("parameters"),
        "bytes": value("bytes"),
        "latency_ms": {device: metric.value for device, metric in timed.items()},
        "latency_interval_ms": {
            device: list(metric.interval) if metric.interval else None
            for device, metric in timed.items()
        },
        "taken_on_busy_processor": {device: metric.disturbed for device, metric in timed.items()},
        "artifact": str(run.path / result.artifact) if result.artifact else None,
        "sources": {name: metric.source for name, metric in result.metrics.items()},
        "definitions": {
            name: metric.definition for name, metric in result.metrics.items() if metric.definition
        },
    }


def _interval(result: TrialResult, name: str) -> list[float] | None:
    metric = result.metrics.get(name)
    return list(metric.interval) if metric is not None and metric.interval else None


def front_table(members: Sequence[TrialResult], shown: Mapping[str, str]) -> ModelTable:
    """Build the table of models; deviations, MACs, SSIM and parameters are its further figures.

    `shown` are the figures that are always there, with the heads of their columns.
    """
    from nas.cli.model_table import ModelTable
    from nas.report.titles import brief_title, marked_figure

    def column(name: str) -> list[str]:
        return [marked_figure(name, member.metrics.get(name)) for member in members]

    columns = {"trial": [f"{m.number}{'*' if m.baseline else ''}" for m in members]}
    columns |= {heading: column(name) for name, heading in shown.items()}
    widths = [_interval(m, "psnr_db") for m in members]
    arms = [f"{(ends[1] - ends[0]) / 2:.2f}" if ends else "-" for ends in widths]
    further = {"±": arms} if any(widths) else {}
    for name in ("gmacs_conv", "ssim", "parameters"):
        if name not in shown and any(name in member.metrics for member in members):
            further[brief_title(name)] = column(name)
    return ModelTable(columns, [member.label for member in members], further=further)


def _size(run: RunFolder) -> str:
    width, height = run.description()["study"]["size"]
    return f"{width}x{height}"
