"""Makes the table of all trials: columns and rows, as the page's script takes them."""

from __future__ import annotations

from typing import Any

from nas.report.effects import parameters_of
from nas.report.report_data import ReportData
from nas.report.titles import unit
from nas.study.halving import RUNG_NAMES, readings_of
from nas.study.objectives import WORST_RATIO
from nas.study.trial_result import STOPPED, TrialResult

SHORT = {"gmacs_conv": "MACs, conv", WORST_RATIO: "Worst ratio"}


def trial_table(data: ReportData) -> dict[str, Any]:
    """Return all trials as columns and rows; hidden columns are in the files to download.

    A figure that any trial took beside other work has one for the reasons: the page marks by it
    what it shows.
    """
    parameters = list(dict.fromkeys(n for r in data.results for n in parameters_of(r)))
    metrics = list(dict.fromkeys(n for r in data.results for n in r.metrics))
    near = [name for name in metrics if name.startswith("fidelity_db[")]
    busy = list(dict.fromkeys(n for r in data.results for n, m in r.metrics.items() if m.disturbed))
    timed = [f"latency_ms[{device}]" for device in data.devices]
    first = ["psnr_db", *timed, WORST_RATIO, *near, "ssim", "gmacs_conv", "parameters"]
    first = [name for name in first if name in metrics]
    rest = [name for name in metrics if name not in first]
    columns = [
        {"name": "trial", "title": "Trial"},
        {"name": "state", "title": "State"},
        *(_figure_column(name, data) for name in first),
        {"name": "label", "title": "Network"},
        {"name": "note", "hidden": True},  # the page has it below the label
        *({"name": n, "hidden": True} for n in ("key", "baseline", "on_front", *rest)),
        *({"name": f"{n}.source", "hidden": True} for n in metrics),
        *({"name": f"{n}.taken_on_busy_processor", "hidden": True} for n in busy),
        *({"name": f"parameter.{n}", "hidden": True} for n in parameters),
    ]
    front = {result.number for result in data.front}
    rows = [
        _table_row(data, r, (first, rest, metrics, busy, parameters), r.number in front)
        for r in data.results
    ]
    return {"columns": columns, "rows": rows, "name": data.name}


def _figure_column(name: str, data: ReportData) -> dict[str, Any]:
    heading = SHORT.get(name, data.title(name))
    return {"name": name, "title": heading, "unit": unit(name), "digits": _digits(name)}


def _table_row(
    data: ReportData, result: TrialResult, names: tuple[list[str], ...], on_front: bool
) -> list[Any]:
    first, rest, metrics, busy, parameters = names
    chosen = parameters_of(result)

    def value(name: str) -> float | None:
        return result.value(name) if name in result.metrics else None

    sources = [result.metrics[n].source if n in result.metrics else None for n in metrics]
    return [
        result.number,
        "front" if on_front else result.state,
        *(value(name) for name in first),
        result.label,
        data.named(_note(result)),
        result.key,
        result.baseline,
        on_front,
        *(value(name) for name in rest),
        *sources,
        *(result.metrics[n].disturbed if n in result.metrics else None for n in busy),
        *(chosen.get(name) for name in parameters),
    ]


def _note(result: TrialResult) -> str:
    if result.failure is not None:
        return f"{result.failure.kind}: {result.failure.message}"
    if result.state == STOPPED:
        return f"stopped at {RUNG_NAMES[len(readings_of(result)) - 1]} of the training"
    broken = [name for name, amount in result.violations.items() if amount > 0]
    return ("breaks " + ", ".join(broken)) if broken else ("baseline" if result.baseline else "")


def _digits(metric: str) -> int:
    return {"psnr_db": 2, "ssim": 4}.get(metric, -1)
