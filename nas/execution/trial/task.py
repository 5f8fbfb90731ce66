"""What a trial is given, says on its way, and has come to so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nas.data import Dataset
from nas.execution.trial.waiting import Rested
from nas.networks.candidate import Candidate
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.study import Study

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained

OnLostPhone = Literal["continue", "stop"]


@dataclass(frozen=True)
class TrialTask:
    """A candidate to evaluate, and everything that it needs for it.

    `on_lost_phone`: whether a required device that is set aside ends the search, or is an optional
    one from then on. `rung`: train and read it up to there, and let it wait; None for the end.
    `rested`: where it waited.
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
    rested: Rested | None = None


@dataclass(frozen=True)
class TrialProgress:
    """Where a running trial stands; `done` of `total` where the stage can be counted."""

    number: int
    stage: str
    done: int = 0
    total: int = 0
    note: str = ""


Report = Callable[[TrialProgress], None]


@dataclass
class Findings:
    """What a trial has come to so far; `step` is the next of its steps."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    violations: dict[str, float] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
    artifact: str | None = None
    weights: str | None = None
    structure: str | None = None
    network: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    made: Trained | None = None
    step: int = 0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add to `timings_s` what the block takes."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + spent, 4)
