"""Draws the report's charts, as Plotly's JSON.

Colours are the page's CSS variables, `var(--front)`; the page puts their values in, for light and
for dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.report.label_places import label_places
from nas.report.numbers import short_number
from nas.report.offline import Chart
from nas.report.report_data import ReportData
from nas.report.titles import title, unit
from nas.study.objectives import Objective
from nas.study.pareto import front
from nas.study.trial_result import STOPPED, TrialResult

MANY = 1_500  # points; more are drawn by the graphics processor
ERROR_BARS = 250  # points; with more, only the front has them


def front_chart(data: ReportData, cost: Objective) -> Chart:
    """Draw quality against one cost (a device's latency) for every trial, the front on top."""
    x, y = cost.metric, data.quality.metric
    both = [r for r in data.results if x in r.metrics and y in r.metrics]
    only_x = [r for r in data.results if x in r.metrics and y not in r.metrics]
    on_front = {result.number for result in data.front}
    behind = [r for r in both if r.state == "complete" and r.number not in on_front]
    searched = [r for r in behind if not r.baseline]
    dots = _dots(data, searched, x, y, "complete", "circle")
    if len(both) <= ERROR_BARS:
        dots["error_x"] = _bars(searched, x, "var(--dot-line)")
    traces = [
        _dots(data, _over(both), x, y, "over a limit", "circle-open"),
        dots,
        _dots(data, [r for r in behind if r.baseline], x, y, "baseline", "diamond"),
        _step(data, cost),
        _members(data, x, y),
        *_rug(data, only_x, x),
    ]
    costs = [result.value(x) for result in (*both, *only_x)]
    layout = _front_layout(data, x, y, costs, strip=bool(only_x))
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _front_layout(data: ReportData, x: str, y: str, costs: Sequence[float], strip: bool) -> Chart:
    """Return the front chart's layout; with `strip`, it has room for trials without a quality."""
    shapes, notes = _lines(data, x, y)
    layout: Chart = {
        "xaxis": {**log_axis(costs), "title": _axis(data, x, "log")},
        "yaxis": {
            "title": _axis(data, y),
            "domain": [0.1, 1] if strip else [0, 1],
            "zeroline": False,
        },
        "shapes": shapes,
        "annotations": notes,
        "showlegend": True,
    }
    if strip:
        layout["xaxis"]["anchor"] = "y2"
        layout["yaxis2"] = {
            "domain": [0, 0.06],
            "visible": False,
            "range": [-1, 1],
            "fixedrange": True,
        }
    return layout


def history_chart(data: ReportData) -> Chart:
    """Draw the hypervolume after each trial, with a dot where a trial of the front raised it."""
    numbers = [result.number for result in data.results]
    rises = [
        index
        for index, value in enumerate(data.history)
        if value > (data.history[index - 1] if index else 0.0)
    ]
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": numbers,
        "y": list(data.history),
        "line": {"shape": "hv", "color": "var(--front)", "width": 2},
        "hoverinfo": "skip",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [numbers[index] for index in rises],
        "y": [data.history[index] for index in rises],
        "text": [data.results[index].label for index in rises],
        "customdata": [numbers[index] for index in rises],
        "marker": {"color": "var(--front)", "size": 7},
        "hovertemplate": "<b>trial %{x}</b><br>%{text}<br>%{y:.3f}<extra></extra>",
    }
    layout = {
        "xaxis": {
            "title": {"text": "trial"},
            "zeroline": False,
            **({"range": [min(numbers) - 0.5, max(numbers) + 0.5]} if numbers else {}),
            **({"dtick": 1} if len(numbers) <= 12 else {}),
        },
        "yaxis": {"title": {"text": "hypervolume"}, "rangemode": "tozero", "zeroline": False},
        "showlegend": False,
        **_learning_line(data),
    }
    return {"data": [line, dots], "layout": layout}


def _learning_line(data: ReportData) -> Chart:
    """Mark where the sampler begins to learn, as a line with words; empty where it did not."""
    if data.learning is None or data.learning.first is None:
        return {}
    at = data.learning.first - 0.5
    line = {"width": 1, "dash": "dot", "color": "var(--muted)"}
    shape = {"type": "line", "line": line, "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1}
    note = {"text": "the sampler learns from here ", "showarrow": False, "x": at, "yref": "paper"}
    place = {"y": 1, "xanchor": "right", "yanchor": "bottom"}
    font = {"font": {"size": 11, "color": "var(--muted)"}}
    return {"shapes": [shape], "annotations": [{**note, **place, **font}]}


def _dots(
    data: ReportData, results: list[TrialResult], x: str, y: str, name: str, symbol: str
) -> Chart:
    colours = {"complete": "var(--dot)", "baseline": "var(--baseline)"}
    return {
        "type": "scattergl" if len(results) > MANY else "scatter",
        "mode": "markers",
        "name": name,
        "x": [result.value(x) for result in results],
        "y": [result.value(y) for result in results],
        "text": [_hover(result, data) for result in results],
        "customdata": [result.number for result in results],
        "marker": {
            "symbol": symbol,
            "color": colours.get(name, "var(--muted)"),
            "size": 11 if name == "baseline" else 7,
            "opacity": 0.5 if len(results) > MANY else 0.85,
        },
        "hovertemplate": "%{text}<extra>" + name + "</extra>",
    }


def _members(data: ReportData, x: str, y: str) -> Chart:
    shown = [result for result in data.front if x in result.metrics and y in result.metrics]
    places = places_of(shown, x, y)
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": "Pareto front",
        "x": [result.value(x) for result in shown],
        "y": [result.value(y) for result in shown],
        "text": [
            str(result.number) if place else "" for result, place in zip(shown, places, strict=True)
        ],
        "hovertext": [_hover(result, data) for result in shown],
        "customdata": [result.number for result in shown],
        "textposition": [place or "top left" for place in places],
        "textfont": {"color": "var(--front)", "size": 11},
        "error_x": _bars(shown, x, "var(--front-line)"),
        "error_y": _bars(shown, y, "var(--front-line)"),
        "marker": {
            "symbol": ["diamond" if result.baseline else "circle" for result in shown],
            "size": [12 if result.baseline else 10 for result in shown],
            "color": "var(--front)",
            "opacity": 1,
            "line": {"color": "var(--card)", "width": 1.5},
        },
        "hovertemplate": "%{hovertext}<extra>Pareto front</extra>",
    }


def places_of(members: Sequence[TrialResult], x: str, y: str) -> list[str | None]:
    """Return where each member's label goes, as `label_places`; the x axis is logarithmic."""
    points = [(math.log10(member.value(x)), member.value(y)) for member in members]
    return label_places(points, [str(member.number) for member in members])


def _over(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result for result in results if result.state != "complete"]


def _step(data: ReportData, cost: Objective) -> Chart:
    """Draw the best quality reached at each cost: the front over these two alone."""
    quality = data.quality
    members = front(data.front, [quality, cost])[::-1]
    return {
        "type": "scatter",
        "mode": "lines",
        "showlegend": False,
        "hoverinfo": "skip",
        "x": [result.value(cost.metric) for result in members],
        "y": [result.value(quality.metric) for result in members],
        "line": {"shape": "hv", "color": "var(--front-line)", "width": 1.5},
    }


def _rug(data: ReportData, results: Sequence[TrialResult], x: str) -> list[Chart]:
    """Draw trials with a cost and no quality, on a strip of their own below."""
    traces = []
    for state, symbol, name in (
        ("infeasible", "x-thin-open", "over a limit, not trained"),
        (STOPPED, "line-ns-open", "stopped early, trained in part"),
        ("failed", "triangle-up", "failed"),
    ):
        rows = [result for result in results if result.state == state]
        traces.append(
            {
                "type": "scattergl" if len(rows) > MANY else "scatter",
                "mode": "markers",
                "name": name,
                "yaxis": "y2",
                "x": [result.value(x) for result in rows],
                "y": [0] * len(rows),
                "text": [_hover(result, data) for result in rows],
                "customdata": [result.number for result in rows],
                "marker": {
                    "symbol": symbol,
                    "size": 7,
                    "color": "var(--failed)" if state == "failed" else "var(--muted)",
                    "line": {"width": 1.2},
                },
                "hovertemplate": "%{text}<extra>" + name + "</extra>",
            }
        )
    return traces


def _lines(data: ReportData, x: str, y: str) -> tuple[list[Chart], list[Chart]]:
    """Return shapes and notes: the blurred pictures' own quality, and the bound on this cost."""
    shapes, notes = [], []
    line = {"width": 1, "dash": "dot", "color": "var(--muted)"}
    note = {"showarrow": False, "font": {"size": 11, "color": "var(--muted)"}}
    if y == "psnr_db" and data.input_psnr_db is not None:
        level = data.input_psnr_db
        place = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": level, "y1": level}
        shapes.append({"type": "line", "line": line, **place})
        text = f"{data.degraded} pictures, {level:.2f} dB"
        at = {"xref": "paper", "x": 1, "y": level, "xanchor": "right", "yanchor": "bottom"}
        notes.append({**note, "text": text, **at})
    for text in data.study.get("constraints", []):
        if text.startswith(f"{x}<="):
            bound = float(text.removeprefix(f"{x}<="))
            place = {"x0": bound, "x1": bound, "yref": "paper", "y0": 0, "y1": 1}
            shapes.append({"type": "line", "line": line, **place})
            at = {"x": math.log10(bound), "yref": "paper", "y": 1, "xanchor": "right"}
            notes.append({**note, "text": f"limit {bound:g} {unit(x)} ", "yanchor": "top", **at})
    return shapes, notes


def _bars(results: Sequence[TrialResult], metric: str, colour: str) -> Chart:
    """Draw asymmetric error bars from the intervals; they are hidden where no trial has one."""
    figures = [result.metrics[metric] for result in results]
    high = [f.interval[1] - f.value if f.interval else 0.0 for f in figures]
    low = [f.value - f.interval[0] if f.interval else 0.0 for f in figures]
    return {
        "type": "data",
        "symmetric": False,
        "array": high,
        "arrayminus": low,
        "color": colour,
        "thickness": 1,
        "width": 0,
        "visible": any(high) or any(low),
    }


def _hover(result: TrialResult, data: ReportData) -> str:
    """Describe a trial in a few short lines."""
    lines = [f"<b>trial {result.number}</b> · {result.label}"]
    for name, digits in (("psnr_db", 2), ("ssim", 4)):
        if name in result.metrics:
            lines.append(f"{title(name)} {result.value(name):.{digits}f} {unit(name)}".strip())
    for name, metric in result.metrics.items():
        if name.startswith("latency_ms"):
            between = (
                f" ({short_number(metric.interval[0])}–{short_number(metric.interval[1])})"
                if metric.interval
                else ""
            )
            busy = ", on a busy processor" if metric.disturbed else ""
            figure = f"{short_number(metric.value)} ms{between}, {metric.source}{busy}"
            lines.append(f"{data.title(name)} {figure}")
    if "gmacs_conv" in result.metrics:
        lines.append(f"{short_number(result.value('gmacs_conv'))} GMAC")
    return "<br>".join(lines)


def _axis(data: ReportData, metric: str, *more: str) -> Chart:
    return {"text": ", ".join(part for part in (data.title(metric), unit(metric), *more) if part)}


def log_axis(values: Sequence[float]) -> Chart:
    """Return a logarithmic axis with a handful of round ticks, whatever its range."""
    if not values:
        return {"type": "log"}
    return {"type": "log", "tickvals": ticks(min(values), max(values)), "zeroline": False}


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from about `low` to `high` (both above 0): eight at most, or decades."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3)):
        places = [step * 10.0**decade for decade in decades for step in steps]
        places = [float(f"{tick:.6g}") for tick in places if low / 1.5 <= tick <= high * 1.5]
        if len(places) <= 8:
            return places
    return [10.0**decade for decade in decades]
