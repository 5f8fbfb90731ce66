"""Draws the comparison's charts, as Plotly's JSON; colours are the page's CSS variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.devices.paper_phones.latency_model import leave_one_out
from nas.devices.paper_phones.published import PHONES, trade_offs
from nas.paper.compare import Comparison, phone_name
from nas.paper.figure4 import SizeCell
from nas.report.charts import log_axis
from nas.report.offline import Chart
from nas.report.report_data import latency_metrics

Point = tuple[float, float, str]
STEPS = {
    1: ("1 networks", "var(--muted)", "circle"),
    2: ("2 up-sampling, activation", "var(--baseline)", "square"),
    3: ("3 pruning", "var(--failed)", "diamond"),
    4: ("4 quantization", "var(--front)", "triangle-up"),
}
COLOURS = ("var(--front)", "var(--baseline)", "var(--failed)")


def published_trade_off() -> Chart:
    """Draw Figure 1 as published: PSNR by latency on the Reno3 5G."""
    points: dict[int, list[Point]] = {step: [] for step in STEPS}
    for point in trade_offs():
        label = point.row.label if point.row.table < 4 else point.row.row
        points[point.step].append((point.latency_ms, point.psnr_db, label))
    return _trade_off(points, "latency on OPPO Reno3 5G, ms, published")


def own_trade_off(comparison: Comparison, called: Mapping[str, str]) -> Chart:
    """Draw this run's Figure 1: PSNR by latency on its first device; `called` names devices."""
    device = comparison.devices[0]
    points: dict[int, list[Point]] = {step: [] for step in STEPS}
    seen: set[int] = set()
    for table in comparison.tables:
        for line in table.lines:
            trial = line.trial
            if trial is None or trial.number in seen or "psnr_db" not in trial.metrics:
                continue
            latency = latency_metrics(trial).get(device)
            if latency is not None:
                seen.add(trial.number)
                label = line.row.label if table.number < 4 else line.row.row
                point = (latency.value, trial.value("psnr_db"), f"{label}<br>{trial.label}")
                points[line.row.step].append(point)
    width, height = comparison.description["study"]["size"]
    return _trade_off(points, f"latency on {called.get(device, device)} at {width}x{height}, ms")


def _trade_off(points: dict[int, list[Point]], axis: str) -> Chart:
    traces = []
    for step, rows in points.items():
        name, colour, symbol = STEPS[step]
        rows = sorted(rows)
        joined = step == 3
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if joined else "markers",
                "name": name,
                "x": [x for x, _, _ in rows],
                "y": [y for _, y, _ in rows],
                "text": [text for _, _, text in rows],
                "line": {"width": 1, "dash": "dot", "color": colour},
                "marker": {"color": colour, "symbol": symbol, "size": 10},
                "hovertemplate": "<b>%{text}</b><br>%{y:.2f} dB, %{x:.4~g} ms<extra></extra>",
            }
        )
    every = [x for rows in points.values() for x, _, _ in rows]
    layout: Chart = {
        "xaxis": {"title": {"text": axis}, **log_axis(every)},
        "yaxis": {"title": {"text": "PSNR, dB"}, "zeroline": False},
        "height": 400,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def order_chart(comparison: Comparison) -> Chart:
    """Draw PSNR here by the published one, a colour a table: a rising row is the same order."""
    traces = []
    for order, colour in zip(comparison.orders, COLOURS, strict=True):
        named = order is comparison.orders[0]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text" if named else "markers",
                "name": order.what,
                "x": list(order.published),
                "y": list(order.here),
                "text": [
                    "U-Net" if name == "U-Net" else name.rpartition("-")[2] for name in order.names
                ]
                if named
                else [],
                "cliponaxis": False,
                "hovertext": list(order.names),
                "textposition": "top center",
                "textfont": {"size": 11, "color": "var(--muted)"},
                "marker": {"color": colour, "size": 10, "opacity": 0.85},
                "hovertemplate": "<b>%{hovertext}</b><br>published %{x:.2f} dB<br>"
                "here %{y:.2f} dB<extra></extra>",
            }
        )
    layout = {
        "xaxis": {"title": {"text": "PSNR published (REDS), dB"}, "zeroline": False},
        "yaxis": {"title": {"text": "PSNR here, dB"}, "zeroline": False},
        "height": 400,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def model_chart() -> Chart:
    """Draw each published latency by what the phone's model says that did not see it."""
    traces: list[Chart] = []
    every: list[float] = []
    for phone, colour in zip(PHONES, COLOURS, strict=True):
        rows = leave_one_out(phone).rows
        every += [v for row in rows for v in (row.published_ms, row.modelled_ms)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": phone_name(phone),
                "x": [row.published_ms for row in rows],
                "y": [row.modelled_ms for row in rows],
                "text": [row.label for row in rows],
                "marker": {"color": colour, "size": 9, "opacity": 0.85},
                "hovertemplate": "<b>%{text}</b><br>published %{x:.4~g} ms<br>"
                "modelled %{y:.4~g} ms<extra></extra>",
            }
        )
    ends = [min(every), max(every)]
    diagonal: Chart = {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": ends,
        "hoverinfo": "skip",
        "showlegend": False,
        "line": {"color": "var(--line)", "width": 1.5},
    }
    layout: Chart = {
        "xaxis": {"title": {"text": "published, ms"}, **log_axis(every)},
        "yaxis": {"title": {"text": "modelled without it, ms"}, **log_axis(every)},
        "height": 400,
    }
    return {"data": [diagonal, *traces], "layout": layout}


def size_chart(
    cells: Sequence[SizeCell], axis: str, called: Mapping[str, str] | None = None
) -> Chart:
    """Draw latency by picture size over the first device's at the first size; a cross: it fails."""
    sizes = list(dict.fromkeys(cell.size for cell in cells))
    devices = list(dict.fromkeys(cell.device for cell in cells))
    ratios = [cell.ratio for cell in cells if cell.ratio]
    low = min(ratios, default=1.0) / 1.6
    traces: list[Chart] = []
    for index, device in enumerate(devices):
        name = phone_name(device) if device in PHONES else (called or {}).get(device, device)
        colour = COLOURS[index % len(COLOURS)]
        own = [(sizes.index(cell.size), cell) for cell in cells if cell.device == device]
        traces.append(_ran(name, colour, own))
        traces.append(_failed(name, colour, own, 0.06 * (index - (len(devices) - 1) / 2), low))
    layout: Chart = {
        "xaxis": {
            "tickvals": list(range(len(sizes))),
            "ticktext": [f"{width}x{height}" for width, height in sizes],
            "range": [-0.3, len(sizes) - 0.7],
            "zeroline": False,
        },
        "yaxis": {"title": {"text": axis}, **log_axis([low, *ratios])},
        "height": 380,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _ran(name: str, colour: str, own: Sequence[tuple[int, SizeCell]]) -> Chart:
    ran = [(place, cell) for place, cell in own if cell.ratio is not None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [place for place, _ in ran],
        "y": [cell.ratio for _, cell in ran],
        "text": [_size_text(cell) for _, cell in ran],
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 9},
        "hovertemplate": "<b>" + name + "</b><br>%{text}<extra></extra>",
    }


def _failed(
    name: str, colour: str, own: Sequence[tuple[int, SizeCell]], shift: float, low: float
) -> Chart:
    """Draw crosses at the foot of the chart, side by side."""
    failed = [(place, cell) for place, cell in own if cell.latency_ms is None]
    return {
        "type": "scatter",
        "mode": "markers",
        "showlegend": False,
        "x": [place + shift for place, _ in failed],
        "y": [low] * len(failed),
        "text": [f"{name}: {cell.failure}" for _, cell in failed],
        "marker": {"color": colour, "size": 11, "symbol": "x-thin-open"},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _size_text(cell: SizeCell) -> str:
    at = f"{cell.run_size[0]}x{cell.run_size[1]}"
    return f"{cell.latency_ms:,.1f} ms at {at}, {cell.source}<br>{cell.ratio:.3g} of the first"
