"""One trial, cheap things first: cost, latency of the untrained structure, training, quality.

Runs in whatever process an executor gives it. Everything that it makes goes into the run's folder;
its result is written whole before anybody is told, so that a kill at any moment loses nothing that
was finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.compression.compress import expected_architecture
from nas.compression.pruning import Pruning
from nas.devices.fleet import MeasureAll, measure_everywhere
from nas.errors import DeviceStableError, NasError, RunError, UnreachableShareError
from nas.execution.measurement_jobs import InHand, MeasureJob, Reply, Wanted
from nas.execution.trial.steps import (
    convert_draft,
    convert_made,
    draft_file,
    made_file,
    reference_file,
    train_fully,
    train_to_rung,
)
from nas.execution.trial.task import Findings, Report, TrialProgress, TrialTask
from nas.execution.trial.waiting import Rested
from nas.networks.candidate import Architecture, Candidate
from nas.study.evaluator import DeviceLostError, Evaluator, MissingFigureError, Needs, Subject
from nas.study.study import Study
from nas.study.trial_result import STOPPED, Failure, State, TrialResult

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained


REACHABLE = "pruned share can be reached"  # what a network breaks that has too few channels
RUNS = "runs on every device"  # the constraint that a candidate breaks where a device refuses it


@dataclass(frozen=True)
class TrialPart:
    """A trial as a worker gets it: from its start, or from where it stopped, with the replies.

    `replies` are all measurements that the trial has asked for so far. `stop_early`: the worker
    is not for training.
    """

    task: TrialTask
    findings: Findings = field(default_factory=Findings)
    replies: tuple[Reply, ...] = ()
    stop_early: bool = False

    @classmethod
    def of(cls, task: TrialTask) -> TrialPart:
        """The whole trial, or all of it behind the rung at which it waited."""
        return cls(task, _begun(task))

    @property
    def number(self) -> int:
        """The trial's."""
        return self.task.number

    @property
    def trains(self) -> bool:
        """Whether the next step needs a trainer."""
        return self.findings.step >= _FIRST_HEAVY


@dataclass(frozen=True)
class Paused:
    """A trial that goes on elsewhere: after `jobs`, or, where there are none, on a trainer."""

    number: int
    findings: Findings
    jobs: tuple[MeasureJob, ...] = ()


def run_trial(
    task: TrialTask, report: Report, prepare: Callable[[], object] = lambda: None
) -> TrialResult | Rested:
    """Evaluate a candidate here, or train it up to a rung, write what it came to and return it.

    `prepare` is called before the first step that builds a network.

    A candidate that can't be converted, trained or run is a result too ("failed", with its cause).
    Raises RunError only: a run's folder that can't be written, or a phone that is lost, is no fault
    of the candidate, which is evaluated when the run goes on.
    """
    return _run(_Trial(task, _begun(task), report, measure_everywhere, prepare=prepare))


def run_part(
    part: TrialPart, report: Report, prepare: Callable[[], object] = lambda: None
) -> TrialResult | Paused | Rested:
    """Go on with a trial until it ends, rests, wants measurements or a trainer; as `run_trial`.

    `prepare` is called before the first step that builds a network.
    """
    task, findings = part.task, part.findings
    measure = InHand(task.number, part.replies)
    try:
        return _run(_Trial(task, findings, report, measure, part.stop_early, prepare))
    except Wanted as wanted:
        return Paused(task.number, findings, wanted.jobs)
    except _WantsTrainer:
        return Paused(task.number, findings)


def _begun(task: TrialTask) -> Findings:
    """Nothing yet, or what the trial came to before it waited."""
    rested = task.rested
    if rested is None:
        return Findings()
    result = rested.result
    return Findings(
        dict(result.metrics),
        dict(result.violations),
        dict(result.timings_s),
        structure=rested.structure,
        notes=dict(rested.notes),
        step=_FIRST_HEAVY,
    )


class _WantsTrainer(Exception):  # noqa: N818
    """What comes next is a training."""


class _AtRung(Exception):  # noqa: N818
    """The trial has come to the rung of its task."""


@dataclass(frozen=True)
class _Trial:
    """A trial under way."""

    task: TrialTask
    findings: Findings
    report: Report
    measure: MeasureAll
    stop_early: bool = False
    prepare: Callable[[], object] = lambda: None

    @property
    def number(self) -> int:
        return self.task.number

    @property
    def network(self) -> Architecture:
        """The candidate's, as it is expected to be once it is pruned."""
        share = self.task.candidate.compression.pruned_share
        return expected_architecture(self.task.candidate.architecture, share)

    @property
    def made(self) -> Trained:
        if self.findings.made is None:
            raise ValueError("nothing is trained yet")
        return self.findings.made


def _run(trial: _Trial) -> TrialResult | Rested:
    task, findings = trial.task, trial.findings
    state: State
    failure = None
    try:
        state = "complete" if _evaluate(trial) else "infeasible"
    except _AtRung:
        return _rest(trial)
    except RunError:
        raise
    except DeviceStableError as error:
        state, failure = "infeasible", Failure.of(error)
        findings.violations[RUNS] = 1.0
    except UnreachableShareError as error:
        state, failure = "infeasible", Failure.of(error)
        findings.violations[REACHABLE] = error.excess
    except NasError as error:
        state, failure = "failed", Failure.of(error)
    result = _result(trial, state, failure)
    task.run.write_result(result)
    return result


def _rest(trial: _Trial) -> Rested:
    """Keep what is needed to go on; the result is that of a trial that never will."""
    rung, findings = trial.task.rung, trial.findings
    if rung is None:
        raise ValueError("the trial has no rung to wait at")
    result = _result(trial, STOPPED, None)
    rested = Rested(rung, result, findings.structure, dict(findings.notes))
    rested.write(trial.task.run)
    return rested


def _result(trial: _Trial, state: State, failure: Failure | None) -> TrialResult:
    task, findings = trial.task, trial.findings
    return TrialResult(
        number=task.number,
        key=task.candidate.key,
        label=task.candidate.label,
        candidate=task.candidate.to_dict(),
        parameters=task.parameters,
        state=state,
        metrics=findings.metrics,
        violations=findings.violations,
        failure=failure,
        artifact=findings.artifact,
        weights=findings.weights,
        baseline=task.baseline,
        timings_s=findings.timings_s,
        conditions=_conditions(task, findings),
    )


def _evaluate(trial: _Trial) -> bool:
    """Fill the findings, step by step; False as soon as a constraint is violated."""
    findings = trial.findings
    steps = _steps(trial.task.study)
    while findings.step < len(steps):
        if trial.stop_early and findings.step >= _FIRST_HEAVY:
            raise _WantsTrainer
        if findings.step > _STEPS.index(_cost):
            trial.prepare()
        if not steps[findings.step](trial):
            return False
        findings.step += 1
    return True


def _cost(trial: _Trial) -> bool:
    trial.report(TrialProgress(trial.number, "cost"))
    return _stage(trial, "architecture", trial.network, None)


def _draft(trial: _Trial) -> bool:
    trial.report(TrialProgress(trial.number, "screening"))
    convert_draft(trial.task, trial.findings, trial.network)
    return True


def _screen(trial: _Trial) -> bool:
    return _stage(trial, "structure", trial.network, draft_file(trial.task))


def _make(trial: _Trial) -> bool:
    if trial.task.rung is not None:
        train_to_rung(trial.task, trial.findings, trial.report)
        raise _AtRung
    made = trial.findings.made = train_fully(trial.task, trial.findings, trial.report)
    if made.architecture == trial.network:
        return True
    return _stage(trial, "architecture", made.architecture, None)


def _finish(trial: _Trial) -> bool:
    trial.report(TrialProgress(trial.number, "converting"))
    convert_made(trial.task, trial.findings, trial.made)
    return True


def _measure_again(trial: _Trial) -> bool:
    """The file, unless its structure is the one that was measured."""
    from nas.tflite.file import structure_key

    file = made_file(trial.task)
    if structure_key(file) == trial.findings.structure:
        return True
    return _stage(trial, "structure", trial.made.architecture, file)


def _score(trial: _Trial) -> bool:
    trial.report(TrialProgress(trial.number, "scoring"))
    return _stage(trial, "weights", trial.made.architecture, made_file(trial.task))


_STEPS = (_cost, _draft, _screen, _make, _finish, _measure_again, _score)
_FIRST_HEAVY = _STEPS.index(_make)


def _steps(study: Study) -> Sequence[Callable[[_Trial], bool]]:
    """All of them, or as many as the study's evaluators look at."""
    if study.trains:
        return _STEPS
    converts = any(evaluator.needs == "structure" for evaluator in study.evaluators)
    return _STEPS[: _FIRST_HEAVY if converts else 1]


def _stage(trial: _Trial, needs: Needs, network: Architecture, artifact: Path | None) -> bool:
    """Run the evaluators of one stage; False where a bound is broken.

    `network` is the candidate's as pruned, or as it is expected to be before.
    """
    task, findings = trial.task, trial.findings
    candidate = replace(task.candidate, architecture=network)
    for evaluator in task.study.evaluators:
        if evaluator.needs == needs:
            with findings.timed(evaluator.to_dict()["name"]):
                _figures(evaluator, candidate, artifact, trial)
    for constraint in task.study.parsed_constraints:
        if constraint.metric in findings.metrics:
            value = findings.metrics[constraint.metric].value
            findings.violations[str(constraint)] = constraint.violation(value)
    return all(violation <= 0 for violation in findings.violations.values())


def _figures(
    evaluator: Evaluator, candidate: Candidate, artifact: Path | None, trial: _Trial
) -> None:
    """Add an evaluator's figures; again without a device that was lost, where that is allowed."""
    task, findings = trial.task, trial.findings
    while True:
        try:
            subject = _subject(evaluator.needs, candidate, artifact, trial)
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
            trial.report(TrialProgress(task.number, "warning", note=note))
        except MissingFigureError as error:
            findings.metrics |= error.figures
            raise


def _subject(needs: Needs, candidate: Candidate, artifact: Path | None, trial: _Trial) -> Subject:
    """What an evaluator looks at; devices that were lost are optional, and no ratio is taken."""
    task = trial.task
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
        trial.findings.notes,
        trial.measure,
    )


def _conditions(task: TrialTask, findings: Findings) -> dict[str, Any]:
    from nas.system.environment import versions

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
