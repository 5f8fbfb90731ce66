"""One trial, cheap things first: cost, latency of the untrained structure, training, quality.

Runs in whatever process an executor gives it. Everything that it makes goes into the run's folder;
its result is written whole before anybody is told, so that a kill at any moment loses nothing that
was finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.candidate import Candidate
from nas.data import Dataset
from nas.errors import DeviceStableError, NasError, RunError
from nas.evaluation import Needs, Subject
from nas.files import write_atomically
from nas.metrics import Metric
from nas.results import Failure, TrialResult
from nas.store import RunFolder
from nas.study import Study


@dataclass(frozen=True)
class TrialTask:
    """A candidate to evaluate, and everything that it needs for it."""

    number: int
    candidate: Candidate
    parameters: Mapping[str, Any]
    study: Study
    dataset: Dataset
    data_identity: dict[str, Any]
    run: RunFolder
    baseline: bool = False


@dataclass(frozen=True)
class TrialProgress:
    """Where a running trial stands; `done` of `total` where the stage can be counted."""

    number: int
    stage: str
    done: int = 0
    total: int = 0
    note: str = ""


RUNS = "runs on every device"  # the constraint that a candidate breaks where a device refuses it

Report = Callable[[TrialProgress], None]


@dataclass
class _Findings:
    """What a trial has come to so far."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    violations: dict[str, float] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
    artifact: str | None = None
    weights: str | None = None
    structure: str | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.timings_s[stage] = round(self.timings_s.get(stage, 0.0) + spent, 4)


def run_trial(task: TrialTask, report: Report) -> TrialResult:
    """Evaluate a candidate, write its result and return it.

    A candidate that can't be converted, trained or run is a result too ("failed", with its cause).
    Raises RunError only: a run's folder that can't be written is no fault of the candidate.
    """
    findings = _Findings()
    failure = None
    try:
        state = "complete" if _evaluate(task, findings, report) else "infeasible"
    except RunError:
        raise
    except DeviceStableError as error:
        state, failure = "infeasible", Failure.of(error)
        findings.violations[RUNS] = 1.0
    except NasError as error:
        state, failure = "failed", Failure.of(error)
    result = TrialResult(
        number=task.number,
        key=task.candidate.key,
        label=task.candidate.label,
        candidate=task.candidate.to_dict(),
        parameters=task.parameters,
        state=state,  # type: ignore[arg-type]
        metrics=findings.metrics,
        violations=findings.violations,
        failure=failure,
        artifact=findings.artifact,
        weights=findings.weights,
        baseline=task.baseline,
        timings_s=findings.timings_s,
        conditions=_conditions(task),
    )
    task.run.write_result(result)
    return result


def _evaluate(task: TrialTask, findings: _Findings, report: Report) -> bool:
    """Fill `findings`, stage by stage; False as soon as a constraint is violated."""
    report(TrialProgress(task.number, "cost"))
    if not _stage(task, findings, "architecture", None):
        return False
    report(TrialProgress(task.number, "screening"))
    screened = _convert_untrained(task, findings)
    if not _stage(task, findings, "structure", screened):
        return False
    weights = _train(task, findings, report)
    report(TrialProgress(task.number, "converting"))
    artifact = _convert_trained(task, findings, weights)
    if _structure(artifact) != findings.structure and not _stage(
        task, findings, "structure", artifact
    ):
        return False
    report(TrialProgress(task.number, "scoring"))
    return _stage(task, findings, "weights", artifact)


def _stage(task: TrialTask, findings: _Findings, needs: Needs, artifact: Path | None) -> bool:
    """Run the evaluators of one stage; False where a bound is broken."""
    subject = Subject(
        task.candidate,
        task.study.size,
        artifact,
        task.dataset,
        task.study.devices,
        task.run.path / "measurements",
    )
    for evaluator in task.study.evaluators:
        if evaluator.needs == needs:
            with findings.timed(evaluator.to_dict()["name"]):
                findings.metrics |= evaluator.evaluate(subject)
    for constraint in task.study.parsed_constraints:
        if constraint.metric in findings.metrics:
            value = findings.metrics[constraint.metric].value
            findings.violations[str(constraint)] = constraint.violation(value)
    return all(violation <= 0 for violation in findings.violations.values())


def _convert_untrained(task: TrialTask, findings: _Findings) -> Path:
    """The candidate's structure as a file: its latency and placement don't depend on weights."""
    from nas.convert import convert_untrained
    from nas.tflite import structure_key

    width, height = task.study.size
    precision = task.candidate.compression.precision
    with findings.timed("convert"):
        content = convert_untrained(
            task.candidate.architecture.graph(), height, width, precision, task.study.schedule
        )
        path = task.run.trial(task.number) / "untrained.tflite"
        write_atomically(path, lambda file: file.write(content))
        findings.structure = structure_key(path)
    return path


def _structure(artifact: Path) -> str:
    from nas.tflite import structure_key

    return structure_key(artifact)


def _train(task: TrialTask, findings: _Findings, report: Report) -> Path:
    from nas.train import train, training_key

    study = task.study
    key = training_key(task.candidate.architecture, task.data_identity, study.schedule, study.seed)
    folder = task.run.path / "weights" / key
    findings.weights = str((folder / "final.weights.h5").relative_to(task.run.path))

    def progress(step: int, steps: int, loss: float) -> None:
        report(TrialProgress(task.number, "training", step, steps, f"L1 {loss:.4f}"))

    with findings.timed("train"):
        pack = task.dataset.prepare(study.schedule.patch)
        return train(
            task.candidate.architecture.graph(), pack, study.schedule, study.seed, folder, progress
        )


def _convert_trained(task: TrialTask, findings: _Findings, weights: Path) -> Path:
    from nas.convert import convert_trained

    width, height = task.study.size
    path = task.run.trial(task.number) / "model.tflite"
    with findings.timed("convert"):
        content = convert_trained(
            task.candidate.architecture.graph(),
            weights,
            height,
            width,
            task.candidate.compression.precision,
            task.dataset.prepare(task.study.schedule.patch),
        )
        write_atomically(path, lambda file: file.write(content))
        (task.run.trial(task.number) / "untrained.tflite").unlink(missing_ok=True)
    findings.artifact = str(path.relative_to(task.run.path))
    return path


def _conditions(task: TrialTask) -> dict[str, Any]:
    from nas.conditions import versions

    return {
        "versions": versions(),
        "data": task.study.data,
        "split": task.dataset.split,
        "schedule": task.study.schedule.to_dict(),
        "seed": task.study.seed,
        "size": list(task.study.size),
    }
