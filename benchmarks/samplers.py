"""Samplers on three problems: how many trials a search takes, by the sampler that it uses.

    python -m benchmarks.samplers run --out FOLDER [--problems paper] [--samplers ehvi tpe] [--k 2]
    python -m benchmarks.samplers table --out FOLDER
    python -m benchmarks.samplers speed --out FOLDER
    python -m benchmarks.samplers curve --out FOLDER --picture FILE.png

`run` does what FOLDER does not hold yet, so it can be stopped; `table` writes FOLDER/samplers.md
and .json. Problems (`benchmarks.sampler_problems`): `paper` is `benchmarks.paper_cells`, PSNR and
the latencies of the first k - 1 phones, seen with noise of 0.05 dB and 2 %; `table` is
`benchmarks.unet_table`, U-Nets that were trained and timed: PSNR, latency, size of the file, peak
memory; `small` is `benchmarks.small_unets`, small U-Nets most of which do nothing: PSNR, latency as
float and as int8, parameters. What is scored is what the candidates are worth without noise (means
over seeds): the hypervolume in dB and logarithms of the costs under a reference point that stays,
as a share of a reference front's, which a long evolution finds, or which is the whole table's.

Samplers: `random`; `nsga2`, population 20; `tpe`, Optuna's default; `gp`, Optuna's GPSampler
(needs torch, which is no dependency: left out, and said, where it is missing); `ehvi`, ours;
`ehvi+p`, ours with a latency predictor fitted to few networks, its errors in the table; `ehvi+l`,
ours with that predictor, features of the graph, six looks a trial and five first trials; `pending`
is a number of trials that are always out. A sampler that asks for a candidate twice has spent a
trial: that is how it works in Optuna. What a table does not hold is told as failed, costs no trial,
and is drawn anew, up to 30 times, then a network of the table at random is tried; ours is kept
inside by what it may not repeat.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import platform
import sys
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from benchmarks.sampler_problems import PROBLEMS, Problem, hypervolume, losses
from nas.sampling import EhviSampler
from nas.sampling.convergence import expected_of
from nas.sampling.looks import looks_of
from nas.system.environment import processor, versions
from nas.system.files import read_json, write_json

Floats = npt.NDArray[np.float64]
SAMPLERS = ("random", "nsga2", "tpe", "gp", "ehvi", "ehvi+p", "ehvi+l")
OURS = ("ehvi", "ehvi+p", "ehvi+l")
TRIALS = {"random": 200, "nsga2": 200, "tpe": 200, "gp": 50} | dict.fromkeys(OURS, 60)
FIRST_WITH_LOOKS = 5
REFUSALS = 30  # of a sampler that asks for what a table does not hold, before chance draws
SUGGESTIONS = 20  # that are timed
AT = (5, 10, 15, 25, 40, 50, 60, 128, 200)


def make(
    name: str, seed: int, problem: Problem, objectives: int
) -> optuna.samplers.BaseSampler | None:
    """A sampler at its documented best; None where it can't run here."""
    match name:
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        case "gp":
            if importlib.util.find_spec("torch") is None:
                return None
            return optuna.samplers.GPSampler(seed=seed)
        case "ehvi" | "ehvi+p" | "ehvi+l":
            return ours(seed, problem, objectives, name != "ehvi", name == "ehvi+l")
    raise SystemExit(f"unknown sampler {name!r}; valid: {', '.join(SAMPLERS)}")


def ours(seed: int, problem: Problem, objectives: int, predicts: bool, looks: bool) -> EhviSampler:
    """Return our sampler, with what it is told beside trials; inside the problem's table."""

    def look(parameters: dict[str, Any]) -> dict[int, float]:
        found = problem.look(parameters)
        return {index: found[index] for index in range(1, objectives)}

    sampler = EhviSampler(
        seed=seed,
        logarithmic=range(1, objectives),
        reference=problem.reference[:objectives],
        predictor=problem.predictor(seed) if predicts else None,
        look=look if looks else None,  # type: ignore[arg-type]
        features=problem.features if looks else None,
        n_startup_trials=FIRST_WITH_LOOKS if looks else 10,
        keep_gains=True,
    )
    sampler._reading = InsideTable(sampler._reading, problem)  # type: ignore[assignment]
    return sampler


class InsideTable:
    """A sampler's reading of trials, by which all that a problem does not hold was seen before."""

    def __init__(self, reading: Any, problem: Problem) -> None:
        self._reading, self._problem = reading, problem
        self._outside: tuple[Any, set[bytes]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reading, name)

    def known(self, *arguments: Any) -> Any:
        """Return the encoding and the table of trials, as the reading does."""
        found = self._reading.known(*arguments)
        if found is None or self._problem.whole:
            return found
        encoding, table = found
        if self._outside is None or self._outside[0] is not encoding:
            rows = encoding.everything()
            outside = {r.tobytes() for r in rows if not self._problem.holds(encoding.there(r))}
            self._outside = encoding, outside
        return encoding, replace(table, seen=table.seen | self._outside[1])


def asked(
    study: optuna.Study, problem: Problem, seed: int
) -> tuple[optuna.Trial, dict[str, Any], float]:
    """Return a trial that the problem holds, its parameters, and the ms of the last suggestion."""
    for refusals in itertools.count(1):
        started = time.thread_time()
        trial = study.ask()
        parameters = problem.suggested(trial)
        milliseconds = 1e3 * (time.thread_time() - started)
        if problem.holds(parameters):
            return trial, parameters, milliseconds
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if refusals == REFUSALS:
            study.enqueue_trial(problem.drawn(np.random.default_rng([seed, trial.number])))
    raise AssertionError


def search(
    on: str, name: str, seed: int, objectives: int, trials: int, pending: int
) -> dict[str, Any]:
    """One search: its hypervolume after each trial, and the ms that each suggestion took."""
    problem = PROBLEMS[on]
    sampler = make(name, seed, problem, objectives)
    if sampler is None:
        raise SystemExit(f"{name} can't run here")
    study = optuna.create_study(
        directions=["maximize"] + ["minimize"] * (objectives - 1), sampler=sampler
    )
    noise = np.random.default_rng([seed, 12345])
    out: deque[tuple[optuna.Trial, dict[str, Any]]] = deque()
    told: list[Floats] = []
    milliseconds = []
    for number in range(trials + pending - 1):
        if number < trials:
            trial, parameters, taken = asked(study, problem, seed)
            milliseconds.append(taken)
            out.append((trial, parameters))
        if len(out) == pending or number >= trials:
            first, parameters = out.popleft()
            seen = problem.seen(parameters, noise)[:objectives]
            study.tell(first, _as_told(name, seen).tolist())
            told.append(problem.true(parameters)[:objectives])
    points = losses(np.array(told))
    curve = [hypervolume(points[: n + 1], problem.reference) for n in range(len(points))]
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    distinct = len({tuple(sorted(t.params.items())) for t in complete})
    looks = sum(len(looks_of(trial)) for trial in complete)
    gains = [expected_of(trial) for trial in complete]
    return {
        "problem": on, "sampler": name, "seed": seed, "k": objectives, "trials": trials,
        "pending": pending, "hypervolume": curve, "milliseconds": milliseconds,
        "different": distinct, "looks": looks,
        "expected": [one and [one.gain, one.noise] for one in gains],
    }  # fmt: skip


def _as_told(name: str, seen: Floats) -> Floats:
    """GPSampler is told logarithms of latencies; ours takes them itself, others don't mind."""
    return np.concatenate([seen[:1], np.log(seen[1:])]) if name == "gp" else seen


def path_of(folder: Path, on: str, name: str, seed: int, objectives: int, pending: int) -> Path:
    """Return the file of a search's figures."""
    return folder / f"{on}-{name}-k{objectives}-p{pending}-s{seed}.json"


def run(arguments: argparse.Namespace) -> None:
    """Every search that the folder does not hold."""
    folder: Path = arguments.out
    samplers = list(arguments.samplers)
    if "gp" in samplers and importlib.util.find_spec("torch") is None:
        print("gp: GPSampler needs torch, which is not installed; left out", file=sys.stderr)
        samplers.remove("gp")
    # Seed by seed over everything: whenever this is stopped, the tables so far are whole.
    wanted = itertools.product(range(arguments.seeds), arguments.problems, arguments.k, samplers)
    for seed, on, objectives, name in wanted:
        trials = arguments.trials or TRIALS[name]
        path = path_of(folder, on, name, seed, objectives, arguments.pending)
        if path.exists() and read_json(path)["trials"] >= trials:
            continue
        started = time.process_time()
        write_json(path, search(on, name, seed, objectives, trials, arguments.pending))
        taken = time.process_time() - started
        print(f"{on} {name} k={objectives} seed {seed}: {taken:.1f} s of CPU", flush=True)


def speed(arguments: argparse.Namespace) -> None:
    """CPU ms a suggestion takes once so many trials were drawn at random and told."""
    rows = []
    wanted = itertools.product(arguments.samplers, arguments.k, arguments.told)
    for name, objectives, told in wanted:
        problem = PROBLEMS["paper"]
        sampler = make(name, 0, problem, objectives)
        if sampler is None:
            continue
        noise = np.random.default_rng(0)
        study = optuna.create_study(
            directions=["maximize"] + ["minimize"] * (objectives - 1),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        times = []
        for number in range(told + SUGGESTIONS):
            if number == told:
                study.sampler = sampler
            started = time.thread_time()
            trial = study.ask()
            parameters = problem.suggested(trial)
            times.append(1e3 * (time.thread_time() - started))
            study.tell(trial, _as_told(name, problem.seen(parameters, noise)[:objectives]).tolist())
        times = times[told:]
        rows.append(
            {"sampler": name, "k": objectives, "told": told, "mean_ms": float(np.mean(times)),
             "median_ms": float(np.median(times)), "largest_ms": max(times)}
        )  # fmt: skip
        print(rows[-1], flush=True)
    write_json(arguments.out / "speed.json", {"rows": rows, "machine": conditions()})


def conditions() -> dict[str, Any]:
    """Return the machine and versions that the figures were taken with."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": processor(),
        "python": platform.python_version(),
        "versions": versions(),
        "load": os.getloadavg()[0],
    }


def table(arguments: argparse.Namespace) -> None:
    """All finished searches as markdown and JSON."""
    folder: Path = arguments.out
    document: dict[str, Any] = {"conditions": conditions()}
    lines: list[str] = []
    for on, problem in PROBLEMS.items():
        found = [read_json(path) for path in sorted(folder.glob(f"{on}-*-s*.json"))]
        if not found:
            continue
        document[on] = {"reference_point": problem.reference}
        for objectives in sorted({one["k"] for one in found}):
            here = [one for one in found if one["k"] == objectives]
            lines += [f"\n### {on}, {objectives} objectives\n", *_heading()]
            part, rows = _part(here, problem.best(objectives, folder))
            document[on][f"k{objectives}"] = part
            lines += rows
        errors = problem.predictor(0).errors()
        said = ", ".join(f"{error:.0%}" for error in errors)
        lines += ["", f"Mean absolute relative errors of the predictor of `ehvi+p`: {said}."]
    (folder / "samplers.md").write_text("\n".join(lines).lstrip() + "\n")
    write_json(folder / "samplers.json", document)
    print("\n".join(lines))


def _part(found: list[Any], best: float) -> tuple[dict[str, Any], list[str]]:
    part: dict[str, Any] = {}
    lines = []
    goal = _mean_at(found, "tpe", 200, best)
    for name, pending in sorted({(one["sampler"], one["pending"]) for one in found}, key=_order):
        runs = [o for o in found if (o["sampler"], o["pending"]) == (name, pending)]
        count = min(len(o["hypervolume"]) for o in runs)
        curves = np.array([o["hypervolume"][:count] for o in runs]) / best
        reached = _reached(curves.mean(axis=0), goal)
        part[f"{name} pending {pending}"] = {
            "seeds": len(runs), "mean": curves.mean(axis=0).round(4).tolist(),
            "deviation": curves.std(axis=0, ddof=min(1, len(runs) - 1)).round(4).tolist(),
            "trials_to_tpe_200": reached,
            "repeated": float(np.mean([o["trials"] - o["different"] for o in runs])),
            "milliseconds": float(np.mean([np.mean(o["milliseconds"]) for o in runs])),
        }  # fmt: skip
        lines.append(_line(name, pending, curves, runs, reached))
    return part, lines


def curve(arguments: argparse.Namespace) -> None:
    """The mean curves of `table`'s JSON as a picture."""
    from matplotlib.figure import Figure

    document = read_json(arguments.out / "samplers.json")
    problems = [on for on in PROBLEMS if on in document]
    figure = Figure(figsize=(11, 3 * len(problems)), layout="constrained")
    axes = figure.subplots(len(problems), 3, squeeze=False, sharex=True, sharey=True)
    cases = itertools.product(problems, ("k2", "k3", "k4"))
    for (on, k), place in zip(cases, axes.flat, strict=True):
        drawn = [name for name in SAMPLERS if f"{name} pending 1" in document[on].get(k, {})]
        if not drawn:
            place.set_visible(False)
            continue
        for name in drawn:
            told = document[on][k][f"{name} pending 1"]
            mean, spread = np.array(told["mean"]), np.array(told["deviation"])
            count, color = np.arange(1, len(mean) + 1), f"C{SAMPLERS.index(name)}"
            label = f"{name} ({told['seeds']})"
            place.plot(count, mean, label=label, linewidth=1.2, color=color)
            place.fill_between(count, mean - spread, mean + spread, alpha=0.12, color=color)
        place.set(title=f"{on}, {k[1]} objectives", xscale="log", xlim=(5, 200), ylim=(0.2, 1.01))
        place.legend(fontsize=7, loc="lower right")
    figure.supxlabel("trials")
    figure.supylabel("hypervolume, share of the reference")
    figure.savefig(arguments.picture, dpi=80)


def _heading() -> list[str]:
    first = "| sampler | pending | seeds | " + " | ".join(f"@{n}" for n in AT) + " | as TPE@200 |"
    return [first, "|---" * (len(AT) + 4) + "|"]


def _line(name: str, pending: int, curves: Floats, runs: list[Any], reached: int | None) -> str:
    entries = []
    for count in AT:
        if curves.shape[1] < count:
            entries.append("–")
            continue
        at = curves[:, count - 1]
        spread = f" ({at.std(ddof=1):.3f})" if len(at) > 1 else ""
        entries.append(f"{at.mean():.3f}{spread}")
    trials = f"{reached} trials" if reached else "–"
    return f"| {name} | {pending} | {len(runs)} | " + " | ".join(entries) + f" | {trials} |"


def _mean_at(found: list[Any], name: str, count: int, best: float) -> float | None:
    chosen = [
        one["hypervolume"][count - 1] / best
        for one in found
        if one["sampler"] == name and one["pending"] == 1 and len(one["hypervolume"]) >= count
    ]
    return float(np.mean(chosen)) if chosen else None


def _reached(mean: Floats, goal: float | None) -> int | None:
    """The first trial after which the mean curve is at the goal."""
    if goal is None or not (mean >= goal).any():
        return None
    return int(np.argmax(mean >= goal)) + 1


def _order(key: tuple[str, int]) -> tuple[int, int]:
    return SAMPLERS.index(key[0]), key[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("what", choices=["run", "table", "speed", "curve"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--k", nargs="+", type=int, choices=[2, 3, 4], default=[2, 3, 4])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, help="else as many as each sampler needs")
    parser.add_argument("--pending", type=int, default=1, help="trials that are out at any time")
    parser.add_argument("--told", nargs="+", type=int, default=[50, 100, 500], help="for speed")
    parser.add_argument("--picture", type=Path, default=Path("samplers.png"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"run": run, "table": table, "speed": speed, "curve": curve}[arguments.what](arguments)


if __name__ == "__main__":
    main()
