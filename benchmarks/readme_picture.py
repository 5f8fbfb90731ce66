"""Draws the README's picture of a run: one crop by two models of the front, and the front itself.

    python -m benchmarks.readme_picture runs/quickstart docs/images

It writes win-light.png and win-dark.png. The two models are the fastest and the sharpest of the
front on the study's first device; the picture is the held-out one that is named.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nas.report.crops import CropComparison, busiest_window, compare_crops, heldout_pairs
from nas.report.report_data import ReportData, gather
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult

SHOWN = (150, 216)  # height, width in pixels of the crop
THEMES = {
    "light": {"paper": "#ffffff", "ink": "#1d1f23", "muted": "#5c6068", "line": "#e4e2dd",
              "dot": "#a9adb6", "front": "#0b7a75"},
    "dark": {"paper": "#0d1117", "ink": "#e9eaec", "muted": "#a4a9b3", "line": "#2c3036",
             "dot": "#6b7280", "front": "#4cc9bd"},
}  # fmt: skip


def main() -> None:
    """Read the arguments and draw both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--picture", default="chelsea")
    options = parser.parse_args()
    data = gather(run := RunFolder(options.run))
    fastest, sharpest = two_models(data)
    pairs = [pair for pair in heldout_pairs(data.study) if pair.name == options.picture]
    (crops,) = compare_crops(run, [fastest, sharpest], pairs, 1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, colours in THEMES.items():
        draw(data, (fastest, sharpest), crops, colours, options.out / f"win-{name}.png")


def two_models(data: ReportData) -> tuple[TrialResult, TrialResult]:
    """Return the front's fastest and sharpest model, by the first latency."""
    cost = data.costs[0].metric
    fastest = min(data.front, key=lambda one: one.value(cost))
    return fastest, max(data.front, key=lambda one: one.value("psnr_db"))


def draw(
    data: ReportData,
    models: tuple[TrialResult, TrialResult],
    crops: CropComparison,
    colours: dict[str, str],
    path: Path,
) -> None:
    """Draw four crops above the front."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    cost = data.costs[0].metric
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 11}):
        figure = Figure(figsize=(11, 5.9), layout="constrained", facecolor=colours["paper"])
        grid = figure.add_gridspec(2, 4, height_ratios=(1.85, 2.6))
        top, left = busiest_window(crops.sharp, *SHOWN)
        versions = {version.trial: version.crop for version in crops.restored}
        shown = [("blurred", crops.blurred)]
        shown += [(f"restored in {one.value(cost):.0f} ms", versions[one.number]) for one in models]
        for column, (text, image) in enumerate([*shown, ("sharp", crops.sharp)]):
            axes = figure.add_subplot(grid[0, column])
            part = image[top : top + SHOWN[0], left : left + SHOWN[1]]
            axes.imshow(part, interpolation="lanczos")
            axes.set_title(text, loc="left", color=colours["ink"], fontsize=11.5)
            axes.set_axis_off()
        _front(figure.add_subplot(grid[1, :]), data, models, cost, colours)
        figure.savefig(path, dpi=110, facecolor=colours["paper"])


def _front(
    axes: Any, data: ReportData, models: tuple[TrialResult, ...], cost: str, colours: dict[str, str]
) -> None:
    complete = [one for one in data.results if one.state == "complete"]
    line = sorted(data.front, key=lambda one: one.value(cost))
    for results, colour, size in ((complete, colours["dot"], 36), (line, colours["front"], 60)):
        x = [one.value(cost) for one in results]
        axes.scatter(x, [one.value("psnr_db") for one in results], size, color=colour, zorder=3)
    axes.plot(
        [one.value(cost) for one in line],
        [one.value("psnr_db") for one in line],
        color=colours["front"], linewidth=1.2, alpha=0.6,
    )  # fmt: skip
    for one, side in zip(models, ("left", "right"), strict=True):
        at = (one.value(cost), one.value("psnr_db"))
        axes.scatter(*at, 170, facecolors="none", edgecolors=colours["ink"], zorder=4)
        text = f"{one.value('psnr_db'):.2f} dB, {one.value(cost):.0f} ms"
        shift = (2 if side == "left" else -12, 12)
        axes.annotate(text, at, shift, textcoords="offset points", ha=side, color=colours["ink"])
    axes.axhline(data.results[0].value("psnr_db_input"), color=colours["muted"], linestyle=":")
    axes.text(0.995, data.results[0].value("psnr_db_input"), "the blurred pictures  ",
              transform=axes.get_yaxis_transform(), ha="right", va="bottom", color=colours["muted"],
              fontsize=10)  # fmt: skip
    axes.set_facecolor(colours["paper"])
    axes.set_xlabel(f"{data.title(cost)}, ms", color=colours["ink"])
    axes.set_ylabel("PSNR, dB", color=colours["ink"])
    axes.set_xscale("log")
    axes.grid(color=colours["line"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colours["muted"], which="both", length=4, pad=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(colours["line"])
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.12 * (high - low))


if __name__ == "__main__":
    main()
