"""What a trial is given, what it reports on its way, and what it has come to so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nas.data import Dataset
from nas.execution.trial.waiting import WaitingTrial
from nas.networks.candidate import Candidate
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.study import Study

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained

OnLostPhone = Literal["continue", "stop"]
StepName = Literal[
    "cost",
    "untrained file",
    "screening",
    "training",
    "conversion",
    "second timing",
    "scoring",
]
"""The steps of a trial, in their order; `nas.execution.trial.run` takes them."""


@dataclass(frozen=True)
class TrialTask:
    """A candidate to evaluate, and everything that its evaluation needs.

    `on_lost_phone` tells whether a required device that is set aside ends the search, or is an
    optional one from then on. With a `rung` the candidate is trained up to this rung, read there,
    and waits; without one it is trained to the end. `waited` is where the trial waited before.
    """

    number: int
    candidate: Candidate
    parameters: Mapping[str, Any]
    study: Study
    dataset: Dataset
    data_identity: dict[str, Any]
    run: RunFolder
    baseline: bool = False
    on_lost_phone: OnLostPhone = "stop"
    rung: int | None = None
    waited: WaitingTrial | None = None


@dataclass(frozen=True)
class TrialProgress:
    """Where a running trial stands; `done` of `total` where the stage can be counted.

    `label` is the candidate's, which the first message of a trial has.
    """

    number: int
    stage: str
    done: int = 0
    total: int = 0
    note: str = ""
    label: str = ""


Report = Callable[[TrialProgress], None]


@dataclass
class Findings:
    """What a trial has come to so far.

    `metrics`, `violations` and `timings_s` are those of `TrialResult`, and so are the paths
    `artifact` and `weights`, below the run's folder. `structure` is the key of the untrained file,
    `network` the JSON of the network that was trained and pruned, `trained` that network with its
    weights. `notes` are what evaluators add to the result's conditions. `next_step` is where the
    trial goes on.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    violations: dict[str, float] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
    artifact: str | None = None
    weights: str | None = None
    structure: str | None = None
    network: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    trained: Trained | None = None
    next_step: StepName = "cost"

    @classmethod
    def of(cls, task: TrialTask) -> Findings:
        """Return what a task starts with: nothing, or what its trial came to before it waited."""
        waited = task.waited
        if waited is None:
            return cls()
        result = waited.result
        return cls(
            dict(result.metrics),
            dict(result.violations),
            dict(result.timings_s),
            structure=waited.structure,
            notes=dict(waited.notes),
            next_step="training",
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add to `timings_s` what the block takes."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + spent, 4)
