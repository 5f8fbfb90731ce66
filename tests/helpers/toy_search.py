"""A small search whose good candidates are known, for tests of samplers."""

from collections.abc import Callable
from typing import Any

import moocore
import numpy as np
import optuna

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def toy(trial: optuna.Trial) -> tuple[float, float]:
    """A quality and a latency that pull at three widths, a count and a category."""
    widths = [trial.suggest_categorical(f"width{i}", WIDTHS) for i in range(3)]
    depth = trial.suggest_int("depth", 1, 6)
    kind = trial.suggest_categorical("kind", ("a", "b", "c"))
    macs = depth * sum(w * w for w in widths)
    quality = 25 + np.log(macs) - 3 / min(widths) - (kind == "c")
    return quality, macs * {"a": 3.0, "b": 1.0, "c": 0.5}[kind]


def toy_hypervolume(study: optuna.Study) -> float:
    values = np.array([trial.values for trial in study.trials])
    losses = np.stack([-values[:, 0], np.log(values[:, 1])], axis=1)
    return float(moocore.hypervolume(losses, ref=[-25.0, 13.0]))


def searched(
    sampler: optuna.samplers.BaseSampler,
    objective: Callable[[optuna.Trial], Any] = toy,
    trials: int = 30,
    directions: tuple[str, ...] = ("maximize", "minimize"),
) -> optuna.Study:
    study = optuna.create_study(directions=list(directions), sampler=sampler)
    study.optimize(objective, trials)
    return study
