"""`nas search quickstart` by several samplers, several seeds each, the same number of trainings.

    python -m benchmarks.sampler_searches run --out FOLDER [--samplers ehvi tpe random] [--seeds 3]
        [--trials 24] [--workers 2] [--device npu:sm8650] [--looks 6]
    python -m benchmarks.sampler_searches show --out FOLDER

`run` searches one seed after another, with each sampler in turn. What FOLDER has it leaves; a
search that was cut off goes on; so it may be stopped (Ctrl-C, kill) and started again at any
moment. `--looks` is for `ehvi+l`, which is `ehvi` with looks; a search takes some six minutes on
two quiet cores, nine of them an hour. A candidate that a sampler repeats is no training and does
not count.

`show` prints the hypervolume of each search, in dB times the logarithm of the latency, under one
reference point for all: the blurred pictures' PSNR, and the largest latency of any trial of any
search. Searches of fewer than the trials asked for are left out, and said.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.sampler_scores import hypervolume, losses
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from nas.study.trial_result import TrialResult
from nas.system.environment import processor, versions
from studies import STUDIES

Floats = npt.NDArray[np.float64]
STUDY = STUDIES["quickstart"]
SAMPLERS = ("ehvi", "ehvi+l", "tpe", "random", "nsga2", "gp")
FILE = """from dataclasses import replace
from studies.quickstart import STUDY as QUICKSTART
STUDY = replace(QUICKSTART, name="quickstart-{sampler}", sampler="{sampler}")
"""


def folder_of(out: Path, sampler: str, seed: int) -> Path:
    """Return the folder of one search."""
    return out / f"{sampler}-s{seed}"


def run(asked: argparse.Namespace) -> None:
    """Search; ends where one search fails, for the next would fail, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    asked.out.mkdir(parents=True, exist_ok=True)
    for seed, sampler in itertools.product(range(asked.seeds), asked.samplers):
        plain, folder = sampler.removesuffix("+l"), folder_of(asked.out, sampler, seed)
        study = asked.out / f"quickstart_{plain}.py"
        study.write_text(FILE.format(sampler=plain))
        command = [str(Path(sys.executable).with_name("nas")), "search", str(study)]
        command += ["--out", str(folder), "--trials", str(asked.trials), "--seed", str(seed)]
        command += ["--workers", str(asked.workers), "--replicates", "0"]
        command += [part for device in asked.device for part in ("--device", device)]
        command += ["--looks", str(asked.looks)] if sampler == "ehvi+l" else []
        print(f"{time.strftime('%H:%M')} {' '.join(command)}", flush=True)
        subprocess.run(command, check=True)


def complete(out: Path, trials: int) -> dict[tuple[str, int], list[TrialResult]]:
    """Return the results of searches that have all of their trials, by sampler and seed."""
    found = {}
    for sampler, seed in itertools.product(SAMPLERS, range(100)):
        folder = folder_of(out, sampler, seed)
        if not (folder / "run.json").exists():
            continue
        results = RunFolder(folder).results()
        if len(results) < trials:
            print(f"{folder} has {len(results)} of {trials} trials: left out", file=sys.stderr)
            continue
        found[sampler, seed] = results[:trials]
    return found


def points_of(results: Sequence[TrialResult], names: Sequence[str]) -> Floats:
    """Return the objectives (n, 2) of the complete trials: PSNR in dB and latency in ms."""
    rows = [[one.value(name) for name in names] for one in results if one.state == "complete"]
    return np.array(rows).reshape(-1, len(names))


def show(asked: argparse.Namespace) -> None:
    """Print the table."""
    found = complete(asked.out, asked.trials)
    if not found:
        raise SystemExit(f"{asked.out} has no search of {asked.trials} trials; `run` makes them")
    first = RunFolder(folder_of(asked.out, *next(iter(found))))
    objectives = first.objectives()
    names = [objective.metric for objective in objectives]
    points = {case: points_of(results, names) for case, results in found.items()}
    slowest = float(max(one[:, 1].max(initial=0.0) for one in points.values()))
    reference = (float(first.description()["input"]["psnr_db"]), slowest)
    volumes = {case: hypervolume(losses(one), reference) for case, one in points.items()}
    print("| sampler | seed | trainings | front | best PSNR (dB) | hypervolume (dB x log ms) |")
    print("|---|---|---|---|---|---|")
    for (sampler, seed), results in found.items():
        members, count = front(results, objectives), len(results)
        best = max((member.value(names[0]) for member in members), default=float("nan"))
        volume = volumes[sampler, seed]
        print(f"| {sampler} | {seed} | {count} | {len(members)} | {best:.2f} | {volume:.3f} |")
    print(f"\n{_verdict(volumes)}\nReference point: {reference[0]:.2f} dB, {reference[1]:.2f} ms.")
    print(f"{time.strftime('%Y-%m-%d')}, {processor()}, {versions()}")


def _verdict(volumes: Mapping[tuple[str, int], float]) -> str:
    """Say for how many seeds the default has more than every other sampler."""
    seeds = sorted({seed for sampler, seed in volumes if sampler == "ehvi"})
    others = sorted({sampler for sampler, _ in volumes} - {"ehvi"})
    said = []
    for other in others:
        both = [seed for seed in seeds if (other, seed) in volumes]
        ahead = sum(volumes["ehvi", seed] > volumes[other, seed] for seed in both)
        said.append(f"more than {other} for {ahead} of {len(both)} seeds")
    return f"ehvi has {', '.join(said)}." if said and seeds else "Nothing to compare."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("what", choices=["run", "show"])
    parser.add_argument("--out", type=Path, required=True)
    names = ["ehvi", "tpe", "random"]
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=names)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--device", action="append", default=[], help="else the study's; repeatable"
    )
    parser.add_argument("--looks", type=int, default=6, help="for ehvi+l")
    asked = parser.parse_args()
    {"run": run, "show": show}[asked.what](asked)


if __name__ == "__main__":
    main()
