"""The project's own search, its supernet, and Optuna's default, at the same wall time.

    python -m benchmarks.searches run --out FOLDER [--trials 40] [--workers 2]
    python -m benchmarks.searches show --out FOLDER [--image FILE.png]

`run` searches `quickstart` three times, one after another: as it is, `--trials` candidates long;
with `--supernet`; and with Optuna's TPESampler as Optuna would set it up. The last two are stopped
(Ctrl-C) when they have taken as long as the first; what came later than that does not count. It
takes three times a search: half an hour on two quiet cores. `show` prints what each reached and
draws their fronts and the growth of their hypervolume. All three share the reference point of the
first.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import moocore
import numpy as np

from nas.storage.run_folder import RunFolder
from nas.study.pareto import distinct, front, reference_point
from nas.study.trial_result import TrialResult
from nas.system.environment import processor, versions
from nas.system.files import read_json, write_json
from studies import STUDIES

STUDY = STUDIES["quickstart"]
TPE = """from dataclasses import replace
from studies.quickstart import STUDY as QUICKSTART
STUDY = replace(QUICKSTART, name="quickstart-tpe", sampler="tpe", startup_trials=10)
"""
NAMES = {"ours": f"{STUDY.sampler}, the default", "supernet": "--supernet", "tpe": "Optuna's TPE"}


@dataclass(frozen=True)
class Searched:
    """A finished search: its results in the order in which they came, and when, in s."""

    name: str
    results: list[TrialResult]
    at_s: list[float]

    @classmethod
    def read(cls, name: str, out: Path, seconds: float) -> Searched:
        """What the run's folder had after so many seconds; `started` was written by `run`."""
        run = RunFolder(out / name)
        started = read_json(out / f"{name}.json")["started"]
        ended = {
            one.number: (run.trial(one.number) / "result.json").stat().st_mtime - started
            for one in run.results()
        }
        within = [one for one in run.results() if ended[one.number] <= seconds]
        ordered = sorted(within, key=lambda one: ended[one.number])
        return cls(name, ordered, [ended[one.number] for one in ordered])


def run(out: Path, trials: int, supernet_trials: int, workers: int) -> None:
    """Search three times; what is there is left as it is."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    out.mkdir(parents=True, exist_ok=True)
    study = out / "quickstart_tpe.py"
    study.write_text(TPE)
    first = _search(out, "ours", ["quickstart", "--trials", str(trials)], workers, None)
    many = ["--trials", str(10 * trials)]
    _search(out, "tpe", [str(study), *many], workers, first)
    more = ["quickstart", "--supernet", "--trials", str(supernet_trials)]
    _search(out, "supernet", more, workers, first)


def _search(
    out: Path, name: str, arguments: list[str], workers: int, seconds: float | None
) -> float:
    """Run `nas search`, for `seconds` at most; how long it took."""
    kept = out / f"{name}.json"
    if kept.exists():
        return float(read_json(kept)["seconds"])
    started = time.time()
    command = [str(Path(sys.executable).with_name("nas")), "search", *arguments]
    command += ["--out", str(out / name), "--workers", str(workers), "--replicates", "0"]
    process = subprocess.Popen(command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
    took = time.time() - started
    write_json(kept, {"started": started, "seconds": took, "code": process.returncode})
    return took


def show(out: Path, image: Path) -> None:
    """Print and draw what is in `out`."""
    seconds = read_json(out / "ours.json")["seconds"]
    there = [name for name in NAMES if (out / f"{name}.json").exists()]
    searches = [Searched.read(name, out, seconds) for name in there]
    objectives = STUDY.expanded_objectives
    description = RunFolder(out / searches[0].name).description()
    point = reference_point(searches[0].results, objectives, description)
    if point is None:
        raise SystemExit("the first search has no result")
    limit = _losses(point.values)
    print("| search | trials | front | best PSNR (dB) | hypervolume | wall time (s) |")
    print("|---|---|---|---|---|---|")
    for one in searches:
        took = min(seconds, read_json(out / f"{one.name}.json")["seconds"])
        members = front(one.results, objectives)
        best = max(_figures(member)[0] for member in members)
        print(
            f"| {NAMES[one.name]} | {len(distinct(one.results, objectives))} | {len(members)} | "
            f"{best:.2f} | {_hypervolume(one.results, limit):.3f} | {took:.0f} |"
        )
    print(f"\n{time.strftime('%Y-%m-%d')}, {processor()}, {versions()}")
    _draw(searches, limit, image)


def _figures(result: TrialResult) -> tuple[float, ...]:
    return tuple(result.metrics[one.metric].value for one in STUDY.expanded_objectives)


def _losses(figures: tuple[float, ...]) -> np.ndarray:
    return np.array([-figures[0], *np.log(figures[1:])])


def _hypervolume(results: list[TrialResult], limit: np.ndarray) -> float:
    """Return the hypervolume in dB times the logarithm of the latency."""
    complete = distinct(results, STUDY.expanded_objectives)
    points = np.array([_losses(_figures(one)) for one in complete])
    inside = points[(points < limit).all(axis=1)] if len(points) else points
    return float(moocore.hypervolume(inside, ref=limit)) if len(inside) else 0.0


def _draw(searches: list[Searched], limit: np.ndarray, image: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure((11, 4.4), layout="constrained")
    fronts, growth = figure.subplots(1, 2)
    for one, colour in zip(searches, ("#1b6ca8", "#c8553d", "#6b8f3a"), strict=False):
        members = sorted(_figures(m) for m in front(one.results, STUDY.expanded_objectives))
        every = np.array([_figures(m) for m in distinct(one.results, STUDY.expanded_objectives)])
        fronts.plot(every[:, 1], every[:, 0], ".", color=colour, alpha=0.3, ms=5)
        fronts.plot(
            [m[1] for m in members],
            [m[0] for m in members],
            "o-",
            color=colour,
            ms=5,
            drawstyle="steps-post",
            label=f"{NAMES[one.name]} ({len(every)} trials)",
        )
        grown = [_hypervolume(one.results[: n + 1], limit) for n in range(len(one.results))]
        growth.step(np.array(one.at_s) / 60, grown, where="post", color=colour, label=one.name)
    fronts.set(xscale="log", xlabel="latency on the host (ms, measured)", ylabel="PSNR (dB)")
    growth.set(xlabel="wall time (min)", ylabel="hypervolume (dB x log ms)")
    fronts.legend(frameon=False)
    for axes in (fronts, growth):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(image, dpi=110)
    print(f"wrote {image}")


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--supernet-trials", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--image", type=Path)
    asked = parser.parse_args()
    if asked.what == "run":
        run(asked.out, asked.trials, asked.supernet_trials, asked.workers)
    else:
        show(asked.out, asked.image or asked.out / "searches.png")


if __name__ == "__main__":
    main()
