"""Puts why models are slow into words and table cells, for the report's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.report.numbers import short_number
from nas.report.operation_times import OperationTimes, Part
from nas.report.replacements import Replacement
from nas.report.report_data import ReportData, latency_metrics
from nas.report.slowness import Slowness, by_kind
from nas.study.metric import Metric

MUCH = 0.1  # share of the time on the CPU that is worth a sentence
ALIKE = 1.25  # factor within which a profile's sum and the latency are alike
KINDS = 8  # kinds of operations that are shown one by one


def slow_models(models: Sequence[Slowness], data: ReportData) -> list[dict[str, Any]]:
    """Return what the template needs, for each model that something is known of."""
    told = (model for model in models if model.times or model.replacements or model.unasked)
    return [_model(model, data) for model in told]


def _model(model: Slowness, data: ReportData) -> dict[str, Any]:
    return {
        "result": model.result,
        "on_front": model.result in data.front,
        "devices": [_device(one, model, data) for one in model.times],
        "missing": [(data.device(device), why) for device, why in model.missing.items()],
        "operations": _operations(model.times),
        "replacements": [_replacement(one, model, data) for one in model.replacements],
        "unasked": model.unasked,
        "asked": [data.device(device) for device in latency_metrics(model.result)],
        "fallen": any(part.fallen for one in model.times for part in one.parts),
    }


def _device(times: OperationTimes, model: Slowness, data: ReportData) -> dict[str, Any]:
    latency = latency_metrics(model.result)[times.device]
    total = times.total_ms
    kinds = by_kind(times)
    rest = kinds[KINDS:]
    rows = [
        (_called(name), count, ms, ms / total if total else 0.0, fallen)
        for name, count, ms, fallen in kinds[:KINDS]
    ]
    if rest:
        ms = sum(row[2] for row in rest)
        fallen = any(row[3] for row in rest)
        rows.append((f"{len(rest)} other kinds", sum(r[1] for r in rest), ms, ms / total, fallen))
    return {
        "name": data.device(times.device),
        "source": times.source,
        "about": times.about,
        "latency": _latency(latency, total),
        "total": _ms(total),
        "kinds": rows,
        "said": _said(times),
    }


def _latency(latency: Metric, total_ms: float) -> str:
    """Write the latency that was timed, and whether the parts add up to it."""
    text = f"{_ms(latency.value)} ms {latency.source}"
    if latency.disturbed:
        text += ", on a busy processor"
    if not 1 / ALIKE <= total_ms / latency.value <= ALIKE:
        text += ". They are not alike, so go by the shares"
    return text


def _ms(milliseconds: float) -> str:
    """Write a time as the page's other figures are, with a thin space between thousands."""
    return short_number(milliseconds).replace(",", "\u202f")


def _called(name: str) -> str:
    """Name a delegate's piece as what it is."""
    return "on the accelerator, as one piece" if "Delegate" in name else name


def _said(times: OperationTimes) -> str:
    """Say in a sentence where the time goes."""
    total = times.total_ms
    if not total:
        return ""
    fallen = [part for part in times.parts if part.fallen]
    share = sum(part.milliseconds for part in fallen) / total
    if share >= MUCH:
        names = ", ".join(dict.fromkeys(part.name for part in fallen))
        return f"{100 * share:.0f} % of the time is on the CPU: no accelerator takes {names}."
    name, count, milliseconds, _ = by_kind(times)[0]
    if len(times.parts) == count == 1 and len(times.parts[0].indices) > 1:
        operations = len(times.parts[0].indices)
        return f"All {operations} operations run on the accelerator, as one piece."
    return f"{100 * milliseconds / total:.0f} % of the time is {_called(name)}."


def _operations(times: Sequence[OperationTimes]) -> list[dict[str, Any]]:
    """Return a row for each operation, with a cell for each device."""
    names: dict[int, tuple[str, str]] = {}
    for one in times:
        for part in one.parts:
            if len(part.indices) == 1:
                names.setdefault(part.indices[0], (part.name, part.shape))
    every = {index for one in times for part in one.parts for index in part.indices}
    columns = [_cells(one) for one in times]
    return [
        {
            "index": index,
            "name": names.get(index, ("", ""))[0],
            "shape": names.get(index, ("", ""))[1],
            "cells": [column.get(index) for column in columns],
        }
        for index in sorted(every)
    ]


def _cells(times: OperationTimes) -> dict[int, dict[str, Any]]:
    """Return a cell for each operation: its time, its share, where it ran."""
    total = times.total_ms or 1.0
    cells: dict[int, dict[str, Any]] = {}
    for part in times.parts:
        for place, index in enumerate(part.indices):
            cell = cells.get(index)
            if cell is not None and len(part.indices) == 1:  # an operation that is several rows
                cell["ms"] += part.milliseconds
            else:
                cell = cells[index] = _cell(part, place)
            cell["share"] = cell["ms"] / total if cell["ms"] is not None else 0.0
    return cells


def _cell(part: Part, place: int) -> dict[str, Any]:
    inside = place > 0
    return {
        "ms": None if inside else part.milliseconds,
        "piece": len(part.indices) if len(part.indices) > 1 else 0,
        "where": part.where or "",
        "fallen": part.fallen,
    }


def _replacement(one: Replacement, model: Slowness, data: ReportData) -> dict[str, Any]:
    by_device = {saving.device: saving for saving in one.savings}
    refused = dict(one.refused)
    cells: list[dict[str, object] | None] = []
    for device in latency_metrics(model.result):
        saving = by_device.get(device)
        if saving is None:
            reason = refused.get(device)
            cells.append(None if reason is None else {"refused": data.named(reason)})
            continue
        cells.append(
            {
                "before": _ms(saving.before_ms),
                "after": _ms(saving.after_ms),
                "change": f"{100 * saving.change:+.0f} %".replace("-", "\u2212"),
                "faster": saving.change < 0,
                "source": saving.source,
                "about": data.named(saving.about),
                "refused": "",
            }
        )
    operations = ""
    if one.removed or one.added:
        operations = f"{', '.join(one.removed) or 'nothing'} → {', '.join(one.added) or 'nothing'}"
    return {
        "what": one.what.replace("_", " "),
        "before": one.before,
        "after": one.after,
        "operations": operations,
        "cells": cells,
        "trial": one.trial,
        "quality": None
        if one.quality_change is None
        else f"{one.quality_change:+.2f} dB".replace("-", "\u2212"),
    }
