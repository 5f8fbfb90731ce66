"""A look at a candidate: what it costs on the study's devices, before anybody trains it.

It takes the first steps of a trial, up to its screening. Measurements go into the run's, so a
trial of the same structure does not measure again, and agrees with its look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.compression.compress import expected_architecture
from nas.devices.fleet import measure_everywhere
from nas.errors import DeviceTransientError, NasError, RunError
from nas.execution.trial.figures import Stage, within_bounds
from nas.execution.trial.task import Findings, TrialProgress, TrialTask
from nas.system.files import write_atomically


@final
@dataclass(frozen=True)
class LookFound:
    """What a look found: figures by metric.

    `refused` says why the candidate can't be used, `missing` why there is no answer; one of them,
    or neither.
    """

    figures: Mapping[str, float]
    refused: str = ""
    missing: str = ""
    seconds: float = 0.0


def looked_at(task: TrialTask, folder: Path, prepare: Callable[[], object]) -> LookFound:
    """Return what a candidate costs; nothing is raised for the candidate's faults or a device's.

    `folder` is where its untrained file is written, and removed; `prepare` is called before that.
    """
    started = time.perf_counter()
    findings = Findings()
    refused = missing = ""
    try:
        refused = _screened(task, findings, folder / f"look-{task.candidate.key}.tflite", prepare)
    except (DeviceTransientError, RunError) as error:
        missing = str(error)
    except NasError as error:  # a device, the converter or a bound refuses it
        refused = str(error)
    except OSError as error:
        missing = str(error)
    figures = {name: metric.value for name, metric in findings.metrics.items()}
    return LookFound(figures, refused, missing, time.perf_counter() - started)


def _screened(
    task: TrialTask, findings: Findings, artifact: Path, prepare: Callable[[], object]
) -> str:
    """Add the figures of the steps before training; return which bound is broken, if one is."""
    share = task.candidate.compression.pruned_share
    network = expected_architecture(task.candidate.architecture, share)
    if not within_bounds(
        Stage("architecture", network, None), task, findings, _silent, measure_everywhere
    ):
        return _broken(findings)
    if not any(evaluator.needs == "structure" for evaluator in task.study.evaluators):
        return ""
    prepare()
    from nas.compression.convert import convert_untrained

    width, height = task.study.size
    precision = task.candidate.compression.precision
    content = convert_untrained(network.graph(), height, width, precision, task.study.schedule)
    write_atomically(artifact, lambda file: file.write(content))
    try:
        stage = Stage("structure", network, artifact)
        within = within_bounds(stage, task, findings, _silent, measure_everywhere)
    finally:
        artifact.unlink(missing_ok=True)
    return "" if within else _broken(findings)


def _broken(findings: Findings) -> str:
    """Name the bounds that a candidate breaks."""
    return "breaks " + ", ".join(name for name, much in findings.violations.items() if much > 0)


def _silent(progress: TrialProgress) -> None:
    """Report nothing: a look is no trial."""
