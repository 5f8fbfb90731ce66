"""One trial, cheap things first: cost, latency of the untrained file, training, quality.

`STEPS` below is the whole of it, in order. A trial runs in whatever process an executor gives it.
Everything that it makes goes into the run's folder; its result is written whole before anybody is
told, so that a kill at any moment loses nothing that was finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

from nas.compression.compress import expected_architecture
from nas.compression.pruning import Pruning
from nas.devices.fleet import MeasureAll, measure_everywhere
from nas.errors import DeviceStableError, NasError, RunError, UnreachableShareError
from nas.execution.measurement_jobs import InHand, MeasureJob, Reply, Wanted
from nas.execution.trial.figures import Stage, within_bounds
from nas.execution.trial.steps import (
    artifact_file,
    train_fully,
    train_to_rung,
    untrained_file,
    write_artifact,
    write_untrained,
)
from nas.execution.trial.task import Findings, Report, StepName, TrialProgress, TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.networks.candidate import Architecture
from nas.networks.layers import NETWORK_FORMAT
from nas.study.study import Study
from nas.study.trial_result import STOPPED, Failure, State, TrialResult

if TYPE_CHECKING:
    from nas.compression.finetuning import Trained

REACHABLE = "pruned share can be reached"  # what a network breaks that has too few channels
RUNS = "runs on every device"  # the constraint that a candidate breaks where a device refuses it


def _nothing() -> None:
    """What is done before the first network is built, where nothing needs to be."""


@dataclass(frozen=True)
class TrialPart:
    """A trial as a worker gets it: from its start, or from where it stopped, with the replies.

    `replies` are all measurements that the trial has asked for so far. With `stop_early` the worker
    is not for training: the trial stops where its training would begin.
    """

    task: TrialTask
    findings: Findings = field(default_factory=Findings)
    replies: tuple[Reply, ...] = ()
    stop_early: bool = False

    @classmethod
    def of(cls, task: TrialTask) -> TrialPart:
        """Return the whole trial, or all of it behind the rung at which it waited."""
        return cls(task, Findings.of(task))

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.task.number

    @property
    def trains(self) -> bool:
        """Whether the next step needs a trainer."""
        return _step(self.findings.next_step).needs_trainer


@dataclass(frozen=True)
class Paused:
    """A trial that goes on elsewhere: after `jobs`, or, where there are none, on a trainer."""

    number: int
    findings: Findings
    jobs: tuple[MeasureJob, ...] = ()


def run_trial(
    task: TrialTask, report: Report, prepare: Callable[[], object] = _nothing
) -> TrialResult | WaitingTrial:
    """Evaluate a candidate here, or train it up to a rung; write what it came to and return it.

    `prepare` is called before the first step that builds a network. A candidate that can't be
    converted, trained or run is a result too ("failed", with its cause). Raises RunError only: a
    run's folder that can't be written, or a phone that is lost, is no fault of the candidate, which
    is evaluated when the run goes on.
    """
    ended = _Trial(task, Findings.of(task), report, measure_everywhere, prepare=prepare).run()
    if isinstance(ended, Paused):
        raise TypeError(f"trial {task.number} paused, though nobody asked it to")
    return ended


def run_part(
    part: TrialPart, report: Report, prepare: Callable[[], object] = _nothing
) -> TrialResult | Paused | WaitingTrial:
    """Go on with a trial until it ends, waits at a rung, or wants measurements or a trainer.

    `prepare` and what is raised are those of `run_trial`.
    """
    task, findings = part.task, part.findings
    measure = InHand(task.number, part.replies)
    try:
        return _Trial(task, findings, report, measure, part.stop_early, prepare).run()
    except Wanted as wanted:
        return Paused(task.number, findings, wanted.jobs)


End = Literal["done", "bound broken", "at its rung", "trainer wanted"]


@final
@dataclass(frozen=True)
class _Trial:
    """A trial under way."""

    task: TrialTask
    findings: Findings
    report: Report
    measure: MeasureAll
    stop_early: bool = False
    prepare: Callable[[], object] = _nothing

    def run(self) -> TrialResult | WaitingTrial | Paused:
        """Take the steps that are left, and write the result; raises as `run_trial`."""
        findings = self.findings
        failure = None
        try:
            end = self._take_steps()
            if end == "trainer wanted":
                return Paused(self.task.number, findings)
            if end == "at its rung":
                return self._wait()
            state: State = "complete" if end == "done" else "infeasible"
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
        result = self._result(state, failure)
        self.task.run.write_result(result)
        return result

    def _take_steps(self) -> End:
        """Take step after step from `findings.next_step` on, up to the first that ends it."""
        names = [step.name for step in STEPS]
        first = names.index(self.findings.next_step)
        for step in _steps_of(self.task.study)[first:]:
            self.findings.next_step = step.name
            if step.needs_trainer and self.stop_early:
                return "trainer wanted"
            if step.builds_network:
                self.prepare()
            if not step.take(self):
                return "bound broken"
            if step.name == "training" and self.task.rung is not None:
                return "at its rung"
        return "done"

    @property
    def network(self) -> Architecture:
        """The candidate's network as it is expected to be once it is pruned."""
        share = self.task.candidate.compression.pruned_share
        return expected_architecture(self.task.candidate.architecture, share)

    @property
    def trained(self) -> Trained:
        """The network that was trained and pruned; ValueError before the training."""
        if self.findings.trained is None:
            raise ValueError("nothing is trained yet")
        return self.findings.trained

    def tell(self, stage: str) -> None:
        """Report that a stage has begun."""
        self.report(TrialProgress(self.task.number, stage))

    def within_bounds(self, stage: Stage) -> bool:
        """Add a stage's figures; False where one breaks a bound. Raises as `within_bounds`."""
        return within_bounds(stage, self.task, self.findings, self.report, self.measure)

    def _wait(self) -> WaitingTrial:
        """Keep what is needed to go on; the result is that of a trial that never will."""
        rung, findings = self.task.rung, self.findings
        if rung is None:
            raise ValueError("the trial has no rung to wait at")
        result = self._result(STOPPED, None)
        waiting = WaitingTrial(rung, result, findings.structure, dict(findings.notes))
        waiting.write(self.task.run)
        return waiting

    def _result(self, state: State, failure: Failure | None) -> TrialResult:
        task, findings = self.task, self.findings
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


def _cost(trial: _Trial) -> bool:
    """MACs and parameters, by formula."""
    trial.tell("cost")
    return trial.within_bounds(Stage("architecture", trial.network, None))


def _write_untrained(trial: _Trial) -> bool:
    """The file of the untrained network: latency and placement don't depend on weights."""
    trial.tell("screening")
    write_untrained(trial.task, trial.findings, trial.network)
    return True


def _screen(trial: _Trial) -> bool:
    """The untrained file's latency and placement on every device."""
    return trial.within_bounds(Stage("structure", trial.network, untrained_file(trial.task)))


def _train(trial: _Trial) -> bool:
    """Training, pruning and fine-tuning; or training up to the task's rung."""
    if trial.task.rung is not None:
        train_to_rung(trial.task, trial.findings, trial.report)
        return True
    trained = trial.findings.trained = train_fully(trial.task, trial.findings, trial.report)
    if trained.architecture == trial.network:
        return True
    return trial.within_bounds(Stage("architecture", trained.architecture, None))


def _convert(trial: _Trial) -> bool:
    """The file that would ship."""
    trial.tell("converting")
    write_artifact(trial.task, trial.findings, trial.trained)
    return True


def _time_again(trial: _Trial) -> bool:
    """The latency of that file, unless its structure is the one that was timed."""
    from nas.tflite.file import structure_key

    artifact = artifact_file(trial.task)
    if structure_key(artifact) == trial.findings.structure:
        return True
    return trial.within_bounds(Stage("structure", trial.trained.architecture, artifact))


def _score(trial: _Trial) -> bool:
    """The file's quality on held-out pictures."""
    trial.tell("scoring")
    artifact = artifact_file(trial.task)
    return trial.within_bounds(Stage("weights", trial.trained.architecture, artifact))


@dataclass(frozen=True)
class _Step:
    """A step of a trial; `take` returns False where a bound is broken, which ends the trial."""

    name: StepName
    take: Callable[[_Trial], bool]
    builds_network: bool = True
    needs_trainer: bool = False


STEPS = (
    _Step("cost", _cost, builds_network=False),
    _Step("untrained file", _write_untrained),
    _Step("screening", _screen),
    _Step("training", _train, needs_trainer=True),
    _Step("conversion", _convert, needs_trainer=True),
    _Step("second timing", _time_again, needs_trainer=True),
    _Step("scoring", _score, needs_trainer=True),
)


def _step(name: StepName) -> _Step:
    return next(step for step in STEPS if step.name == name)


def _steps_of(study: Study) -> Sequence[_Step]:
    """All steps, or as many as the study's evaluators look at."""
    if study.trains:
        return STEPS
    if any(evaluator.needs == "structure" for evaluator in study.evaluators):
        return [step for step in STEPS if not step.needs_trainer]
    return [step for step in STEPS if not step.builds_network]


def _conditions(task: TrialTask, findings: Findings) -> dict[str, Any]:
    from nas.system.environment import versions

    pruned = task.candidate.compression.pruned_share > 0
    return {
        **findings.notes,
        **({"network": findings.network} if pruned else {}),
        **({"pruning": Pruning().to_dict()} if pruned else {}),
        "versions": versions(),
        "network_format": NETWORK_FORMAT,
        "data": task.study.data,
        "split": task.dataset.split,
        "schedule": task.study.schedule.to_dict(),
        "seed": task.study.seed,
        "size": list(task.study.size),
    }
