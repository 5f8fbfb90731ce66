"""Learning from an earlier run of the same space, on `benchmarks.unet_table`.

    python -m benchmarks.learn_from [--seeds 3] [--trials 25] [--earlier 40]

`float to int8`: earlier trials are networks at random as float, the search is over int8, whose
PSNR, latency and size of file differ. `wrong`: the earlier values are shuffled, so that there is
nothing to learn from them. Each row: the mean (deviation) over seeds of the hypervolume's share of
that of the table's int8 half.
"""

from __future__ import annotations

import argparse
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
    """A search over one precision of the table, and the precision of the earlier trials."""

    precision: str
    earlier: str
    objectives: int

    def values(self, parameters: Mapping[str, Any], precision: str) -> Floats:
        """Return what one training and one measurement give."""
        whole = {**parameters, "precision": precision}
        return TABLE.seen(whole, np.random.default_rng(0))[: self.objectives]


def suggested(trial: Any) -> dict[str, Any]:
    """Return a trial's parameters, without the precision."""
    return {
        name: trial.suggest_categorical(name, choices)
        for name, choices in TABLE.space.items()
        if name != "precision"
    }


def earlier_trials(case: Case, count: int, seed: int, shuffled: bool) -> list[FrozenTrial]:
    """Return trials at random of the other precision."""
    study = optuna.create_study(
        directions=["maximize"] + ["minimize"] * (case.objectives - 1),
        sampler=optuna.samplers.RandomSampler(seed=1000 + seed),
    )
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, case.values(suggested(trial), case.earlier).tolist())
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
        study.tell(trial, case.values(parameters, case.precision).tolist())
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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--earlier", type=int, default=40)
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| case | k | earlier | " + " | ".join(f"@{n}" for n in AT) + " |")
    for objectives in (2, 3):
        case = Case("int8-ptq", "float", objectives)
        for name, shuffled, count in (("none", False, 0), ("float", False, 1), ("wrong", True, 1)):
            curves = np.array(
                [
                    curve(
                        case,
                        earlier_trials(case, asked.earlier * count, seed, shuffled),
                        seed,
                        asked.trials,
                    )
                    for seed in range(asked.seeds)
                ]
            )
            at = [
                f"{curves[:, n - 1].mean():.3f} ({curves[:, n - 1].std(ddof=1):.3f})"
                for n in AT
                if n <= asked.trials
            ]
            print(f"| float to int8 | {objectives} | {name} | " + " | ".join(at) + " |", flush=True)


if __name__ == "__main__":
    main()
