"""Draws how a metric differs between the values of one parameter, as Plotly's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nas.report.charts import log_axis
from nas.report.effects import Effect
from nas.report.offline import Chart

POINTS = 60  # drawn beside a box, of one value of a parameter


def effect_chart(effect: Effect, front_numbers: Iterable[int]) -> Chart:
    """Draw a box for each value of the parameter, its trials beside it, the front's coloured."""
    members = set(front_numbers)
    boxes: dict[str, list[float]] = {name: [] for name in ("q1", "median", "q3", "low", "high")}
    dots: dict[bool, list[tuple[float, float, int]]] = {True: [], False: []}
    for place, (_, trials) in enumerate(effect.groups):
        five = np.quantile([value for _, value in trials], [0.25, 0.5, 0.75, 0, 1])
        for name, value in zip(boxes, five, strict=True):
            boxes[name].append(float(value))
        for index, (number, value) in enumerate(_thinned(trials, members)):
            dots[number in members].append((place + 0.3 * _jitter(index), value, number))
    box = {
        "type": "box",
        "x": list(range(len(effect.groups))),
        "q1": boxes["q1"],
        "median": boxes["median"],
        "q3": boxes["q3"],
        "lowerfence": boxes["low"],
        "upperfence": boxes["high"],
        "fillcolor": "var(--box)",
        "line": {"color": "var(--box-line)", "width": 1},
        "width": 0.72,
        "hoverinfo": "y",
    }
    points = [_effect_dots(rows, on_front) for on_front, rows in dots.items() if rows]
    return {"data": [box, *points], "layout": _effect_layout(effect)}


def _effect_layout(effect: Effect) -> Chart:
    """Return the layout of an effect's chart: a place a value; latencies on a logarithmic axis."""
    logarithmic = effect.metric.startswith("latency_ms")
    values = [value for _, trials in effect.groups for _, value in trials]
    return {
        "xaxis": {
            "tickvals": list(range(len(effect.groups))),
            "ticktext": [_short(name) for name, _ in effect.groups],
            "tickangle": 0,
            "fixedrange": True,
            "zeroline": False,
            "showgrid": False,
        },
        "yaxis": {**(log_axis(values) if logarithmic else {}), "fixedrange": True},
        "showlegend": False,
        "height": 190,
        "margin": {"l": 40, "r": 6, "t": 6, "b": 34},
    }


def _effect_dots(rows: Sequence[tuple[float, float, int]], on_front: bool) -> Chart:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _, _ in rows],
        "y": [y for _, y, _ in rows],
        "text": [f"trial {number}" for _, _, number in rows],
        "customdata": [number for _, _, number in rows],
        "marker": {
            "size": 5 if on_front else 4,
            "color": "var(--front)" if on_front else "var(--dot)",
            "opacity": 1 if on_front else 0.65,
        },
        "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
    }


def _thinned(trials: Sequence[tuple[int, float]], members: set[int]) -> list[tuple[int, float]]:
    """Return all of the front's trials and an even sample of the others."""
    others = [trial for trial in trials if trial[0] not in members]
    step = max(1, -(-len(others) // POINTS))
    return [*others[::step], *(trial for trial in trials if trial[0] in members)]


def _jitter(index: int) -> float:
    """Return even steps from -1 to 1 that look scattered: the golden ratio's multiples."""
    return 2 * ((index * 0.6180339887498949) % 1) - 1


def _short(name: str) -> str:
    return name if len(name) <= 7 else name.replace("-", "-<br>")
