"""How right a search is that ends once it expects nothing of further trials.

    python -m benchmarks.samplers run --out FOLDER --samplers ehvi+p ehvi+l --trials 100
    python -m benchmarks.sampler_convergence --out FOLDER [--trials 100] [--seeds 10]

It reads the searches of `benchmarks.samplers`, which ran to their full budget and kept what their
sampler expected of each trial, and says after which trial `nas search --until-converged` would have
ended them. **Right** is an end whose hypervolume, of the candidates' values without noise, is at
least 95 % of what the same search has at its full budget. A search that never converges before
that is counted apart: it ends as it would have. Nothing is run again. The table is FOLDER's
convergence.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from benchmarks.samplers import OURS, PROBLEMS, conditions
from nas.sampling import convergence_of
from nas.sampling.convergence import KEY
from nas.system.files import read_json

RIGHT = 0.95
"""The share of its hypervolume at the full budget that a search has to have at its end."""


@final
@dataclass(frozen=True)
class Ending:
    """Where a search ended: after so many `trials`, None where at its full budget.

    `share` is its hypervolume then, of that at the full budget.
    """

    trials: int | None
    share: float

    @property
    def right(self) -> bool:
        """Whether little was left to gain."""
        return self.share >= RIGHT


def ending(expected: Sequence[Sequence[float] | None], hypervolume: Sequence[float]) -> Ending:
    """Return where a search ends that expected so much of its trials, and reached that much.

    `expected` are gains and noises by trial, None where nothing was expected.
    """
    trials: list[FrozenTrial] = []
    for count, kept in enumerate(expected, 1):
        told = {} if kept is None else {KEY: dict(zip(("gain", "noise"), kept, strict=True))}
        trials.append(optuna.trial.create_trial(value=0.0, system_attrs=told))
        found = convergence_of(trials)
        if found is not None and found.reached and count < len(expected):
            return Ending(count, hypervolume[count - 1] / hypervolume[-1])
    return Ending(None, 1.0)


def endings(folder: Path, seeds: int, trials: int) -> dict[tuple[str, str, int], list[Ending]]:
    """Return the endings of a folder's searches of at least so many trials, cut there.

    They are by problem, sampler and the number of objectives.
    """
    found: dict[tuple[str, str, int], list[Ending]] = defaultdict(list)
    for on in PROBLEMS:
        for path in sorted(folder.glob(f"{on}-*-p1-s*.json")):
            run: Mapping[str, Any] = read_json(path)
            if run["sampler"] in OURS and run["seed"] < seeds and run["trials"] >= trials:
                one = ending(run["expected"][:trials], run["hypervolume"][:trials])
                found[on, run["sampler"], run["k"]].append(one)
    return found


def line(case: tuple[str, str, int], ends: Sequence[Ending]) -> str:
    """Return a row of the table."""
    on, sampler, objectives = case
    stopped = [one for one in ends if one.trials is not None]
    after = "–"
    if stopped:
        counts = [one.trials for one in stopped if one.trials is not None]
        after = f"{np.median(counts):.0f} ({min(counts)} to {max(counts)})"
    share = f"{np.mean([one.share for one in stopped]):.3f}" if stopped else "–"
    right = f"{sum(one.right for one in stopped)} of {len(stopped)}"
    return f"| {on} | {objectives} | {sampler} | {len(ends)} | {after} | {share} | {right} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=100, help="the full budget")
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    found = endings(arguments.out, arguments.seeds, arguments.trials)
    if not found:
        raise SystemExit(
            f"{arguments.out} has no search of {arguments.trials} trials by {', '.join(OURS)}"
        )
    lines = [
        "| problem | k | sampler | searches | ended after, median (range) | share then | right |",
        "|---" * 7 + "|",
        *(line(case, ends) for case, ends in found.items()),
    ]
    every = [one for ends in found.values() for one in ends]
    stopped = [one for one in every if one.trials is not None]
    right = sum(one.right for one in stopped)
    lines += ["", f"{len(stopped)} of {len(every)} searches ended early, {right} of them right."]
    (arguments.out / "convergence.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), "\n", conditions(), sep="\n")


if __name__ == "__main__":
    main()
