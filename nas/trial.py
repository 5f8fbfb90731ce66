"""One trial, cheap things first: cost, latency of the untrained structure, training, quality.

Runs in whatever process an executor gives it. Everything that it makes goes into the run's folder;
its result is written whole before anybody is told, so that a kill at any moment loses nothing that
was finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas.candidate import Architecture, Candidate, Compression
from nas.compress import Workshop, compressed, expected_architecture, float_training
from nas.data import Dataset
from nas.errors import DeviceStableError, NasError, RunError
from nas.evaluation import DeviceLostError, Evaluator, MissingFigureError, Needs, Subject
from nas.files import write_atomically
from nas.metrics import Metric
from nas.prune import Pruning
from nas.results import Failure, TrialResult
from nas.store import RunFolder
from nas.study import Study

if TYPE_CHECKING:
    from nas.finetune import Trained


OnLostPhone = Literal["continue", "stop"]


@dataclass(frozen=True)
class TrialTask:
    """A candidate to evaluate, and everything that it needs for it.

    `on_lost_phone`: whether a required device that is set aside ends the search, or is an optional
    one from then on.
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
    network: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

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
    Raises RunError only: a run's folder that can't be written, or a phone that is lost, is no fault
    of the candidate, which is evaluated when the run goes on.
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
        conditions=_conditions(task, findings),
    )
    task.run.write_result(result)
    return result


def _evaluate(task: TrialTask, findings: _Findings, report: Report) -> bool:
    """Fill `findings`, stage by stage; False as soon as a constraint is violated."""
    report(TrialProgress(task.number, "cost"))
    share = task.candidate.compression.pruned_share
    network = expected_architecture(task.candidate.architecture, share)
    if not _stage(task, findings, "architecture", network, None, report):
        return False
    report(TrialProgress(task.number, "screening"))
    screened = _convert_untrained(task, findings, network)
    if not _stage(task, findings, "structure", network, screened, report):
        return False
    made = _train(task, findings, report)
    if made.architecture != network and not _stage(
        task, findings, "architecture", made.architecture, None, report
    ):
        return False
    report(TrialProgress(task.number, "converting"))
    artifact = _convert_trained(task, findings, made)
    if _structure(artifact) != findings.structure and not _stage(
        task, findings, "structure", made.architecture, artifact, report
    ):
        return False
    report(TrialProgress(task.number, "scoring"))
    return _stage(task, findings, "weights", made.architecture, artifact, report)


def _stage(
    task: TrialTask,
    findings: _Findings,
    needs: Needs,
    network: Architecture,
    artifact: Path | None,
    report: Report,
) -> bool:
    """Run the evaluators of one stage; False where a bound is broken.

    `network` is the candidate's as pruned, or as it is expected to be before.
    """
    candidate = replace(task.candidate, architecture=network)
    for evaluator in task.study.evaluators:
        if evaluator.needs == needs:
            with findings.timed(evaluator.to_dict()["name"]):
                _run(evaluator, candidate, artifact, task, findings, report)
    for constraint in task.study.parsed_constraints:
        if constraint.metric in findings.metrics:
            value = findings.metrics[constraint.metric].value
            findings.violations[str(constraint)] = constraint.violation(value)
    return all(violation <= 0 for violation in findings.violations.values())


def _run(
    evaluator: Evaluator,
    candidate: Candidate,
    artifact: Path | None,
    task: TrialTask,
    findings: _Findings,
    report: Report,
) -> None:
    """Add an evaluator's figures; again without a device that was lost, where that is allowed."""
    while True:
        try:
            subject = _subject(evaluator.needs, candidate, artifact, task, findings)
            findings.metrics |= evaluator.evaluate(subject)
            return
        except DeviceLostError as error:
            findings.metrics |= error.figures
            if task.on_lost_phone == "stop":
                raise RunError(
                    f"a required phone is lost: {error}. Nothing finished is lost: see to the "
                    "phone and start the same command again, or give --on-lost-phone continue"
                ) from error
            task.run.lose(error.device, str(error))
            note = f"{error.device} is lost, and optional from now on: {error}"
            report(TrialProgress(task.number, "warning", note=note))
        except MissingFigureError as error:
            findings.metrics |= error.figures
            raise


def _subject(
    needs: Needs,
    candidate: Candidate,
    artifact: Path | None,
    task: TrialTask,
    findings: _Findings,
) -> Subject:
    """What an evaluator looks at; devices that were lost are optional, and no ratio is taken."""
    study = task.study
    lost = task.run.lost_devices() & set(study.devices)
    with_ratio = study.uses_reference and needs == "structure" and not lost
    return Subject(
        candidate,
        study.size,
        artifact,
        task.dataset,
        tuple(device for device in study.devices if device not in lost),
        task.run.path / "measurements",
        (*(device for device in study.devices if device in lost), *study.optional_devices),
        _reference(task) if with_ratio else None,
        findings.notes,
    )


def _reference(task: TrialTask) -> Path:
    """The artifact that latencies are put in relation to, made once a run; untrained."""
    from nas.convert import convert_untrained

    study = task.study
    candidate = study.reference_candidate
    if candidate is None:
        raise ValueError("the study has no reference")
    path = task.run.path / "reference" / f"{candidate.key}.tflite"
    if not path.exists():
        width, height = study.size
        compression = candidate.compression
        network = expected_architecture(candidate.architecture, compression.pruned_share)
        content = convert_untrained(
            network.graph(), height, width, compression.precision, study.schedule
        )
        write_atomically(path, lambda file: file.write(content))
    return path


def _convert_untrained(task: TrialTask, findings: _Findings, network: Architecture) -> Path:
    """The candidate's structure as a file: its latency and placement don't depend on weights."""
    from nas.convert import convert_untrained
    from nas.tflite import structure_key

    width, height = task.study.size
    precision = task.candidate.compression.precision
    with findings.timed("convert"):
        content = convert_untrained(network.graph(), height, width, precision, task.study.schedule)
        path = task.run.trial(task.number) / "untrained.tflite"
        write_atomically(path, lambda file: file.write(content))
        findings.structure = structure_key(path)
    return path


def _structure(artifact: Path) -> str:
    from nas.tflite import structure_key

    return structure_key(artifact)


def _train(task: TrialTask, findings: _Findings, report: Report) -> Trained:
    """Train in float32, prune, train the ranges of integers: each from what was there before."""

    def progress(stage: str, done: int, total: int, loss: float) -> None:
        report(TrialProgress(task.number, stage, done, total, f"L1 {loss:.4f}"))

    study = task.study
    pack = task.dataset.prepare(study.schedule.patch)
    folder = task.run.path / "weights"
    workshop = Workshop(pack, study.schedule, study.seed, folder, progress)
    with findings.timed("train"):
        source = float_training(task.candidate.architecture, task.data_identity, workshop)
    findings.weights = str(source.weights.relative_to(task.run.path))
    made = source
    if task.candidate.compression != Compression():
        with findings.timed("compress"):
            made = compressed(source, task.candidate.compression, workshop)
    findings.weights = str(made.weights.relative_to(task.run.path))
    findings.network = made.architecture.to_dict()
    return made


def _convert_trained(task: TrialTask, findings: _Findings, made: Trained) -> Path:
    from nas.convert import convert_trained

    width, height = task.study.size
    path = task.run.trial(task.number) / "model.tflite"
    with findings.timed("convert"):
        content = convert_trained(
            made.architecture.graph(),
            made.weights,
            height,
            width,
            task.candidate.compression.precision,
            task.dataset.prepare(task.study.schedule.patch),
        )
        write_atomically(path, lambda file: file.write(content))
        (task.run.trial(task.number) / "untrained.tflite").unlink(missing_ok=True)
    findings.artifact = str(path.relative_to(task.run.path))
    return path


def _conditions(task: TrialTask, findings: _Findings) -> dict[str, Any]:
    from nas.conditions import versions

    pruned = task.candidate.compression.pruned_share > 0
    return {
        **findings.notes,
        **({"network": findings.network} if pruned else {}),
        **({"pruning": Pruning().to_dict()} if pruned else {}),
        "versions": versions(),
        "data": task.study.data,
        "split": task.dataset.split,
        "schedule": task.study.schedule.to_dict(),
        "seed": task.study.seed,
        "size": list(task.study.size),
    }
