"""The networks and the files that a trial makes, in the folder of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.compression.compress import (
    compressed,
    expected_architecture,
    float_reading,
    float_training,
)
from nas.devices.gpus import may_use_gpu
from nas.execution.trial.rung_reading import READ_ON, SCORES, Reader
from nas.execution.trial.task import Findings, Report, TrialProgress, TrialTask
from nas.networks.candidate import Architecture, Compression
from nas.networks.layers import NETWORK_FORMAT
from nas.study.halving import reading_name, rung_steps
from nas.study.metric import Metric
from nas.study.study import Study
from nas.system.files import write_atomically
from nas.system.hashing import content_key
from nas.training.workshop import Workshop

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained


def reference_file(task: TrialTask) -> Path:
    """Return the untrained file that latencies are divided by; it is made once a run."""
    from nas.compression.convert import convert_untrained

    study = task.study
    candidate = study.reference_candidate
    if candidate is None:
        raise ValueError("the study has no reference")
    path = task.run.path / "reference" / f"{candidate.key}-{NETWORK_FORMAT}.tflite"
    if not path.exists():
        width, height = study.size
        compression = candidate.compression
        network = expected_architecture(candidate.architecture, compression.pruned_share)
        content = convert_untrained(
            network.graph(),
            height,
            width,
            compression.precision,
            study.schedule,
            _relu_apart(study),
        )
        write_atomically(path, lambda file: file.write(content))
    return path


def _relu_apart(study: Study) -> bool:
    """Whether files keep a ReLU apart from transposed convolutions: for a GPU among the devices."""
    return may_use_gpu([*study.devices, *study.optional_devices])


def write_untrained(task: TrialTask, findings: Findings, network: Architecture) -> None:
    """Write the untrained network as a file: latency and placement don't depend on weights."""
    from nas.compression.convert import convert_untrained
    from nas.tflite.file import structure_key

    width, height = task.study.size
    precision = task.candidate.compression.precision
    with findings.timed("convert"):
        content = convert_untrained(
            network.graph(),
            height,
            width,
            precision,
            task.study.schedule,
            _relu_apart(task.study),
        )
        path = untrained_file(task)
        write_atomically(path, lambda file: file.write(content))
        findings.structure = structure_key(path)


def untrained_file(task: TrialTask) -> Path:
    """Return the path of a candidate's untrained file, which goes once it is trained."""
    return task.run.trial(task.number) / "untrained.tflite"


def artifact_file(task: TrialTask) -> Path:
    """Return the path of the trained network's artifact."""
    return task.run.trial(task.number) / "model.tflite"


def _workshop(task: TrialTask, report: Report) -> Workshop:
    def progress(stage: str, done: int, total: int, loss: float) -> None:
        report(TrialProgress(task.number, stage, done, total, f"L1 {loss:.4f}"))

    study = task.study
    pack = task.dataset.prepare(study.schedule.patch)
    return Workshop(pack, study.schedule, study.seed, task.run.path / "weights", progress)


def train_to_rung(task: TrialTask, findings: Findings, report: Report) -> None:
    """Train up to the task's rung, and read the network at each one that it comes to."""
    study, rung = task.study, task.rung or 0
    metrics = tuple(o.metric for o in study.expanded_objectives if o.metric in SCORES)
    key = content_key(task.data_identity)
    judge = Reader(task.dataset, key, metrics, study.space.reduction)
    workshop = _workshop(task, report)
    for index, stop in enumerate(rung_steps(study.schedule)[: rung + 1]):
        if reading_name(metrics[0], index) in findings.metrics:
            continue
        with findings.timed("train"):
            gains = float_reading(
                task.candidate.architecture, task.data_identity, workshop, stop, judge
            )
        on = f"{READ_ON}, after {stop} of {study.schedule.steps} steps"
        for metric, gain in gains.items():
            findings.metrics[reading_name(metric, index)] = Metric(gain, "measured", conditions=on)


def train_fully(task: TrialTask, findings: Findings, report: Report) -> Trained:
    """Train in float32, prune, train the ranges of integers: each from what was there before."""
    workshop = _workshop(task, report)
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


def write_artifact(task: TrialTask, findings: Findings, made: Trained) -> None:
    """Write the trained network as the file that is scored, and that would ship."""
    from nas.compression.convert import convert_trained

    width, height = task.study.size
    path = artifact_file(task)
    with findings.timed("convert"):
        content = convert_trained(
            made.architecture.graph(),
            made.weights,
            height,
            width,
            task.candidate.compression.precision,
            task.dataset.prepare(task.study.schedule.patch),
            relu_apart=_relu_apart(task.study),
        )
        write_atomically(path, lambda file: file.write(content))
        untrained_file(task).unlink(missing_ok=True)
    findings.artifact = str(path.relative_to(task.run.path))
