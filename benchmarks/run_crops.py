"""Draws held-out pictures as every trial of a run restores them, for a page of docs.

    python -m benchmarks.run_crops runs/portable-today-trained docs/images/trained-crops.png

A row is a picture; its columns are the blurred one, one for each complete trial (with its PSNR
over all held-out pictures), and the sharp one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.report.crops import CropComparison, busiest_window, compare_crops, heldout_pairs
from nas.report.report_data import gather
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult

SHOWN = (150, 216)  # height, width in pixels of a crop


def main() -> None:
    """Read the arguments, restore the pictures and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", nargs="+", default=["chelsea", "rocket"])
    options = parser.parse_args()
    data = gather(run := RunFolder(options.run))
    trials = [one for one in data.results if one.state == "complete"]
    pairs = {pair.name: pair for pair in heldout_pairs(data.study)}
    if missing := set(options.pictures) - set(pairs):
        parser.error(f"--pictures: no {', '.join(missing)}; there are {', '.join(pairs)}")
    chosen = [pairs[name] for name in options.pictures]
    draw(compare_crops(run, trials, chosen, len(chosen)), trials, options.out)


def draw(rows: list[CropComparison], trials: list[TrialResult], path: Path) -> None:
    """Draw the crops as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns, (height, width) = len(trials) + 2, SHOWN
    figure = Figure(figsize=(2.2 * columns, 1.85 * len(rows)), layout="constrained")
    for row, crops in enumerate(rows):
        top, left = busiest_window(crops.sharp, *SHOWN)
        restored = {version.trial: version.crop for version in crops.restored}
        shown = [("blurred", crops.blurred)]
        shown += [
            (f"trial {one.number}, {one.value('psnr_db'):.2f} dB", restored[one.number])
            for one in trials
        ]
        for column, (text, image) in enumerate([*shown, ("sharp", crops.sharp)], 1):
            axes = figure.add_subplot(len(rows), columns, row * columns + column)
            axes.imshow(image[top : top + height, left : left + width], interpolation="lanczos")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(text, loc="left", fontsize=9.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=96)


if __name__ == "__main__":
    main()
