"""A picture of predictions beside measurements."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.predictor.checking import NetworkCheck, Score

Floats = npt.NDArray[np.float64]


def plot(rows: Sequence[NetworkCheck], title: str) -> bytes:
    """Draw a PNG of predicted against measured latencies, a panel for each precision."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    precisions = list(dict.fromkeys(row.precision for row in rows))
    figure = Figure(figsize=(4.4 * len(precisions), 4.6), layout="constrained")
    panels = figure.subplots(1, len(precisions), squeeze=False)[0]
    for axes, precision in zip(panels, precisions, strict=True):
        own = [row for row in rows if row.precision == precision]
        x = np.array([row.latency_ms for row in own])
        y = np.array([row.predicted_ms for row in own])
        low, high = 0.85 * min(x.min(), y.min()), 1.18 * max(x.max(), y.max())
        line = np.array([low, high])
        axes.fill_between(line, line / 1.1, line * 1.1, color="0.9", label="within 10 %")
        axes.plot(line, line, color="0.6", linewidth=1)
        axes.plot(x, [row.by_macs_ms for row in own], "x", color="tab:orange", label="from MACs")
        axes.errorbar(
            x, y, fmt="o", color="tab:blue", markersize=4, linewidth=1, label="predicted",
            yerr=_arms(y, [row.interval_ms for row in own]),
            xerr=_arms(x, [row.launches_ms for row in own]),
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel="measured, ms", ylabel="predicted, ms")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        score = score_of(own)
        axes.set_title(
            f"{precision}: mean error {score.mape:.1%}, τ {score.tau:.2f}", fontsize="medium"
        )
        axes.legend(fontsize="small", loc="upper left")
    figure.suptitle(title, fontsize="medium")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()


def _arms(middle: Floats, intervals: Sequence[tuple[float, float]]) -> Floats:
    ends = np.array(intervals).T
    arms: Floats = np.maximum(np.array([middle - ends[0], ends[1] - middle]), 0.0)
    return arms


def score_of(rows: Sequence[NetworkCheck], macs_only: bool = False) -> Score:
    """Return the score of predictions, or of predictions by MACs alone."""
    measured = [row.latency_ms for row in rows]
    if macs_only:
        return Score.of([row.by_macs_ms for row in rows], measured)
    intervals = [row.interval_ms for row in rows]
    return Score.of([row.predicted_ms for row in rows], measured, intervals)
