"""Compares the quality of pruned shares and precisions that a run holds: rows, and a chart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nas.report.offline import Chart
from nas.study.trial_result import TrialResult
from nas.system.hashing import canonical_json

CompressionKey = tuple[float, str]  # pruned share, precision
STYLES = {  # of a precision, by the quality to expect: a colour of the page, Plotly's symbol
    "float": ("var(--ink)", "circle"),
    "int16-ptq": ("var(--front)", "square"),
    "int8-qat": ("var(--baseline)", "diamond"),
    "int8-ptq": ("var(--failed)", "triangle-up"),
}
APART = 0.17  # between the precisions of one share, where two shares are 1 apart
POINTS = 60  # drawn of one share and precision, beside the front's


@dataclass(frozen=True)
class CompressionRow:
    """One pruned share at one precision: the complete trials, and the sharpest of them.

    `networks` counts the architectures of the trials; `median_psnr_db` is over all of them.
    `drop_db` is the PSNR of the sharpest one less that of its own network in float, not pruned; it
    is None for that one, and where the run has none.
    """

    pruned_share: float
    precision: str
    trials: tuple[TrialResult, ...]
    networks: int
    best: TrialResult
    median_psnr_db: float
    drop_db: float | None


def compression_rows(results: Iterable[TrialResult]) -> tuple[CompressionRow, ...]:
    """Return a row for each pruned share and precision; none unless there are several of either.

    Rows are sorted by pruned share, then in the order of `STYLES`.
    """
    cells: dict[CompressionKey, list[TrialResult]] = {}
    floats: dict[str, float] = {}
    for result in results:
        key = compression_of(result)
        if key is None or result.state != "complete" or "psnr_db" not in result.metrics:
            continue
        cells.setdefault(key, []).append(result)
        if key == (0.0, "float"):
            floats[network_of(result)] = result.value("psnr_db")
    if len(cells) < 2:
        return ()
    return tuple(_row(key, cells[key], floats) for key in sorted(cells, key=_order))


def _row(
    key: CompressionKey, trials: list[TrialResult], floats: dict[str, float]
) -> CompressionRow:
    best = max(trials, key=lambda trial: trial.value("psnr_db"))
    whole = floats.get(network_of(best))
    return CompressionRow(
        *key,
        trials=tuple(trials),
        networks=len({network_of(trial) for trial in trials}),
        best=best,
        median_psnr_db=statistics.median(trial.value("psnr_db") for trial in trials),
        drop_db=None if whole is None or key == (0.0, "float") else best.value("psnr_db") - whole,
    )


def _order(key: CompressionKey) -> tuple[float, int]:
    return key[0], list(STYLES).index(key[1]) if key[1] in STYLES else len(STYLES)


def compression_of(result: TrialResult) -> CompressionKey | None:
    """Return a trial's (pruned share, precision); None where its candidate names none."""
    values = result.candidate.get("compression")
    if not isinstance(values, dict) or "precision" not in values:
        return None
    return float(values.get("pruned_share", 0.0)), str(values["precision"])


def network_of(result: TrialResult) -> str:
    """Return a text that is equal exactly where the architectures before pruning are."""
    return canonical_json(result.candidate.get("architecture"))


def compression_chart(
    rows: Sequence[CompressionRow], metric: str, front_numbers: Iterable[int]
) -> Chart:
    """Draw a metric of every trial by pruned share, a colour and a shape for each precision.

    Lines join trials of the same network. Of crowded places an even sample is drawn, beside the
    members of the front.
    """
    members = set(front_numbers)
    shares = sorted({row.pruned_share for row in rows})
    precisions = list(dict.fromkeys(row.precision for row in sorted(rows, key=_by_precision)))
    traces: list[Chart] = []
    for index, precision in enumerate(precisions):
        own = [row for row in rows if row.precision == precision]
        offset = APART * (index - (len(precisions) - 1) / 2)
        places = {row.pruned_share: shares.index(row.pruned_share) + offset for row in own}
        traces += _lines(own, places, metric)
        traces.append(_dots(own, places, metric, members))
    layout = {
        "xaxis": {
            "tickvals": list(range(len(shares))),
            "ticktext": [f"{share:.3g} %" for share in (100 * share for share in shares)],
            "range": [-0.5, len(shares) - 0.5],
            "title": {"text": "pruned share of the MACs"},
            "zeroline": False,
            "showgrid": False,
        },
        "yaxis": {"zeroline": False},
        "showlegend": True,
        "height": 360,
        "margin": {"l": 56, "r": 10, "t": 20, "b": 48},
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _by_precision(row: CompressionRow) -> int:
    return _order((0.0, row.precision))[1]


def qualities_of(rows: Sequence[CompressionRow]) -> list[str]:
    """Return which of PSNR and SSIM some trial has: a chart of nothing is not drawn."""
    trials = [trial for row in rows for trial in row.trials]
    return [name for name in ("psnr_db", "ssim") if any(name in t.metrics for t in trials)]


def network_lines(rows: Sequence[CompressionRow]) -> list[list[tuple[float, TrialResult]]]:
    """Return a line for each network of several trials: its (pruned share, trial), by share."""
    networks: dict[str, dict[float, TrialResult]] = {}
    for row in rows:
        for trial in row.trials:
            networks.setdefault(network_of(trial), {})[row.pruned_share] = trial
    return [sorted(trials.items()) for trials in networks.values() if len(trials) > 1]


def _lines(rows: Sequence[CompressionRow], places: dict[float, float], metric: str) -> list[Chart]:
    x: list[float | None] = []
    y: list[float | None] = []
    for run in network_lines(rows):
        shown = [(places[share], trial) for share, trial in run if metric in trial.metrics]
        x += [*(place for place, _ in shown), None]
        y += [*(trial.value(metric) for _, trial in shown), None]
    if not any(place is not None for place in x):
        return []
    line = {"color": STYLES.get(rows[0].precision, STYLES["float"])[0], "width": 1.5}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "line": line,
            "opacity": 0.5,
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _dots(
    rows: Sequence[CompressionRow], places: dict[float, float], metric: str, members: set[int]
) -> Chart:
    shown = [
        (places[row.pruned_share], trial)
        for row in rows
        for trial in _sample([t for t in row.trials if metric in t.metrics], members)
    ]
    colour, symbol = STYLES.get(rows[0].precision, STYLES["float"])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": rows[0].precision,
        "x": [place for place, _ in shown],
        "y": [trial.value(metric) for _, trial in shown],
        "text": [f"<b>trial {trial.number}</b> · {trial.label}" for _, trial in shown],
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": [12 if trial.number in members else 8 for _, trial in shown],
            "opacity": [1.0 if trial.number in members else 0.65 for _, trial in shown],
        },
        "hovertemplate": "%{text}<br>%{y:.4g}<extra>" + rows[0].precision + "</extra>",
    }


def _sample(trials: Sequence[TrialResult], members: set[int]) -> list[TrialResult]:
    others = [trial for trial in trials if trial.number not in members]
    step = max(1, -(-len(others) // POINTS))
    return [*others[::step], *(trial for trial in trials if trial.number in members)]
