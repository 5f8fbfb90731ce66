"""Halving beside the plain search with the same sampler: what equal fronts cost in trainings.

    python -m benchmarks.halving run --out FOLDER [--problems cells-fine table ...] [--seeds 10]
    python -m benchmarks.halving table --out FOLDER

`run` does what FOLDER does not hold yet, so it can be stopped; `table` writes FOLDER/halving.md and
.json. Decisions are the product's own (`nas.study.halving`, `nas.search.expected_study`); only the
trainings are looked up. One unit of cost is one whole training; a part costs its share, and
candidates that differ in compression alone share their training, in either search. What is scored
are candidates that were trained whole, by what they are worth without noise: the hypervolume in dB
and logarithms of costs, under a reference point that stays, as a share of the best there is.

Problems: `table`, the U-Nets of `benchmarks.unet_table`, really trained and timed, read at 1/16 and
1/4 by their averaged weights; `table-raw`, read by their plain weights; `cells-fine` and
`cells-coarse`, the paper's cells of `benchmarks.paper_cells`, whose readings are made up: noise is
added to the true PSNR so that Kendall's tau to it over random networks is .67 and .86, or .44 and
.68, at 1/16 and 1/4. Rules: `hypervolume`, the product's; `psnr`, who is sharpest goes on, as
halving with one objective has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from benchmarks import paper_cells as cells
from benchmarks.sampler_problems import PROBLEMS, hypervolume, losses
from benchmarks.samplers import conditions
from nas.sampling import EhviSampler
from nas.search.expected_study import READINGS, ForeseenStudy, readings_attribute, standing_of
from nas.study.halving import SHARES, Standing, expected, promotion
from nas.study.objectives import Objective
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

Floats = npt.NDArray[np.float64]
TAUS = {"cells-fine": (0.67, 0.86), "cells-coarse": (0.44, 0.68)}
GROWTH = (0.25, 0.6)  # made up: which part of the final gain a reading shows
PROBLEM_NAMES = ("cells-fine", "cells-coarse", "table", "table-raw")
BUDGET = 40  # whole trainings, of the plain search
HALVED_BUDGET = {"random": 20, "ehvi": 10}
AT = (4, 8, 10, 16, 25, 40)
GRID = np.arange(0, BUDGET + 1e-9, 1 / 16)
OBJECTIVES = ("psnr_db", "latency_ms[a]", "latency_ms[b]", "latency_ms[c]")


class Cells:
    """The paper's cells with made-up readings."""

    def __init__(self, name: str) -> None:
        self._base = PROBLEMS["paper"]
        self._taus = TAUS[name]
        self._known: dict[bytes, Floats] = {}
        self.input_quality = cells.FLOOR_DB
        self.reference = self._base.reference

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    @cached_property
    def _noises(self) -> tuple[float, ...]:
        """Deviations in dB that make the taus over random networks."""
        from scipy.stats import kendalltau

        random = np.random.default_rng(5)
        true = cells.values(cells.drawn(random, 2000))[:, 0]
        draw = random.standard_normal(len(true))
        found = []
        for tau in self._taus:
            low, high = 0.0, 20.0
            for _ in range(24):
                middle = (low + high) / 2
                above = kendalltau(true, true + middle * draw).statistic > tau
                low, high = (middle, high) if above else (low, middle)
            found.append(low)
        return tuple(found)

    def true(self, parameters: Mapping[str, Any]) -> Floats:
        """The objectives without noise, looked up once a candidate."""
        key = cells.row_of(parameters).tobytes()
        if key not in self._known:
            self._known[key] = self._base.true(parameters)
        return self._known[key]

    def seen(self, parameters: Mapping[str, Any], random: np.random.Generator) -> Floats:
        """The objectives with noise of 0.05 dB and 2 %."""
        seen = self.true(parameters).copy()
        seen[0] += cells.NOISE[0] * random.standard_normal()
        seen[1:] *= np.exp(cells.NOISE[1] * random.standard_normal(len(seen) - 1))
        return seen

    def gain(self, parameters: Mapping[str, Any], rung: int, seed: int) -> float:
        """A reading: a part of the final gain, with noise that belongs to the training."""
        words = [seed, rung, *cells.row_of(parameters).tolist()]
        draw = float(np.random.default_rng(words).standard_normal())
        true = float(self.true(parameters)[0]) - self.input_quality
        return GROWTH[rung] * (true + self._noises[rung] * draw)

    def training(self, parameters: Mapping[str, Any]) -> str:
        """The key of a training: the network, pruned or not, in float."""
        return content_key({n: v for n, v in parameters.items() if n not in COMPRESSION})

    def group(self, parameters: Mapping[str, Any]) -> str:
        """The name of the candidate's compression."""
        return " ".join(str(parameters[name]) for name in COMPRESSION)


COMPRESSION = ("precision", "pruned_share")


class Table:
    """The trained U-Nets; readings of averaged weights, or of plain ones."""

    def __init__(self, name: str) -> None:
        self._base: Any = PROBLEMS["table"]
        self._raw = name == "table-raw"
        self.reference = self._base.reference
        self.input_quality = input_quality_db()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def gain(self, parameters: Mapping[str, Any], rung: int, seed: int) -> float:
        """The gain of the float network at a rung, from the table."""
        del seed
        row = self._base.rows[self._base._key(parameters)]
        name = ("rung16", "rung4")[rung] + ("_raw_db" if self._raw else "_db")
        return float(getattr(row, name)) - self.input_quality

    def training(self, parameters: Mapping[str, Any]) -> str:
        """The key of a training, which is the network."""
        return content_key({n: v for n, v in parameters.items() if n != "precision"})

    def group(self, parameters: Mapping[str, Any]) -> str:
        """The name of the candidate's precision."""
        return str(parameters["precision"])


def input_quality_db() -> float:
    """The PSNR of the blurred pictures that the table's networks were scored on."""
    from benchmarks.unet_table import _crop
    from nas.data import open_dataset
    from nas.data.image_quality import psnr_db

    pairs = open_dataset("photos").heldout()
    return float(np.mean([psnr_db(*_crop(pair.blurred, pair.sharp)) for pair in pairs]))


@cache
def problem_of(name: str) -> Any:
    """A problem by its name."""
    return Cells(name) if name in TAUS else Table(name)


class Search:
    """One search under way: what was spent, and what was trained whole."""

    def __init__(self, problem: Any, objectives: int, seed: int, sampler: str) -> None:
        self.problem, self.seed = problem, seed
        self.objectives = [Objective.of(name) for name in OBJECTIVES[:objectives]]
        storage = optuna.storages.InMemoryStorage()
        directions = ["maximize"] + ["minimize"] * (objectives - 1)
        self.study = optuna.create_study(study_name="s", storage=storage, directions=directions)
        self.view = ForeseenStudy("s", storage)
        self.view.sampler = self.study.sampler = _sampler(sampler, seed, problem, objectives)
        self.noise = np.random.default_rng([seed, 12345])
        self.shares: dict[str, float] = {}
        self.spent = 0.0
        self.trained: list[tuple[float, list[float]]] = []
        self.asked: dict[int, tuple[optuna.Trial, dict[str, Any], Floats]] = {}

    def ask(self) -> int:
        """A new candidate; its costs are seen at once."""
        trial = self.view.ask()
        parameters = self.problem.suggested(trial)
        seen = self.problem.seen(parameters, self.noise)[: len(self.objectives)]
        self.asked[trial.number] = (trial, parameters, seen)
        return trial.number

    def train(self, number: int, share: float) -> None:
        """Spend what is missing up to this share of the schedule."""
        key = self.problem.training(self.asked[number][1])
        before = self.shares.get(key, 0.0)
        self.spent += max(0.0, share - before)
        self.shares[key] = max(before, share)

    def finish(self, number: int) -> None:
        """Train to the end, tell it and score it."""
        self.train(number, 1.0)
        trial, parameters, seen = self.asked[number]
        self.study.tell(trial.number, seen.tolist())
        true = self.problem.true(parameters)[: len(self.objectives)]
        self.trained.append((self.spent, true.tolist()))


def plain(search: Search, budget: float) -> None:
    """Every candidate is trained to its end."""
    while search.spent < budget and len(search.asked) < 12 * budget:
        search.finish(search.ask())


def halved(search: Search, budget: float, choose: Callable[..., int | None]) -> None:
    """Run a search as `nas.search.halving_loop` does with one worker, without its end."""
    gains: dict[int, list[dict[str, float]]] = {}
    input_quality = {"psnr_db": search.problem.input_quality}
    while search.spent < budget and len(search.asked) < 12 * budget:
        standings = _standings(search)
        number = choose(standings, search.objectives, input_quality)
        if number is None:
            search.view.expected = expected(standings, search.objectives, input_quality)
            number = search.ask()
        rung = len(gains.setdefault(number, []))
        if rung == len(SHARES):
            search.finish(number)
            continue
        search.train(number, SHARES[rung])
        trial, parameters, seen = search.asked[number]
        gain = search.problem.gain(parameters, rung, search.seed)
        gains[number].append({"psnr_db": gain})
        names = [objective.metric for objective in search.objectives]
        known = dict(zip(names[1:], seen[1:].tolist(), strict=True))
        group = search.problem.group(parameters)
        standing = Standing(number, known, tuple(gains[number]), group)
        trial.set_user_attr(READINGS, readings_attribute(standing))


def _standings(search: Search) -> list[Standing]:
    found = []
    for trial in search.study.get_trials(deepcopy=False):
        final = {"psnr_db": trial.values[0]} if trial.values else None
        standing = standing_of(trial, final)
        if standing is not None:
            found.append(standing)
    return found


def by_psnr(
    standings: list[Standing], objectives: list[Objective], input_quality: Mapping[str, float]
) -> int | None:
    """Halving that looks at quality alone."""
    return promotion(
        [Standing(s.number, {}, s.gains, s.group, s.final) for s in standings],
        objectives[:1],
        input_quality,
    )


RULES: dict[str, Callable[..., int | None]] = {"hypervolume": promotion, "psnr": by_psnr}


def _sampler(name: str, seed: int, problem: Any, objectives: int) -> Any:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return EhviSampler(seed=seed, logarithmic=tuple(range(1, objectives)))


def one(name: str, objectives: int, sampler: str, rule: str, seed: int) -> dict[str, Any]:
    """One search: the cost and the hypervolume after each candidate that was trained whole."""
    problem = problem_of(name)
    search = Search(problem, objectives, seed, sampler)
    budget = BUDGET if rule == "plain" else HALVED_BUDGET[sampler]
    if rule == "plain":
        plain(search, budget)
    else:
        halved(search, budget, RULES[rule])
    points = losses(np.array([values for _, values in search.trained]).reshape(-1, objectives))
    curve = [hypervolume(points[: n + 1], problem.reference) for n in range(len(points))]
    return {
        "problem": name, "k": objectives, "sampler": sampler, "rule": rule, "seed": seed,
        "cost": [spent for spent, _ in search.trained], "hypervolume": curve,
        "candidates": len(search.asked),
    }  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Every search that the folder does not hold."""
    for name in arguments.problems:
        for objectives in arguments.k:
            for sampler in arguments.samplers:
                for rule in arguments.rules:
                    for seed in range(arguments.seeds):
                        path = arguments.out / f"{name}-k{objectives}-{sampler}-{rule}-s{seed}.json"
                        if not path.exists():
                            write_json(path, one(name, objectives, sampler, rule, seed))
                    print(name, objectives, sampler, rule, flush=True)


def at_cost(found: Mapping[str, Any], costs: Floats) -> Floats:
    """A search's hypervolume by what was spent (a step function)."""
    places = np.searchsorted(found["cost"], costs + 1e-9, side="right")
    return np.array([0.0, *found["hypervolume"]])[places]


def table(arguments: argparse.Namespace) -> None:
    """Write all finished searches as markdown and JSON."""
    from scipy.stats import kendalltau

    searches = [read_json(path) for path in sorted(arguments.out.glob("*-s*.json"))]
    lines, document = [], {"conditions": conditions(), "rows": []}
    lines.append(
        "| problem | objectives | sampler | search | seeds | "
        + " | ".join(f"@{n}" for n in AT)
        + " | cost of the plain search's front at 16 | at 25 | at 40 |"
    )
    lines.append("|---" * (8 + len(AT)) + "|")
    kinds = sorted({(f["problem"], f["k"], f["sampler"]) for f in searches})
    for name, objectives, sampler in kinds:
        kind = (name, objectives, sampler)
        here = [f for f in searches if (f["problem"], f["k"], f["sampler"]) == kind]
        best = problem_of(name).best(objectives, arguments.out)
        plain = np.zeros(len(GRID))
        for rule in ("plain", *RULES):
            runs = [f for f in here if f["rule"] == rule]
            if not runs:
                continue
            curves = np.array([at_cost(f, GRID) for f in runs]) / best
            plain = curves.mean(axis=0) if rule == "plain" else plain
            until = BUDGET if rule == "plain" else HALVED_BUDGET[sampler]
            row = [name, str(objectives), sampler, rule, str(len(runs))]
            row += [*_shares(curves, until), *_savings(curves.mean(axis=0), plain, until)]
            lines.append(f"| {' | '.join(row)} |")
            document["rows"].append(row)
    for name in sorted({f["problem"] for f in searches}):
        lines += ["", f"{name}: {agreement(name, kendalltau)}"]
    (arguments.out / "halving.md").write_text("\n".join(lines) + "\n")
    write_json(arguments.out / "halving.json", document)
    print("\n".join(lines))


def _shares(curves: Floats, until: float) -> list[str]:
    """Mean and deviation over seeds of the hypervolume's share, at each cost of `AT`."""
    cells = []
    for cost in AT:
        at = curves[:, int(cost * 16)]
        spread = at.std(ddof=1) if len(at) > 1 else 0.0
        cells.append(f"{at.mean():.3f} ({spread:.3f})" if cost <= until else "–")
    return cells


def _savings(mean: Floats, plain: Floats, until: float) -> list[str]:
    """The cost at which a search's mean curve reaches the plain one's at 16, 25 and 40."""
    cells = []
    for cost in (16, 25, 40):
        goal = plain[min(int(cost * 16), len(GRID) - 1)]
        reached = np.flatnonzero((mean >= goal) & (until >= GRID))
        share = GRID[reached[0]] / cost if len(reached) else None
        cells.append("–" if share is None else f"{GRID[reached[0]]:.1f} (1/{1 / share:.1f})")
    return cells


def agreement(name: str, kendalltau: Callable[..., Any]) -> str:
    """Kendall's tau of each rung's reading to the float network's end."""
    problem = problem_of(name)
    if name in TAUS:
        return f"tau to the end made {TAUS[name][0]} at 1/16 and {TAUS[name][1]} at 1/4"
    rows = [row for row in problem.rows.values() if row.precision == "float"]
    parameters = [vars(row) for row in rows]
    final = [row.psnr_db_seed0 for row in rows]
    taus = [
        kendalltau([problem.gain(p, rung, 0) for p in parameters], final).statistic
        for rung in range(len(SHARES))
    ]
    return f"tau to the end {taus[0]:.2f} at 1/16 and {taus[1]:.2f} at 1/4, {len(rows)} networks"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", nargs="+", choices=PROBLEM_NAMES, default=PROBLEM_NAMES)
    parser.add_argument(
        "--samplers", nargs="+", choices=["random", "ehvi"], default=["random", "ehvi"]
    )
    parser.add_argument("--rules", nargs="+", choices=["plain", *RULES], default=["plain", *RULES])
    parser.add_argument("--k", nargs="+", type=int, choices=[2, 3, 4], default=[2, 3])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    arguments.out.mkdir(parents=True, exist_ok=True)
    {"run": run, "table": table}[arguments.what](arguments)


if __name__ == "__main__":
    sys.exit(main())
