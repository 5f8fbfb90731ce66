"""What each replacement of a part of the U-Net costs in quality, at equal MACs.

    python -m benchmarks.replacement_cost --tasks photos
    python -m benchmarks.replacement_cost --tasks photos:random-shake --steps 2400
    python -m benchmarks.replacement_cost --show

The base has the paper's choices: concatenation, max-pooling, full resolution, plain 3x3
convolutions, bilinear up-sampling, PReLU. Each other row replaces one of them, with widths chosen
so that the MACs at 1280x720 are the base's, and is trained as often, on the same patches, on one
known camera shake and on random ones. A training is a line of `replacement_cost.csv` beside this
file: PSNR of its float file and of its int8-ptq file on the five held-out photographs. Lines that
are there are not made again, so a killed run goes on; what a search for portable networks needs
comes first. `--show` prints the tables of the lines there are.

A difference's interval is Student's at 95 %, with the deviation between seeds pooled over rows of a
task that deviate alike: those with other blocks, those with other activations, and the rest.

A training of 600 steps takes half a minute on one core. Random shakes are the harder task: after
600 steps a network is hardly better than its input, so they get more.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from search_spaces import UNet

CSV = Path(__file__).with_suffix(".csv")
TASKS = ("photos", "photos:random-shake")
BASE = UNet("resize-bilinear", "prelu", (12, 24, 24), 2, 3, True)
SCORED_AT = (256, 256)
FIELDS = (
    "task", "row", "seed", "steps", "label", "gmacs", "float_psnr_db", "int8_psnr_db", "input_db",
    "cpu_seconds", "note",
)  # fmt: skip
HALF = replace(BASE, widths=(12, 24))  # behind a stem of 2: as deep as the base, in pixels

ROWS: dict[str, UNet] = {
    "base": BASE,
    "skip: addition": replace(BASE, skip="addition"),
    "down: strided convolution": replace(BASE, downsampling="strided-conv"),
    "down: space-to-depth": replace(BASE, downsampling="space-to-depth"),
    "stem: space-to-depth by 2": replace(HALF, stem=2),
    "block: residual": replace(BASE, block="residual"),
    "block: depthwise-separable": replace(BASE, block="depthwise-separable"),
    "block: inverted bottleneck": replace(BASE, block="inverted-bottleneck"),
    "block: branched": replace(BASE, block="branched"),
    "activation: ReLU": replace(BASE, activation="relu"),
    "activation: leaky ReLU": replace(BASE, activation="leaky-relu"),
    "activation: ReLU6": replace(BASE, activation="relu6"),
    "up: depth-to-space": replace(BASE, upsampling="depth-to-space"),
    "up: transposed convolution": replace(BASE, upsampling="transpose-conv"),
    "addition and depth-to-space": replace(BASE, skip="addition", upsampling="depth-to-space"),
}

FIRST = ("base", "skip: addition", "down: strided convolution", "down: space-to-depth",
         "stem: space-to-depth by 2", "addition and depth-to-space")  # fmt: skip


def gmacs(network: UNet) -> float:
    """Return the convolutions' MACs at 1280x720, in billions."""
    return network.graph().macs(720, 1280).conv / 1e9


def at_equal_macs(network: UNet) -> UNet:
    """Return the network with the widths, in the base's proportions or near, of the base's MACs."""
    wanted, levels = gmacs(BASE), len(network.widths)
    best, least = network, math.inf
    for first in range(8, 100, 4):
        others = [width for width in range(4, 240, 4) if 1.25 * first <= width <= 2.75 * first]
        for rest in itertools.product(others, repeat=levels - 1):
            one = replace(network, widths=(first, *rest))
            off = abs(gmacs(one) / wanted - 1)
            shape = sum(abs(math.log(width / (2 * first))) for width in rest)
            if (cost := max(off, 0.02) * 40 + shape) < least:
                best, least = one, cost
        if gmacs(replace(network, widths=(first, *[2 * first] * (levels - 1)))) > 2 * wanted:
            break
    return best


def main() -> None:
    """Run, or print what there is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replacement_cost")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--folder", type=Path, default=Path("runs/replacement-cost"))
    parser.add_argument("--rows", nargs="*", default=list(ROWS))
    parser.add_argument("--show", action="store_true", help="train nothing, print what is there")
    arguments = parser.parse_args()
    if not arguments.show:
        run(arguments)
    lines = read(arguments.csv)
    for task, steps in dict.fromkeys((line["task"], line["steps"]) for line in lines):
        alike = [line for line in lines if (line["task"], line["steps"]) == (task, steps)]
        print(table(task, alike))


def run(arguments: argparse.Namespace) -> None:
    """Do all trainings that have no line yet."""
    networks = {name: at_equal_macs(ROWS[name]) for name in arguments.rows}
    work = [
        (seed, name, task)
        for names in (FIRST, [name for name in arguments.rows if name not in FIRST])
        for task in arguments.tasks
        for seed in range(arguments.seeds)
        for name in names
        if name in arguments.rows
    ]
    for number, (seed, name, task) in enumerate(work, 1):
        done = {(r["task"], r["row"], r["seed"], r["steps"]) for r in read(arguments.csv)}
        if (task, name, str(seed), str(arguments.steps)) in done:
            continue
        line = trained(networks[name], task, seed, arguments.steps, arguments.folder)
        write(arguments.csv, {**line, "row": name})
        said = f"{number}/{len(work)} {task} {name} seed {seed}: {line['float_psnr_db']:.2f} dB"
        print(f"{said}, int8 {line['int8_psnr_db']}, {line['cpu_seconds']:.0f} s", file=sys.stderr)


def trained(network: UNet, task: str, seed: int, steps: int, folder: Path) -> dict[str, Any]:
    """Train, convert and score a network; returns the line without the row's name."""
    from evaluators.quality import score_artifact
    from nas.compression.compress import float_training
    from nas.compression.convert import convert_trained
    from nas.data import open_dataset
    from nas.errors import NasError
    from nas.training.schedule import short_schedule
    from nas.training.tensorflow import prepare_tensorflow
    from nas.training.workshop import Workshop

    prepare_tensorflow(1)
    started, dataset, schedule = time.process_time(), open_dataset(task), short_schedule(steps)
    pack = dataset.prepare(schedule.patch)
    shop = Workshop(pack, schedule, seed, folder / "weights", lambda *_: None)
    weights = float_training(network, dataset.identity(), shop).weights
    path, figures, note = folder / f"scored-{os.getpid()}.tflite", {}, ""
    for precision in ("float", "int8-ptq"):
        try:
            content = convert_trained(network.graph(), weights, *SCORED_AT, precision, pack)  # type: ignore[arg-type]
        except NasError as error:
            note = f"{precision}: {error}"
            continue
        path.write_bytes(content)
        figures[precision] = score_artifact(path, dataset.heldout())
    path.unlink(missing_ok=True)
    whole, narrow = figures["float"], figures.get("int8-ptq")
    return {
        "task": task,
        "seed": seed,
        "steps": steps,
        "label": network.label,
        "gmacs": round(gmacs(network), 2),
        "float_psnr_db": round(whole.psnr_db, 4),
        "int8_psnr_db": round(narrow.psnr_db, 4) if narrow else "",
        "input_db": round(whole.input_psnr_db, 4),
        "cpu_seconds": round(time.process_time() - started, 1),
        "note": note,
    }


def read(path: Path) -> list[dict[str, str]]:
    """Return the lines that are there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, line: dict[str, Any]) -> None:
    """Append a line, with the header before the first."""
    first = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if first:
            writer.writeheader()
        writer.writerow(line)


class Difference(NamedTuple):
    """A mean difference in dB, and how far it may be from the true one at 95 %."""

    mean_db: float
    reach_db: float

    def __str__(self) -> str:
        if math.isnan(self.reach_db):
            return f"{self.mean_db:+.2f}, no interval yet"
        sure = "" if abs(self.mean_db) <= self.reach_db else " *"
        return f"{self.mean_db:+.2f} ± {self.reach_db:.2f}{sure}"


def figures_of(lines: list[dict[str, str]], name: str) -> dict[str, list[float]]:
    """Return float, int8 and their difference by row, over the seeds that have both."""
    rows: dict[str, list[float]] = {}
    for line in lines:
        whole, narrow = line["float_psnr_db"], line["int8_psnr_db"]
        if name != "float" and not narrow:
            continue
        value = {"float": lambda w, n: w, "int8": lambda w, n: n, "loss": lambda w, n: n - w}
        rows.setdefault(line["row"], []).append(value[name](float(whole), float(narrow or "nan")))
    return rows


def pooled_deviation(rows: dict[str, list[float]]) -> tuple[float, int]:
    """Return the deviation between seeds pooled over rows, and its degrees of freedom."""
    squares = sum(statistics.variance(one) * (len(one) - 1) for one in rows.values() if one[1:])
    freedom = sum(len(one) - 1 for one in rows.values())
    return (math.sqrt(squares / freedom) if freedom else math.nan), freedom


def difference(rows: dict[str, list[float]], name: str) -> Difference:
    """Return how far a row is from the base."""
    from scipy.stats import t

    def noise(of: str) -> tuple[float, int]:
        alike = {row: one for row, one in rows.items() if _kind(row) == _kind(of)}
        return pooled_deviation(alike)

    (own, freedom), (base, others) = noise(name), noise("base")
    mine, theirs = rows[name], rows["base"]
    error = math.sqrt(own**2 / len(mine) + base**2 / len(theirs))
    reach = float(t.ppf(0.975, min(freedom, others))) * error if freedom else math.nan
    return Difference(statistics.mean(mine) - statistics.mean(theirs), reach)


def _kind(row: str) -> str:
    """Return which rows have the same noise: other activations, other blocks, and the rest."""
    kind = row.partition(":")[0]
    return kind if kind in ("activation", "block") else "rest"


def table(task: str, lines: list[dict[str, str]]) -> str:
    """Return in Markdown the table of a task's lines, all of which took as many steps."""
    text = [f"`{task}`, {lines[0]['steps']} steps:", ""]
    text += [
        "| replaced | network | GMAC | float dB | float, to base | int8 dB | int8, to base "
        "| int8 loss, to base's | seeds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    whole, narrow, loss = (figures_of(lines, name) for name in ("float", "int8", "loss"))
    for name in [row for row in ROWS if row in whole]:
        line = next(one for one in lines if one["row"] == name)
        cells = [name, line["label"], line["gmacs"]]
        for rows in (whole, narrow):
            if name not in rows:
                cells += ["refused", ""]
                continue
            alone = name == "base" or "base" not in rows
            far = "" if alone else str(difference(rows, name))
            cells += [f"{statistics.mean(rows[name]):.2f}", far]
        both = name in loss and "base" in loss
        far = str(difference(loss, name)) if both and name != "base" else ""
        if both and name == "base":
            far = f"({statistics.mean(loss[name]):+.2f})"
        text.append("| " + " | ".join([*cells, far, str(len(whole[name]))]) + " |")
    return "\n".join([*text, ""])


if __name__ == "__main__":
    main()
