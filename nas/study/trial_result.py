"""What a trial came to: the values kept in a run's folder, and read by every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nas.errors import NasError
from nas.study.metric import Metric

State = Literal["complete", "infeasible", "failed", "stopped"]
STOPPED: State = "stopped"
"""Halving ended the trial at a rung, because others were better: it was trained in part."""
_OLDER_STATES: Mapping[str, State] = {"pruned": STOPPED}  # as runs before this word have it
FORMAT = 1


@dataclass(frozen=True)
class Failure:
    """Why a trial has no quality: the error's class and its message."""

    kind: str
    message: str

    @classmethod
    def of(cls, error: NasError) -> Failure:
        """The failure that an error stands for."""
        return cls(type(error).__name__, str(error))


@dataclass(frozen=True)
class TrialResult:
    """One finished trial.

    `state` is "complete", "infeasible" (it broke a bound, or a device refused it), "failed", or
    "stopped" (halving ended it at a rung, so that it was trained in part only).
    `candidate` is the candidate's JSON, `key` its content key, `parameters` the Optuna parameters
    that it was sampled from. `metrics` maps names such as `psnr_db`, `ssim`, `gmacs_conv`,
    `gmacs_profiler`, `parameters`, `bytes`, `latency_ms[host]` to figures. `violations` maps each
    constraint to its amount, feasible where <= 0. `artifact` and `weights` are files below the
    run's folder, None where none were made. `timings_s` says where the time went. `conditions`
    holds versions and what data, schedule and size the figures belong to.
    """

    number: int
    key: str
    label: str
    candidate: dict[str, Any]
    state: State
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    artifact: str | None = None
    weights: str | None = None
    baseline: bool = False
    timings_s: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """The value of a metric; KeyError where the trial has none of that name."""
        return self.metrics[name].value

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "format": FORMAT,
            "number": self.number,
            "key": self.key,
            "label": self.label,
            "candidate": self.candidate,
            "state": self.state,
            "parameters": dict(self.parameters),
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "violations": dict(self.violations),
            "failure": vars(self.failure) if self.failure else None,
            "artifact": self.artifact,
            "weights": self.weights,
            "baseline": self.baseline,
            "timings_s": dict(self.timings_s),
            "conditions": dict(self.conditions),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrialResult:
        """The result that `to_dict` wrote; raises KeyError or TypeError on anything else."""
        rest = {name: value for name, value in values.items() if name != "format"}
        rest["metrics"] = {n: Metric.from_dict(m) for n, m in values["metrics"].items()}
        rest["failure"] = Failure(**values["failure"]) if values["failure"] else None
        rest["state"] = _OLDER_STATES.get(values["state"], values["state"])
        return cls(**rest)
