"""An earlier run of the same space as what a search's sampler may learn from.

What was read is kept in the new run's folder: a search that goes on draws the same, whatever
became of the earlier run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.errors import ConfigError, NasError
from nas.sampling.earlier import LEAST, EarlierValues
from nas.sampling.gaussian import FitError
from nas.sampling.history import SUBSTITUTED, SharedSpace
from nas.sampling.space import Encoding
from nas.storage.run_folder import EARLIER, RunFolder
from nas.study.study import Study
from nas.system.files import read_json, write_json


@final
@dataclass(frozen=True)
class EarlierRun:
    """Trials of an earlier run: parameters, and the values of that run's objectives.

    `name` is that of the run's folder, `metrics` are its objectives, `left_out` says how many of
    its results can't be used.
    """

    name: str
    metrics: tuple[str, ...]
    rows: tuple[tuple[Mapping[str, Any], tuple[float, ...]], ...]
    left_out: int

    def __str__(self) -> str:
        """Return a phrase, such as "38 trials of run-a (2 left out)"."""
        left_out = f" ({self.left_out} left out)" if self.left_out else ""
        return f"{len(self.rows)} trials of {self.name}{left_out}"

    def trials(self, study: Study) -> list[FrozenTrial]:
        """Return them as Optuna's trials."""
        found = []
        for parameters, values in self.rows:
            fixed = optuna.trial.FixedTrial(dict(parameters))
            study.sample(fixed)
            found.append(
                optuna.trial.create_trial(
                    values=list(values),
                    params=dict(parameters),
                    distributions=fixed.distributions,
                )
            )
        return found


def read_earlier(study: Study, folder: Path) -> EarlierRun:
    """Return the complete trials of a run in `folder` that are of the study's space.

    Raises ConfigError where there are too few, RunError where the folder holds no run. A result
    that is damaged, or of another space, is left out.
    """
    run = RunFolder(folder)
    metrics = tuple(objective.metric for objective in run.objectives())
    rows = []
    numbers = sorted(run.finished_numbers())
    for number in numbers:
        try:
            result = run.read_result(number)
            if result is None or result.state != "complete":
                continue
            fixed = optuna.trial.FixedTrial(dict(result.parameters))
            if study.sample(fixed).key != result.key:
                continue
            rows.append((dict(result.parameters), tuple(result.value(m) for m in metrics)))
        except (NasError, ValueError, KeyError, TypeError):
            continue
    if len(rows) < LEAST:
        raise ConfigError(
            f"--learn-from {folder}: {len(rows)} of its {len(numbers)} results are complete and of "
            f"this study's space, expected {LEAST} or more; give a run of the same space"
        )
    return EarlierRun(folder.resolve().name, metrics, tuple(rows), len(numbers) - len(rows))


def kept_earlier(run: RunFolder, study: Study, folder: Path | None) -> EarlierRun | None:
    """Return what the run learns from: what it kept, else what is read from `folder` and kept.

    Raises ConfigError where the study's sampler can't learn from a run, and as `read_earlier`.
    """
    path = run.path / EARLIER
    if path.exists():
        told = read_json(path)
        rows = tuple((row["parameters"], tuple(row["values"])) for row in told["trials"])
        return EarlierRun(told["name"], tuple(told["metrics"]), rows, told["left_out"])
    if folder is None:
        return None
    if study.sampler != "ehvi":
        raise ConfigError(
            f"--learn-from {folder}: the sampler '{study.sampler}' can't learn from an earlier "
            "run; the study needs sampler 'ehvi'"
        )
    found = read_earlier(study, folder)
    write_json(
        path,
        {
            "name": found.name,
            "metrics": list(found.metrics),
            "left_out": found.left_out,
            "trials": [{"parameters": dict(p), "values": list(v)} for p, v in found.rows],
        },
    )
    return found


def keep_weights(
    run: RunFolder, study: Study, earlier: EarlierRun, trials: Sequence[FrozenTrial]
) -> None:
    """Keep in the run's folder how far its trials follow the earlier run's, for the report."""
    path = run.path / EARLIER
    write_json(path, {**read_json(path), "weights": weights_of(study, earlier, trials)})


def weights_of(
    study: Study, earlier: EarlierRun, trials: Sequence[FrozenTrial]
) -> dict[str, dict[str, float]]:
    """Return for each objective how far trials follow each of the earlier run's objectives.

    Costs count as logarithms. An objective with too few trials, or with equal values, is left out.
    """
    complete = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and SUBSTITUTED not in trial.user_attrs
    ]
    if len(complete) < LEAST:
        return {}
    encoding = Encoding(*SharedSpace().of(complete))
    found = {}
    try:
        expected = EarlierValues(earlier.trials(study), encoding)
        for index, objective in enumerate(study.expanded_objectives):
            values = np.array([trial.values[index] for trial in complete])
            if objective.is_logarithmic and values.min() > 0:
                values = np.log(values)
            weights = expected.weights(encoding.rows(complete), values)
            if weights:
                found[objective.metric] = {
                    earlier.metrics[place]: round(weight, 3) for place, weight in weights.items()
                }
    except FitError:
        return {}
    return found
