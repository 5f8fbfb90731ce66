"""Draws the report's pictures: PNG files for a README or a talk, SVG files for a paper.

A function that takes `vector` writes the same figure there as an SVG, where it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from nas.data.image_quality import UInt8Image
from nas.report.charts import places_of, ticks
from nas.report.compression import APART, STYLES, CompressionRow, network_lines, qualities_of
from nas.report.crops import CropComparison, evenly_spaced
from nas.report.effects import Effect, telling
from nas.report.numbers import short_number
from nas.report.report_data import ReportData, latency_metrics
from nas.report.titles import title, unit
from nas.study.objectives import Objective
from nas.study.pareto import front
from nas.study.trial_result import TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, DOT, FRONT, BASELINE, FAILED = (
    "#1d1f23", "#6d7078", "#e4e2dd", "#a9adb6", "#0b7a75", "#8b5cc7", "#c2501c",
)  # fmt: skip
_PRECISIONS = {
    "float": (INK, "o"), "int16-ptq": (FRONT, "s"), "int8-qat": (BASELINE, "D"),
    "int8-ptq": (FAILED, "^"),
}  # fmt: skip
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#b9b8b4",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "svg.hashsalt": "portable-nas",  # the same figure is the same file
}
DPI = 160
CROP_ROWS = 2


def save_front(data: ReportData, file: IO[bytes], vector: IO[bytes] | None = None) -> None:
    """Draw the front against each device's latency, side by side."""
    costs = data.costs
    quality = data.quality
    with _styled():
        figure, panels = _figure(len(costs), 8.6 if len(costs) == 1 else 6.2, 5.2)
        for axes, cost in zip(panels, costs, strict=True):
            _front_panel(axes, data, cost, quality)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9.5)
        panels[0].set_title(_headline(data), loc="left", fontsize=12, pad=14, fontweight="bold")
        _save(figure, file, vector)


def save_history(data: ReportData, file: IO[bytes], vector: IO[bytes] | None = None) -> None:
    """Draw the hypervolume after each trial."""
    with _styled():
        figure, (axes,) = _figure(1, 8, 3.4)
        numbers = [result.number for result in data.results]
        axes.step(numbers, data.history, where="post", color=FRONT, linewidth=2)
        if data.learning is not None and data.learning.first is not None:
            at = data.learning.first - 0.5
            axes.axvline(at, color=MUTED, linestyle=":", linewidth=1.2)
            across = axes.get_xaxis_transform()
            axes.text(at, 1.01, "the sampler learns from here", transform=across, ha="center",
                      fontsize=9.5, color=MUTED)  # fmt: skip
        axes.set_xlabel("trial")
        axes.set_ylabel("hypervolume")
        axes.set_ylim(bottom=0)
        _save(figure, file, vector)


def save_effects(data: ReportData, file: IO[bytes], vector: IO[bytes] | None = None) -> None:
    """Draw each effect that tells something, a row or more for each objective."""
    told = telling(data.effects)
    columns = min(6, max(4, len(told) // max(1, len(data.objectives))))
    rows: list[list[Effect]] = []
    for objective in data.objectives:
        effects = [effect for effect in told if effect.metric == objective.metric]
        rows += [effects[at : at + columns] for at in range(0, len(effects), columns)]
    with _styled():
        figure = _bare_figure(2.4 * columns, 2.5 * len(rows))
        for line, row in enumerate(rows):
            for column, effect in enumerate(row):
                axes = figure.add_subplot(len(rows), columns, line * columns + column + 1)
                _effect_panel(axes, effect, data if column == 0 else None)
        _save(figure, file, vector)


def save_compression(
    rows: Sequence[CompressionRow], file: IO[bytes], vector: IO[bytes] | None = None
) -> None:
    """Draw PSNR, and SSIM where it is known, by pruned share; a line and shape for a precision."""
    with _styled():
        qualities = qualities_of(rows)
        figure, panels = _figure(len(qualities), 5.6, 4.2)
        for axes, metric in zip(panels, qualities, strict=True):
            _compression_panel(axes, rows, metric)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9.5)
        _save(figure, file, vector)


def _compression_panel(axes: Axes, rows: Sequence[CompressionRow], metric: str) -> None:
    shares = sorted({row.pruned_share for row in rows})
    precisions = [name for name in STYLES if any(row.precision == name for row in rows)]
    for index, name in enumerate(precisions):
        own = [row for row in rows if row.precision == name]
        offset = APART * (index - (len(precisions) - 1) / 2)
        style: dict[str, Any] = {"color": _PRECISIONS[name][0], "zorder": 3}
        for run in network_lines(own):
            shown = [(share, trial) for share, trial in run if metric in trial.metrics]
            x = [shares.index(share) + offset for share, _ in shown]
            axes.plot(x, [t.value(metric) for _, t in shown], linewidth=1.3, alpha=0.5, **style)
        dots = [(row.pruned_share, t) for row in own for t in row.trials if metric in t.metrics]
        x = [shares.index(share) + offset for share, _ in dots]
        y = [trial.value(metric) for _, trial in dots]
        axes.scatter(x, y, s=34, marker=_PRECISIONS[name][1], linewidths=0, label=name, **style)
    axes.set_xticks(range(len(shares)), [f"{100 * share:.3g} %" for share in shares])
    axes.set_xlim(-0.5, len(shares) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("pruned share of the MACs")
    axes.set_ylabel(_axis(metric))


def save_crops(
    comparisons: Sequence[CropComparison], data: ReportData, file: IO[bytes], models: int = 2
) -> None:
    """Draw a row for each picture: blurred, `models` of the front from fast to sharp, sharp."""
    comparisons = comparisons[:CROP_ROWS]
    shown = [version.trial for version in evenly_spaced(comparisons[0].restored, models)][::-1]
    columns = len(shown) + 2
    heights = [c.sharp.shape[0] / c.sharp.shape[1] for c in comparisons]
    with _styled():
        side = 3.4
        figure = _bare_figure(side * columns, sum(side * height + 0.42 for height in heights))
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for line, comparison in enumerate(comparisons):
            for column, (image, text) in enumerate(_cells(comparison, shown, data)):
                axes = figure.add_subplot(grid[line, column])
                axes.imshow(image, interpolation="lanczos")
                axes.set_title(text, fontsize=10.5, loc="left", pad=5)
                axes.set_axis_off()
        _save(figure, file)


def _cells(
    comparison: CropComparison, trials: Sequence[int], data: ReportData
) -> list[tuple[UInt8Image, str]]:
    """Return a row of pictures with their titles."""
    results = {result.number: result for result in data.front}
    restored = {version.trial: version for version in comparison.restored}
    cells = [(comparison.blurred, f"{data.degraded} · {comparison.blurred_psnr_db:.2f} dB")]
    for trial in trials:
        version = restored[trial]
        cost = _cost(results[trial], data)
        cells.append((version.crop, f"trial {trial} · {version.psnr_db:.2f} dB{cost}"))
    return [*cells, (comparison.sharp, "sharp")]


def _effect_panel(axes: Axes, effect: Effect, first: ReportData | None) -> None:
    """Draw a box for each value; the `first` of a row names the axis, with the report's words."""
    axes.boxplot(
        [[value for _, value in trials] for _, trials in effect.groups],
        tick_labels=[name.replace("-", "-\n") for name, _ in effect.groups],
        widths=0.6,
        showfliers=False,
        boxprops={"color": MUTED},
        whiskerprops={"color": MUTED},
        capprops={"color": MUTED},
        medianprops={"color": FRONT, "linewidth": 2},
    )
    share = "" if effect.share is None else f" · {100 * effect.share:.0f} %"
    axes.set_title(effect.parameter.replace("_", " ") + share, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(visible=False, axis="x")
    if effect.metric.startswith("latency_ms"):
        log_ticks(axes.yaxis, [value for _, trials in effect.groups for _, value in trials])
    if first is not None:
        axes.set_ylabel(_axis(effect.metric, first), fontsize=9)


def _front_panel(axes: Axes, data: ReportData, cost: Objective, quality: Objective) -> None:
    x, y = cost.metric, quality.metric
    both = [r for r in data.results if x in r.metrics and y in r.metrics]
    numbers = {result.number for result in data.front}
    groups: tuple[tuple[str, list[TrialResult], dict[str, Any]], ...] = (
        (
            "over a limit",
            [r for r in both if r.state != "complete"],
            {"facecolors": "none", "edgecolors": DOT, "s": 26},
        ),
        (
            "complete",
            [r for r in both if r.state == "complete" and r.number not in numbers],
            {"color": DOT, "s": 30, "linewidths": 0},
        ),
        (
            "baseline",
            [r for r in both if r.baseline],
            {"color": BASELINE, "marker": "D", "s": 62, "zorder": 5},
        ),
    )
    for name, results, style in groups:
        if results:
            points = [(r.value(x), r.value(y)) for r in results]
            axes.scatter(*zip(*points, strict=True), label=name, **style)
    members = front(data.front, [quality, cost])[::-1]
    axes.step(
        [r.value(x) for r in members],
        [r.value(y) for r in members],
        where="post",
        color=FRONT,
        alpha=0.4,
        linewidth=1.6,
        zorder=3,
    )
    _front_markers(axes, data.front, x, y)
    log_ticks(axes.xaxis, [r.value(x) for r in both])
    axes.set_xlabel(f"{_axis(x, data)}, logarithmic")
    axes.set_ylabel(_axis(y, data))
    _reference_lines(axes, data, x, y)


def _errors(members: Sequence[TrialResult], metric: str) -> list[list[float]]:
    """Return how far the intervals reach below and above the values; 0 where there is none."""
    figures = [member.metrics[metric] for member in members]
    ends = [(figure, figure.interval or (figure.value, figure.value)) for figure in figures]
    below = [figure.value - low for figure, (low, _) in ends]
    return [below, [high - figure.value for figure, (_, high) in ends]]


def _front_markers(axes: Axes, members: Sequence[TrialResult], x: str, y: str) -> None:
    xs = [r.value(x) for r in members]
    ys = [r.value(y) for r in members]
    axes.errorbar(
        xs,
        ys,
        xerr=_errors(members, x),
        yerr=_errors(members, y),
        fmt="o",
        color=FRONT,
        markersize=8,
        capsize=2.5,
        markeredgecolor="white",
        elinewidth=0.8,
        zorder=4,
        label="Pareto front",
    )
    for result, place in zip(members, places_of(members, x, y), strict=True):
        if place is None:
            continue
        vertical, horizontal = place.split()
        above = vertical == "top"
        across = {"left": -5, "right": 5, "center": 0}[horizontal]
        axes.annotate(
            str(result.number),
            (result.value(x), result.value(y)),
            xytext=(across, 6 if above else -13),
            textcoords="offset points",
            ha={"left": "right", "right": "left", "center": "center"}[horizontal],
            fontsize=9,
            color=FRONT,
        )


def _reference_lines(axes: Axes, data: ReportData, x: str, y: str) -> None:
    if y == "psnr_db" and data.input_psnr_db is not None:
        level = data.input_psnr_db
        axes.axhline(level, color=MUTED, linestyle=":", linewidth=1.2)
        text = f"{data.degraded} pictures, {level:.2f} dB"
        across = axes.get_yaxis_transform()
        axes.text(
            1, level, text, transform=across, ha="right", va="bottom", fontsize=9.5, color=MUTED
        )


def _headline(data: ReportData) -> str:
    states = data.states
    trained = any(result.artifact for result in data.results)
    sources = {figure.source for one in data.front for figure in latency_metrics(one).values()}
    timed = "measured" if sources <= {"measured"} else f"latencies {' or '.join(sorted(sources))}"
    how = f"trained, {timed}" if trained else f"{timed}, nothing trained"
    done = f"{states['complete']} networks {how}, {len(data.front)} on the front"
    return f"{data.study['name']}: {done}"


def _cost(result: TrialResult, data: ReportData) -> str:
    name = f"latency_ms[{data.devices[0]}]"
    if name not in result.metrics:
        return ""
    where = f" on {data.names[data.devices[0]].name}" if len(data.devices) > 1 else ""
    return f" · {short_number(result.value(name))} ms{where}"


def _axis(metric: str, data: ReportData | None = None) -> str:
    name = data.title(metric) if data else title(metric)
    return f"{name}, {unit(metric)}" if unit(metric) else name


def log_ticks(axis: Any, values: Sequence[float]) -> None:
    """Make an axis logarithmic, with round numbers about the values as its ticks."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
    places = ticks(min(values), max(values))
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


@contextmanager
def styled_figure(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure in the report's style, with one pair of axes; its size is in inches."""
    with _styled():
        figure, (axes,) = _figure(1, width, height)
        yield figure, axes


def _figure(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = _bare_figure(width * count, height)
    return figure, [figure.add_subplot(1, count, index + 1) for index in range(count)]


def _bare_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, file: IO[bytes], vector: IO[bytes] | None = None) -> None:
    """Lay the figure out once, which takes longer than drawing it, and write it."""
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.savefig(file, dpi=DPI, format="png")
    if vector is not None:
        figure.savefig(vector, format="svg", metadata={"Date": None})


def _styled() -> Any:
    import matplotlib as mpl

    return mpl.rc_context(STYLE)
