"""The study loop: ask, hand out, wait, tell; what a search does once everything is open."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from nas.data import Dataset
from nas.execution.executor import Executor
from nas.execution.trial.task import OnLostPhone, TrialProgress, TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.search.ask_tell import AskedTrial, OptunaStudy
from nas.search.watcher import Watcher
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult


@final
@dataclass(frozen=True)
class OpenSearch:
    """Everything that a search has open while its loop runs.

    `description` is what run.json holds, `optuna_study` what was asked and told, `executor` who
    runs trials, `watcher` who looks on. `input_quality` is the blurred pictures' own quality, by
    metric. `on_lost_phone` is that of `TrialTask`, `until_converged` that of
    `nas.search.driver.search`.
    """

    study: Study
    dataset: Dataset
    description: Mapping[str, Any]
    run: RunFolder
    optuna_study: OptunaStudy
    executor: Executor
    watcher: Watcher
    input_quality: Mapping[str, float]
    on_lost_phone: OnLostPhone = "stop"
    until_converged: bool = False

    def task(self, asked: AskedTrial) -> TrialTask:
        """Return the task of evaluating a candidate whole; tell the watcher that it waits."""
        label = asked.candidate.label
        self.watcher.progress(TrialProgress(asked.number, "in line", label=label))
        return TrialTask(
            asked.number,
            asked.candidate,
            asked.parameters,
            self.study,
            self.dataset,
            self.description["study"]["data"]["identity"],
            self.run,
            asked.baseline,
            self.on_lost_phone,
        )

    def finished(self, asked: AskedTrial) -> TrialResult | None:
        """Return the result of a trial whose driver was stopped before it could tell it."""
        result = self.run.read_result(asked.number)
        return result if result is not None and result.key == asked.candidate.key else None

    def tell(self, result: TrialResult) -> None:
        """Tell Optuna's study what a trial came to."""
        self.optuna_study.tell(result, self.input_quality)

    def ask(self, trials: int) -> AskedTrial | None:
        """Return a new candidate; None once the run has `trials`, or the space has no more.

        None, too, once a search that is to end at its convergence expects nothing of further ones.
        """
        study = self.optuna_study
        if study.candidates() >= trials:
            return None
        found = study.convergence() if self.until_converged else None
        return None if found is not None and found.reached else study.ask()


@final
@dataclass
class OrderedLoop:
    """The loop of a search without halving: trials are told in the order of their numbers.

    One trial is asked for after each, so the candidates depend on the results alone, never on which
    worker was faster. `out` are the trials that are asked for and not told, `early` the results
    that came back before their turn.
    """

    search: OpenSearch
    out: deque[AskedTrial] = field(default_factory=deque)
    early: dict[int, TrialResult] = field(default_factory=dict)

    def drive(self, trials: int, ahead: int) -> None:
        """Keep `ahead` trials out until `trials` candidates are told."""
        told_before = self.search.optuna_study.told()
        self._resume(told_before)
        while True:
            while len(self.out) < ahead and self._ask(trials):
                pass
            if not self.out:
                return
            self._wait_for(self.out[0].number, trials)
            number = self.out.popleft().number
            if number not in told_before:
                self.search.tell(self.early.pop(number))

    def _resume(self, told_before: set[int]) -> None:
        """Send out what was told and has lost its folder, then what another driver left open."""
        study = self.search.optuna_study
        lost = sorted(told_before - self.search.run.finished_numbers())
        again = [asked for asked in map(study.asked, lost) if asked is not None]
        for asked in (*again, *study.open_trials()):
            self._send(asked)

    def _ask(self, trials: int) -> bool:
        """Send out one more; False where there is no candidate for it."""
        asked = self.search.ask(trials)
        if asked is not None:
            self._send(asked)
        return asked is not None

    def _send(self, asked: AskedTrial) -> None:
        self.out.append(asked)
        result = self.search.finished(asked)
        if result is not None:
            self.early[asked.number] = result
        else:
            self.search.executor.submit(self.search.task(asked))

    def _wait_for(self, number: int, trials: int) -> None:
        """Take results until that trial's is there."""
        while number not in self.early:
            result = self.search.executor.next()
            if isinstance(result, WaitingTrial):
                raise TypeError(
                    f"trial {result.number} waits at a rung in a search without halving"
                )
            if result is None:
                # Workers are idle: one more than agreed keeps one slow trial from stopping them.
                # Only here does it matter how fast workers are.
                self._ask(trials)
                continue
            self.early[result.number] = result
            self.search.watcher.finished(result)
