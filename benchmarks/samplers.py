"""Samplers on the paper's cells: how many trials a search takes, by the sampler that it uses.

    python -m benchmarks.samplers run --out FOLDER [--samplers ehvi tpe] [--seeds 10] [--k 2 3 4]
    python -m benchmarks.samplers table --out FOLDER
    python -m benchmarks.samplers speed --out FOLDER

`run` does what FOLDER does not hold yet, so it can be stopped; `table` writes FOLDER/samplers.md
and .json. The problem is `benchmarks.paper_cells`: objectives are PSNR and the latencies of the
first k - 1 phones; samplers see noise of 0.05 dB and 2 %. What is scored is what the candidates are
worth without noise: the hypervolume in dB and logarithms of ms under a reference point that stays,
as a share of the hypervolume of a reference front, which a long evolution finds.

Samplers: `random`; `nsga2`, population 20; `tpe`, Optuna's default; `gp`, Optuna's GPSampler
(needs torch, which is no dependency: left out, and said, where it is missing); `ehvi`, ours;
`ehvi+p`, ours with a latency predictor fitted to 40 networks, its errors in the table; `pending`
is a number of trials that are always out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import numpy.typing as npt
import optuna

from benchmarks import paper_cells as cells
from nas.conditions import processor, versions
from nas.files import read_json, write_json
from nas.sampling import EhviSampler

Floats = npt.NDArray[np.float64]
REFERENCE = (27.0, 60_000.0, 1_500.0, 20_000.0)
"""dB and ms: a third of random networks have a lower PSNR, a tenth each higher latencies."""
SAMPLERS = ("random", "nsga2", "tpe", "gp", "ehvi", "ehvi+p")
TRIALS = {"random": 200, "nsga2": 200, "tpe": 200, "gp": 50, "ehvi": 100, "ehvi+p": 100}
PREDICTOR_NETWORKS = 40
AT = (15, 25, 40, 50, 75, 100, 128, 200)


def losses(values: Floats) -> Floats:
    """What is made small: minus PSNR, and the latencies' logarithms."""
    return np.concatenate([-values[:, :1], np.log(values[:, 1:])], axis=1)


def hypervolume(points: Floats) -> float:
    """Of losses (n, k) under the fixed reference point."""
    corner = losses(np.array([REFERENCE]))[0, : points.shape[1]]
    inside = points[(points < corner).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=corner)) if len(inside) else 0.0


def reference_front(objectives: int, folder: Path) -> float:
    """The hypervolume that a long evolution reaches; kept in `folder`."""
    path = folder / f"reference-k{objectives}.json"
    if path.exists():
        return float(read_json(path)["hypervolume"])
    random = np.random.default_rng(0)
    rows = cells.drawn(random, 20_000)
    points = losses(cells.values(rows))[:, :objectives]
    evaluated, history = len(rows), []
    for _ in range(60):
        kept = moocore.is_nondominated(points)
        rows, points = rows[kept], points[kept]
        history.append(hypervolume(points))
        parents = rows[random.integers(0, len(rows), (4000, 2))]
        pick = random.integers(0, 2, (4000, rows.shape[1])) * (random.random((4000, 1)) < 0.5)
        children = np.where(pick, parents[:, 1], parents[:, 0])
        change = random.random(children.shape) < 1.5 / children.shape[1]
        children = np.unique(np.where(change, cells.drawn(random, 4000), children), axis=0)
        evaluated += len(children)
        rows = np.concatenate([rows, children])
        points = np.concatenate([points, losses(cells.values(children))[:, :objectives]])
    best = hypervolume(points)
    gain = best / history[-10] - 1
    write_json(path, {"hypervolume": best, "evaluations": evaluated, "last_ten_rounds": gain})
    return best


def make(name: str, seed: int) -> optuna.samplers.BaseSampler | None:
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
        case "ehvi":
            return EhviSampler(seed=seed, logarithmic=(1, 2, 3))
        case "ehvi+p":
            predictor = cells.LinearPredictor(PREDICTOR_NETWORKS, seed)
            return EhviSampler(seed=seed, logarithmic=(1, 2, 3), predictor=predictor)
    raise SystemExit(f"unknown sampler {name!r}; valid: {', '.join(SAMPLERS)}")


def search(name: str, seed: int, objectives: int, trials: int, pending: int) -> dict[str, Any]:
    """One search: its hypervolume after each trial, and the ms that each suggestion took."""
    sampler = make(name, seed)
    if sampler is None:
        raise SystemExit(f"{name} can't run here")
    study = optuna.create_study(
        directions=["maximize"] + ["minimize"] * (objectives - 1), sampler=sampler
    )
    noise = np.random.default_rng([seed, 12345])
    out: deque[tuple[optuna.Trial, Floats]] = deque()
    told: list[Floats] = []
    milliseconds = []
    for number in range(trials + pending - 1):
        if number < trials:
            started = time.thread_time()
            trial = study.ask()
            parameters = cells.suggested(trial)
            milliseconds.append(1e3 * (time.thread_time() - started))
            out.append((trial, cells.values(cells.row_of(parameters)[None])[0, :objectives]))
        if len(out) == pending or number >= trials:
            asked, true = out.popleft()
            seen = true.copy()
            seen[0] += cells.NOISE[0] * noise.standard_normal()
            seen[1:] *= np.exp(cells.NOISE[1] * noise.standard_normal(objectives - 1))
            study.tell(asked, _as_told(name, seen).tolist())
            told.append(true)
    points = losses(np.array(told))
    curve = [hypervolume(points[: count + 1]) for count in range(len(points))]
    distinct = len({tuple(sorted(t.params.items())) for t in study.get_trials(deepcopy=False)})
    return {
        "sampler": name, "seed": seed, "k": objectives, "trials": trials, "pending": pending,
        "hypervolume": curve, "milliseconds": milliseconds, "different": distinct,
    }  # fmt: skip


def _as_told(name: str, seen: Floats) -> Floats:
    """GPSampler is told logarithms of latencies; ours takes them itself, others don't mind."""
    return np.concatenate([seen[:1], np.log(seen[1:])]) if name == "gp" else seen


def path_of(folder: Path, name: str, seed: int, objectives: int, pending: int) -> Path:
    """Where a search's figures are kept."""
    return folder / f"{name}-k{objectives}-p{pending}-s{seed}.json"


def run(arguments: argparse.Namespace) -> None:
    """Every search that the folder does not hold."""
    folder: Path = arguments.out
    for name in arguments.samplers:
        if name == "gp" and make(name, 0) is None:
            print("gp: GPSampler needs torch, which is not installed; left out", file=sys.stderr)
            continue
        for objectives in arguments.k:
            for seed in range(arguments.seeds):
                trials = arguments.trials or TRIALS[name]
                path = path_of(folder, name, seed, objectives, arguments.pending)
                if path.exists() and read_json(path)["trials"] >= trials:
                    continue
                started = time.process_time()
                write_json(path, search(name, seed, objectives, trials, arguments.pending))
                taken = time.process_time() - started
                print(f"{name} k={objectives} seed {seed}: {taken:.1f} s of CPU", flush=True)


def speed(arguments: argparse.Namespace) -> None:
    """CPU ms a suggestion takes after 100 and after 500 trials that were drawn at random."""
    rows = []
    for name in arguments.samplers:
        for objectives in arguments.k:
            for told in (100, 500):
                sampler = make(name, 0)
                if sampler is None:
                    continue
                study = optuna.create_study(
                    directions=["maximize"] + ["minimize"] * (objectives - 1),
                    sampler=optuna.samplers.RandomSampler(seed=0),
                )
                study.optimize(lambda t, k=objectives: _measured(t, k), told)  # type: ignore[misc]
                study.sampler = sampler
                times = []
                for _ in range(12):
                    started = time.thread_time()
                    trial = study.ask()
                    cells.suggested(trial)
                    times.append(1e3 * (time.thread_time() - started))
                    study.tell(trial, _measured(optuna.trial.FixedTrial(trial.params), objectives))
                rows.append(
                    {"sampler": name, "k": objectives, "told": told,
                     "mean_ms": float(np.mean(times)), "largest_ms": max(times)}
                )  # fmt: skip
                print(rows[-1], flush=True)
    write_json(arguments.out / "speed.json", {"rows": rows, "machine": conditions()})


def _measured(trial: Any, objectives: int) -> tuple[float, ...]:
    row = cells.row_of(cells.suggested(trial))
    return tuple(cells.values(row[None])[0, :objectives].tolist())


def conditions() -> dict[str, Any]:
    """On what the figures were taken."""
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
    found = [read_json(path) for path in sorted(folder.glob("*-s*.json")) if "-k" in path.name]
    document: dict[str, Any] = {"conditions": conditions(), "reference_point": REFERENCE}
    lines: list[str] = []
    for objectives in sorted({one["k"] for one in found}):
        best = reference_front(objectives, folder)
        document[f"k{objectives}"] = part = {}
        here = [one for one in found if one["k"] == objectives]
        lines += [f"\n### {objectives} objectives\n", _heading(), "|---" * (len(AT) + 4) + "|"]
        goal = _mean_at(here, "tpe", 200, best)
        for name, pending in sorted({(one["sampler"], one["pending"]) for one in here}, key=_order):
            runs = [o for o in here if (o["sampler"], o["pending"]) == (name, pending)]
            curves = np.array([o["hypervolume"] for o in runs]) / best
            reached = _reached(curves.mean(axis=0), goal)
            part[f"{name} pending {pending}"] = {
                "seeds": len(runs), "mean": curves.mean(axis=0).round(4).tolist(),
                "deviation": curves.std(axis=0, ddof=min(1, len(runs) - 1)).round(4).tolist(),
                "trials_to_tpe_200": reached,
            }  # fmt: skip
            lines.append(_line(name, pending, curves, runs, reached))
    lines += ["", "Errors of the predictor of `ehvi+p`, mean absolute relative, three phones: "]
    errors = cells.LinearPredictor(PREDICTOR_NETWORKS, 0).errors()
    lines[-1] += ", ".join(f"{error:.0%}" for error in errors) + "."
    (folder / "samplers.md").write_text("\n".join(lines).lstrip() + "\n")
    write_json(folder / "samplers.json", document)
    print("\n".join(lines))


def _heading() -> str:
    return "| sampler | pending | seeds | " + " | ".join(f"@{n}" for n in AT) + " | as TPE@200 |"


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
    parser.add_argument("what", choices=["run", "table", "speed"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--k", nargs="+", type=int, choices=[2, 3, 4], default=[2, 3, 4])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, help="else as many as each sampler needs")
    parser.add_argument("--pending", type=int, default=1, help="trials that are out at any time")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"run": run, "table": table, "speed": speed}[arguments.what](arguments)


if __name__ == "__main__":
    main()
