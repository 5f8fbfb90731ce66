"""How fast patches are read from a pack, against what training consumes: at least 5 times.

Two packs: the photographs of the quickstart (48x48), and one of 256x256 patches as REDS gives
them, made of random pixels. "Cold" is after the operating system was told to forget the pack's
files (what a disk's or a host's own cache keeps, it can't forget); "warm" is the same batches once
more. What training consumes is measured in the same run, on one thread, with a network smaller than
any of the quickstart's, which eats fastest.

    python -m benchmarks.read_patches [--seconds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.verdict import undisturbed
from nas.data import Pack, open_dataset
from nas.data.pack import Unit, open_or_build
from nas.system.cache import CACHE_VARIABLE
from nas.system.environment import processor, versions
from nas.training.schedule import Schedule
from search_spaces import UNet

GOAL = 5.0
FRAMES = 30  # a clip of REDS's frames, 15 patches each: 177 MB, more than a processor caches
SMALLEST = UNet(widths=(8, 8), convolutions=1, first_kernel=3, global_residual=True)


def like_reds() -> Pack:
    def frames() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        for _ in range(FRAMES):
            yield rng.integers(0, 256, (15, 2, 256, 256, 3), dtype=np.uint8)

    units = [Unit("frames", FRAMES * 15, frames)]
    return open_or_build("benchmark", {"frames": FRAMES}, 256, lambda: units)


def forget(pack: Pack) -> Pack:
    """The same pack, mapped anew after its files were dropped from memory."""
    folder, count = pack.folder, len(pack.shards)
    os.sync()
    for index in range(count):
        descriptor = os.open(folder / f"{index:04d}.npy", os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    shards = [np.load(folder / f"{i:04d}.npy", mmap_mode="r") for i in range(count)]
    return Pack(folder, tuple(np.asarray(shard) for shard in shards))


def reading(pack: Pack, batch: int, patch: int, steps: range) -> float:
    """Patch pairs a second; each one is summed up, so that every byte is really read."""
    started = time.perf_counter()
    for step in steps:
        blurred, sharp = pack.batch(step, batch, patch, seed=0)
        if not int(blurred[:, ::16].sum()) + int(sharp[:, ::16].sum()):
            raise RuntimeError("the patches are empty")
    return len(steps) * batch / (time.perf_counter() - started)


class EnoughError(Exception):
    """Ends a training that has been timed."""


def training(pack: Pack, batch: int, patch: int, seconds: float) -> float:
    """Patch pairs a second that the training of `SMALLEST` takes, its first second left out."""
    from nas.training.train import train
    from nas.training.workshop import Workshop

    times: list[tuple[int, float]] = []

    def progress(stage: str, step: int, steps: int, loss: float) -> None:
        times.append((step, time.perf_counter()))
        if len(times) > 3 and times[-1][1] - times[2][1] > seconds:
            raise EnoughError

    schedule = Schedule(steps=10**6, batch=batch, patch=patch, threads=1)
    with tempfile.TemporaryDirectory() as folder, suppress(EnoughError):
        workshop = Workshop(pack, schedule, 0, Path(folder), progress)
        train(SMALLEST.graph(), workshop, "patches")
    (first, began), (last, ended) = times[2], times[-1]
    return (last - first) * batch / (ended - began)


def measure(name: str, pack: Pack, batch: int, patch: int, seconds: float) -> dict[str, object]:
    pack = forget(pack)
    steps = range(min(500, len(pack) // batch))  # one epoch at most: nothing is read twice
    cold = reading(pack, batch, patch, steps)
    warm = reading(pack, batch, patch, steps)
    consumed = training(pack, batch, patch, seconds)
    return {
        "pack": name,
        "batch": batch,
        "patch": patch,
        "trained_per_s": consumed,
        "cold_per_s": cold,
        "warm_per_s": warm,
        "cold_ratio": cold / consumed,
        "warm_ratio": warm / consumed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of training, each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(dir=".") as cache:  # not in a file system in memory
        os.environ[CACHE_VARIABLE] = cache
        photos, frames = open_dataset("photos").prepare(48), like_reds()
        rows = [
            measure("photos", photos, 8, 48, options.seconds),
            measure("like REDS, cropped", frames, 8, 64, options.seconds),
            measure("like REDS", frames, 16, 256, options.seconds),
        ]
    conditions = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        **versions(),
    }
    if options.json:
        print(json.dumps({"rows": rows, "goal": GOAL, "conditions": conditions}, indent=1))
        return
    print(
        f"{'pack':20}{'batch':>14}{'trained/s':>11}{'cold/s':>9}{'warm/s':>9}{'cold':>7}{'warm':>7}"
    )
    for row in rows:
        shape = f"{row['batch']} x {row['patch']}x{row['patch']}"
        print(
            f"{row['pack']:20}{shape:>14}{row['trained_per_s']:>11.0f}{row['cold_per_s']:>9.0f}"
            f"{row['warm_per_s']:>9.0f}{row['cold_ratio']:>6.1f}x{row['warm_ratio']:>6.1f}x"
        )
    within = all(row["cold_ratio"] >= GOAL for row in rows)
    print(f"goal: at least {GOAL:.0f}x, also cold: {'reached' if within else 'missed'}")
    print(conditions)


if __name__ == "__main__":
    with undisturbed("benchmarks.read_patches"):
        main()
