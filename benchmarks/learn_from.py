"""Learning from an earlier run of the same space, on `benchmarks.unet_table`.

    python -m benchmarks.learn_from [--cases quarter] [--seeds 3] [--trials 25] [--earlier 40]

`float`: earlier trials are networks at random as float, the search is over int8, whose PSNR,
latency and size of file differ. `quarter`: earlier trials are float networks at a quarter of the
schedule, the search is over the same at the whole schedule; latency and size of file are the same.
`wrong`: the earlier values are shuffled, so that there is nothing to learn from them. Each row: the
mean (deviation) over seeds of the hypervolume's share of that of the table's half at the searched
precision.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.trial import FrozenTrial

from benchmarks.sampler_problems import UnetTable
from benchmarks.sampler_scores import hypervolume, losses
from nas.sampling import EhviSampler

Floats = npt.NDArray[np.float64]
TABLE = UnetTable()
AT = (8, 12, 16, 25)


@dataclass(frozen=True)
class Case:
    """A search over one precision of the table, and what the earlier trials were.

    `steps` is the share of the schedule that these were trained for: 1, or a quarter.
    """

    precision: str
    earlier: str
    steps: float
    objectives: int

    def values(self, parameters: Mapping[str, Any]) -> Floats:
        """Return what one training and one measurement give."""
        whole = {**parameters, "precision": self.precision}
        return TABLE.seen(whole, np.random.default_rng(0))[: self.objectives]

    def earlier_values(self, parameters: Mapping[str, Any]) -> Floats:
        """Return the same of an earlier trial."""
        whole = {**parameters, "precision": self.earlier}
        found = TABLE.seen(whole, np.random.default_rng(0))[: self.objectives]
        if self.steps < 1:
            found[0] = TABLE.row(whole).rung4_db
        return found


CASES = {
    "float": ("int8-ptq", "float", 1.0),
    "quarter": ("float", "float", 0.25),
}


def suggested(trial: Any) -> dict[str, Any]:
    """Return a trial's parameters, without the precision."""
    return {
        name: trial.suggest_categorical(name, choices)
        for name, choices in TABLE.space.items()
        if name != "precision"
    }


def earlier_trials(case: Case, count: int, seed: int, shuffled: bool) -> list[FrozenTrial]:
    """Return trials at random, as the case has them."""
    study = optuna.create_study(
        directions=["maximize"] + ["minimize"] * (case.objectives - 1),
        sampler=optuna.samplers.RandomSampler(seed=1000 + seed),
    )
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, case.earlier_values(suggested(trial)).tolist())
    trials = study.trials
    if shuffled:
        order = np.random.default_rng(seed).permutation(count)
        values = [trials[index].values for index in order]
        for trial, one in zip(trials, values, strict=True):
            trial.values = one
    return trials


def curve(case: Case, earlier: Sequence[FrozenTrial], seed: int, trials: int) -> list[float]:
    """Return the share of the hypervolume after each trial of a search."""
    reference = TABLE.reference
    study = optuna.create_study(
        directions=["maximize"] + ["minimize"] * (case.objectives - 1),
        sampler=EhviSampler(
            seed=seed,
            logarithmic=range(1, case.objectives),
            reference=reference[: case.objectives],
            n_startup_trials=4,
            earlier=earlier,
        ),
    )
    points = []
    for _ in range(trials):
        trial = study.ask()
        parameters = suggested(trial)
        study.tell(trial, case.values(parameters).tolist())
        whole = {**parameters, "precision": case.precision}
        points.append(TABLE.true(whole)[: case.objectives])
    every = [
        TABLE.true(vars(row))[: case.objectives]
        for row in TABLE.rows.values()
        if row.precision == case.precision
    ]
    best = hypervolume(losses(np.array(every)), reference)
    found = losses(np.array(points))
    return [hypervolume(found[: n + 1], reference) / best for n in range(trials)]


def main() -> None:
    """Print a row for each case and kind of earlier trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--earlier", type=int, default=40)
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| earlier | k | told | " + " | ".join(f"@{n}" for n in AT) + " |")
    for name, objectives in itertools.product(asked.cases, (2, 3)):
        case = Case(*CASES[name], objectives)
        for told, count in (("none", 0), ("as they are", asked.earlier), ("wrong", asked.earlier)):
            curves = np.array(
                [
                    curve(
                        case, earlier_trials(case, count, seed, told == "wrong"), seed, asked.trials
                    )
                    for seed in range(asked.seeds)
                ]
            )
            at = [
                f"{curves[:, n - 1].mean():.3f} ({curves[:, n - 1].std(ddof=1):.3f})"
                for n in AT
                if n <= asked.trials
            ]
            print(f"| {name} | {objectives} | {told} | " + " | ".join(at) + " |", flush=True)


if __name__ == "__main__":
    main()
