"""Hands a run's trials to a tracker of experiments: parameters, figures, tags and a curve.

`nas.report.tensorboard_files`, `nas.report.mlflow_store` and `nas.report.wandb_files` write it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from nas.errors import ConfigError
from nas.report.choice import open_front
from nas.report.effects import parameters_of
from nas.report.explanation import reason
from nas.report.loss_curve import LossPoint, log_times, loss_curve
from nas.storage.run_devices import run_names
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import cannot_write
from nas.system.hashing import content_key

LOSS = "training/l1_loss"
"""The name of the curve of a training."""


@final
@dataclass(frozen=True)
class TrackedTrial:
    """A finished trial as a tracker takes it.

    `figures` are numbers by name, the unit in the name: `latency_ms/host`, `seconds/train`.
    `sources` and `conditions` say of each figure whether it was measured, simulated, modelled ...,
    and how. `tags` are words about the trial. `began` and `ended` are seconds since 1970.
    """

    number: int
    label: str
    state: str
    parameters: Mapping[str, str | bool | int | float]
    figures: Mapping[str, float]
    sources: Mapping[str, str]
    conditions: Mapping[str, str]
    tags: Mapping[str, str]
    curve: tuple[LossPoint, ...]
    began: float
    ended: float

    @property
    def name(self) -> str:
        """Return the trial's name, such as "trial-00012"."""
        return f"trial-{self.number:05d}"

    @property
    def failed(self) -> bool:
        """Tell whether the trial ended without what it was for."""
        return self.state == "failed"

    @property
    def last_step(self) -> int:
        """Return the step that the figures are of: the curve's last, 0 without a curve."""
        return self.curve[-1].step if self.curve else 0

    @property
    def content(self) -> str:
        """Return a key of all that is handed over: equal where nothing has changed."""
        values = {**vars(self), "curve": [vars(point) for point in self.curve]}
        return content_key(values)


@final
@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker takes it; `name` is its own among all runs: "quickstart-1f2e3d"."""

    name: str
    description: str
    trials: tuple[TrackedTrial, ...]


@final
@dataclass(frozen=True)
class Handover:
    """How many trials were written, and how many were there already; `command` shows them."""

    written: int
    unchanged: int
    command: str


Tell = Callable[[int, int], object]
"""Is told how many trials are done, and of how many."""


def tracked_run(run: RunFolder) -> TrackedRun:
    """Read what a run has to tell; RunError where the folder is no run's or is damaged."""
    description = run.description()
    found = open_front(run)
    names = {device: name.name for device, name in run_names(run, found.results).items()}
    front = {member.number for member in found.front}
    trials = [_trial(run, result, result.number in front, names) for result in found.results]
    return TrackedRun(
        name=f"{run.path.resolve().name}-{content_key(description, 6)}",
        description=str(description["study"]["description"]),
        trials=tuple(trials),
    )


def figure_name(metric: str) -> str:
    """Return a metric's name as every tracker takes it: `latency_ms[host]` is `latency_ms/host`.

    Only letters, digits, underscores, dashes, full stops, spaces, colons and slashes are left.
    """
    return re.sub(r"[^\w\-. :/]", "_", metric.replace("[", "/").removesuffix("]"), flags=re.ASCII)


def made(folder: Path) -> Path:
    """Make a tracker's folder, where there is none; RunError where that can't be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def missing(library: str, error: ImportError) -> ConfigError:
    """Return the error for a tracker's library that is not installed."""
    return ConfigError(f"{library} is not installed; install it: pip install {library} ({error})")


def _trial(
    run: RunFolder, result: TrialResult, on_front: bool, names: Mapping[str, str]
) -> TrackedTrial:
    metrics = {figure_name(name): metric for name, metric in result.metrics.items()}
    seconds = {f"seconds/{figure_name(name)}": s for name, s in result.timings_s.items()}
    log = run.log(result.number)
    end = run.result(result.number).stat().st_mtime
    began, ended = log_times(log) or (end - sum(result.timings_s.values()), end)
    return TrackedTrial(
        number=result.number,
        label=result.label,
        state=result.state,
        parameters={name: _plain(value) for name, value in parameters_of(result).items()},
        figures={name: metric.value for name, metric in metrics.items()} | seconds,
        sources={name: metric.source for name, metric in metrics.items()}
        | dict.fromkeys(seconds, "measured"),
        conditions={name: m.conditions for name, m in metrics.items() if m.conditions},
        tags=_tags(result, on_front, names),
        curve=loss_curve(log),
        began=began,
        ended=ended,
    )


def _tags(result: TrialResult, on_front: bool, names: Mapping[str, str]) -> dict[str, str]:
    tags = {
        "network": result.label,
        "state": result.state,
        "on_front": "yes" if on_front else "no",
        "baseline": "yes" if result.baseline else "no",
        "candidate": result.key,
    }
    if result.state != "complete":
        tags["reason"] = reason(result, lambda device: names.get(device, device))
    if result.artifact:
        tags["artifact"] = result.artifact
    return tags


def _plain(value: Any) -> str | bool | int | float:
    if value is None:
        return "not set"
    return value if isinstance(value, str | bool | int | float) else str(value)
