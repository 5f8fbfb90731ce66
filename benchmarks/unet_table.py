"""A table of 360 U-Nets that were really trained and really timed, to compare searches on.

    python -m benchmarks.unet_table latency --out FOLDER           (a quiet machine, 30 minutes)
    python -m benchmarks.unet_table quality --out FOLDER [--part 0/2]  (an hour on two cores)
    python -m benchmarks.unet_table write --out FOLDER             -> benchmarks/unet_table.csv

A full grid: three up-samplings, two activations, five by four by three widths, each as float and
as int8 by post-training quantization. Each network is trained once, every ninth with three seeds;
each file is timed on this machine. What FOLDER holds is not done
again, so all of it can be stopped at any moment. `read` gives the finished table.

Schedule: `short_schedule(STEPS)` on `photos`. PSNR is that of 432x144 pixels from the middle of
each of the five held-out photographs: of the Keras model at 1/16 and 1/4 of the schedule (its
weights as they are, and the mean of the weights since half of those steps) and at the end, and of
the int8 file. Latency: the host device as `nas measure` has it, 320x256, one thread, a network's
structure with untrained weights: three launches of five runs, in two passes over the whole grid.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.data import open_dataset
from nas.data.image_quality import psnr_db
from nas.devices import TimingProtocol
from nas.devices.host.device import HostDevice
from nas.system.environment import processor, versions
from nas.system.hashing import content_key
from nas.system.host_lock import working
from nas.training.schedule import short_schedule
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS, UNet

TABLE = Path(__file__).with_suffix(".csv")
STEPS = 300
RUNGS = (STEPS // 16, STEPS // 4, STEPS)
SEEDS = 3
EVERY = 9  # networks of which one has all seeds
WIDTHS = ((8, 12, 16, 24, 32), (8, 16, 24, 32), (16, 32, 48))
PRECISIONS = ("float", "int8-ptq")
SIZE = (320, 256)
CROP = (432, 144)
PASSES = 2
PROTOCOL = TimingProtocol(launches=3, warmup=1, runs=5, threads=1)


@dataclass(frozen=True)
class Row:
    """A candidate of the table.

    `psnr_db` is the mean over seeds, `psnr_db_seed0` what one training gives, `rung16_db` and
    `rung4_db` what the averaged weights of that training give at 1/16 and 1/4 of the schedule.
    """

    upsampling: str
    activation: str
    width0: int
    width1: int
    width2: int
    precision: str
    seeds: int
    psnr_db: float
    psnr_db_seed0: float
    psnr_db_by_seed: str
    rung16_db: float
    rung4_db: float
    rung16_raw_db: float
    rung4_raw_db: float
    latency_ms: float
    peak_memory_mb: float
    file_bytes: int
    gmacs: float

    @property
    def network(self) -> UNet:
        """Return the architecture of the row."""
        return network(self.upsampling, self.activation, (self.width0, self.width1, self.width2))


def network(upsampling: Any, activation: Any, widths: tuple[int, ...]) -> UNet:
    """A network of the grid."""
    return UNet(upsampling, activation, widths, 1, 5, True)


def networks() -> list[UNet]:
    """The grid, in an order that mixes it: a part of it is like the whole."""
    grid = [network(*one) for one in itertools.product(UPSAMPLINGS, ACTIVATIONS, _widths())]
    order = np.random.default_rng(0).permutation(len(grid))
    return [grid[index] for index in order]


def _widths() -> list[tuple[int, ...]]:
    return list(itertools.product(*WIDTHS))


def read(path: Path = TABLE) -> list[Row]:
    """Return the rows of the finished table."""
    kinds = {"int": int, "float": float, "str": str}
    types = {name: kinds[str(kind)] for name, kind in Row.__annotations__.items()}
    with path.open(newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        return [
            Row(**{name: types[name](value) for name, value in row.items()})
            for row in csv.DictReader(lines)
        ]


def _done(path: Path, *fields: str) -> set[str]:
    rows = _rows(path)
    return {content_key({name: row[name] for name in fields}) for row in rows}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text().splitlines():
            if line.endswith("}"):  # not one that a kill has cut
                yield json.loads(line)


def _add(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def latency(out: Path) -> None:
    """Time what is not timed yet."""
    from nas.compression.convert import convert_untrained

    path, files = out / "latency.jsonl", out / "files"
    files.mkdir(exist_ok=True)
    fields = ("network", "precision", "pass")
    done = _done(path, *fields)
    device = HostDevice()
    for turn, net, precision in itertools.product(range(PASSES), networks(), PRECISIONS):
        file = files / f"{content_key(net.to_dict())}-{precision}.tflite"
        if not file.exists():
            width, height = SIZE
            content = convert_untrained(
                net.graph(), height, width, precision, short_schedule(STEPS)
            )
            file.write_bytes(content)
        row = dict(zip(fields, (net.to_dict(), precision, turn), strict=True))
        if content_key(row) in done:
            continue
        found = device.measure(file, PROTOCOL)
        row |= {
            "size": list(SIZE),
            "threads": PROTOCOL.threads,
            "latency_ms": found.latency_ms,
            "launch_medians": found.launch_medians_ms,
            "peak_memory_mb": found.peak_memory_mb,
            "file_bytes": file.stat().st_size,
            "others_busy_cores": found.conditions.get("others_busy_cores"),
        }
        _add(path, row)


def quality(out: Path, part: int, parts: int) -> None:
    """Train what is not trained yet of this part."""
    from nas.training.tensorflow import prepare_tensorflow

    prepare_tensorflow(threads=1)
    dataset = open_dataset("photos")
    pack = dataset.prepare(short_schedule(STEPS).patch)
    crops = [_crop(pair.blurred, pair.sharp) for pair in dataset.heldout()]
    path = out / "quality.jsonl"
    done = _done(path, "network", "seed")
    jobs = [(net, 0) for net in networks()]
    again = [(net, seed) for net in networks()[::EVERY] for seed in range(1, SEEDS)]
    jobs = [*jobs[: len(jobs) // 4], *again, *jobs[len(jobs) // 4 :]]
    for net, seed in jobs[part::parts]:
        row = {"network": net.to_dict(), "seed": seed}
        if content_key(row) not in done:
            _add(path, row | _trained(net, seed, pack, crops))


def _crop(*pictures: Any) -> tuple[Any, ...]:
    width, height = CROP
    top, left = (pictures[0].shape[0] - height) // 2, (pictures[0].shape[1] - width) // 2
    return tuple(one[top : top + height, left : left + width] for one in pictures)


def _trained(net: UNet, seed: int, pack: Any, crops: list[tuple[Any, ...]]) -> dict[str, Any]:
    import tf_keras as keras

    from nas.compression.convert import convert_trained
    from nas.tflite.interpreter import Artifact
    from nas.training.train import step_function, untrained

    schedule = short_schedule(STEPS)
    model = untrained(net.graph(), schedule, seed)
    optimizer = keras.optimizers.legacy.Adam(0.0)
    step_of = step_function(model, optimizer, schedule)
    found: dict[str, Any] = {"psnr_db": {}, "averaged_db": {}}
    gathered: list[Any] = []
    for rung in RUNGS:
        for step in range(dict(zip(RUNGS, (0, *RUNGS), strict=False))[rung], rung):
            with working():
                blurred, sharp = pack.batch(step, schedule.batch, schedule.patch, seed)
                step_of(blurred, sharp, np.float32(schedule.rate(step)))
                if rung < STEPS and step >= rung // 2:
                    gathered.append(model.get_weights())
        with working():
            found["psnr_db"][rung] = _psnr(model, crops)
            if gathered:
                kept = model.get_weights()
                model.set_weights([np.mean(ones, axis=0) for ones in zip(*gathered, strict=True)])
                found["averaged_db"][rung] = _psnr(model, crops)
                model.set_weights(kept)
        gathered = []
    with tempfile.TemporaryDirectory() as folder:
        weights_file = Path(folder) / "w.weights.h5"
        model.save_weights(weights_file)
        width, height = CROP
        content = convert_trained(net.graph(), weights_file, height, width, "int8-ptq", pack)
    artifact = Artifact(content, 1)
    with working():
        found["int8_db"] = float(
            np.mean([psnr_db(artifact.restore(blurred), sharp) for blurred, sharp in crops])
        )
    keras.backend.clear_session()
    return found


def _psnr(model: Any, crops: list[tuple[Any, ...]]) -> float:
    inputs = np.stack([blurred for blurred, _ in crops]).astype(np.float32) / np.float32(255)
    outputs = np.rint(np.clip(model(inputs, training=False).numpy(), 0, 1) * 255).astype(np.uint8)
    pairs = zip(outputs, (sharp for _, sharp in crops), strict=True)
    return float(np.mean([psnr_db(one, sharp) for one, sharp in pairs]))


def write(out: Path) -> None:
    """Write the table from both files."""
    trained: dict[str, dict[int, Any]] = defaultdict(dict)
    for row in _rows(out / "quality.jsonl"):
        trained[content_key(row["network"])][row["seed"]] = row
    timed: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(out / "latency.jsonl"):
        timed[content_key(row["network"]), row["precision"]].append(row)
    rows = [
        _row(net, precision, trained[key], timed[key, precision])
        for net in sorted(networks(), key=lambda net: net.label)
        for precision in PRECISIONS
        if (key := content_key(net.to_dict())) in trained and (key, precision) in timed
    ]
    with TABLE.open("w", newline="") as file:
        file.write(f"# {time.strftime('%Y-%m-%d')}, {processor()}, {versions()}\n")
        writer = csv.DictWriter(file, list(Row.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    print(f"{len(rows)} rows in {TABLE}")


def _row(net: UNet, precision: str, seeds: dict[int, Any], timed: list[Any]) -> Row:
    last = str(STEPS)

    def final(row: dict[str, Any]) -> float:
        return float(row["psnr_db"][last] if precision == "float" else row["int8_db"])

    finals = [final(seeds[seed]) for seed in sorted(seeds)]
    first = seeds[0]
    averaged, raw = first["averaged_db"], first["psnr_db"]
    launches = [median for row in timed for median in row["launch_medians"]]
    rungs = [round(by[str(rung)], 4) for by in (averaged, raw) for rung in RUNGS[:2]]
    return Row(
        net.upsampling,
        net.activation,
        *net.widths,
        precision,
        len(finals),
        round(statistics.fmean(finals), 4),
        round(finals[0], 4),
        " ".join(f"{value:.4f}" for value in finals),
        *rungs,
        round(statistics.median(launches), 4),
        round(statistics.median(row["peak_memory_mb"] for row in timed), 2),
        timed[0]["file_bytes"],
        round(net.graph().macs(SIZE[1], SIZE[0]).conv / 1e9, 5),
    )


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("latency", "quality", "write"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="0/1", help="PART/PARTS of the trainings")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.what == "latency":
        latency(asked.out)
    elif asked.what == "quality":
        part, parts = map(int, asked.part.split("/"))
        quality(asked.out, part, parts)
    else:
        write(asked.out)


if __name__ == "__main__":
    main()
