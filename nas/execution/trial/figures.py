"""The evaluators of one stage of a trial: their figures, and the bounds that these break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nas.devices.fleet import MeasureAll
from nas.errors import RunError
from nas.execution.trial.steps import reference_file
from nas.execution.trial.task import Findings, Report, TrialProgress, TrialTask
from nas.networks.candidate import Architecture, Candidate
from nas.study.evaluator import DeviceLostError, Evaluator, MissingFigureError, Needs, Subject


@dataclass(frozen=True)
class Stage:
    """What the evaluators of a stage look at.

    `needs` names the stage. `network` is the candidate's network as it was pruned or, before that,
    as it is expected to be. `artifact` is the file to look at, None where there is none yet.
    """

    needs: Needs
    network: Architecture
    artifact: Path | None


def within_bounds(
    stage: Stage, task: TrialTask, findings: Findings, report: Report, measure: MeasureAll
) -> bool:
    """Add the figures of a stage's evaluators to the findings; False where one breaks a bound.

    Raises RunError where a required phone is lost and the search is to stop then, DeviceStableError
    where a device refuses the artifact, and what else the evaluators raise.
    """
    candidate = replace(task.candidate, architecture=stage.network)
    for evaluator in task.study.evaluators:
        if evaluator.needs == stage.needs:
            with findings.timed(evaluator.to_dict()["name"]):
                _add_figures(evaluator, candidate, stage.artifact, task, findings, report, measure)
    findings.violations |= _violations(task, findings)
    return all(violation <= 0 for violation in findings.violations.values())


def _violations(task: TrialTask, findings: Findings) -> Mapping[str, float]:
    return {
        str(constraint): constraint.violation(findings.metrics[constraint.metric].value)
        for constraint in task.study.parsed_constraints
        if constraint.metric in findings.metrics
    }


def _add_figures(
    evaluator: Evaluator,
    candidate: Candidate,
    artifact: Path | None,
    task: TrialTask,
    findings: Findings,
    report: Report,
    measure: MeasureAll,
) -> None:
    """Add an evaluator's figures; again without a device that was lost, where that is allowed."""
    while True:
        try:
            subject = _subject(evaluator.needs, candidate, artifact, task, findings, measure)
            findings.metrics |= evaluator.evaluate(subject)
            return
        except DeviceLostError as error:
            findings.metrics |= error.figures
            if task.on_lost_phone == "stop":
                raise RunError(
                    f"a required phone is lost: {error}. Nothing finished is lost: see to the "
                    "phone and start the same command again, or give --keep-going"
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
    findings: Findings,
    measure: MeasureAll,
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
        reference_file(task) if with_ratio else None,
        findings.notes,
        measure,
    )
