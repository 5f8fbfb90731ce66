"""The study loop: ask, hand out, wait, tell; what a search does once everything is open."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.data import Dataset
from nas.execution.executor import Executor
from nas.execution.trial.task import OnLostPhone, TrialTask
from nas.execution.trial.waiting import Rested
from nas.search.ask_tell import Asked, Memory
from nas.search.watcher import Watcher
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult


@dataclass
class Loop:
    """The driver's state: what is out, and what came back too early to be told."""

    study: Study
    dataset: Dataset
    description: Mapping[str, Any]
    run: RunFolder
    memory: Memory
    executor: Executor
    watcher: Watcher
    stand_in: Mapping[str, float]
    on_lost_phone: OnLostPhone = "stop"

    def drive(self, trials: int, ahead: int) -> None:
        """Keep `ahead` trials out until `trials` candidates are told.

        Trials are told in the order of their numbers, and one is asked for after each: so the
        candidates depend on the results alone, never on which worker was faster.
        """
        known = self.memory.told()
        lost = sorted(
            known - self.run.finished_numbers()
        )  # told, but their folders are gone: made again
        again = (self.memory.asked(number) for number in lost)
        out = deque(asked for asked in again if asked is not None)
        out.extend(self.memory.open_trials())
        early: dict[int, TrialResult] = {}
        for asked in out:
            self._submit(asked, early)
        while True:
            while len(out) < ahead and self.memory.candidates() < trials:
                new = self.memory.ask()
                if new is None:
                    break
                out.append(new)
                self._submit(new, early)
            if not out:
                return
            while out[0].number not in early:
                result = self.executor.next()
                if isinstance(result, Rested):
                    raise TypeError(f"trial {result.number} rests in a search without halving")
                if result is None:  # workers are idle: better another trial than none
                    self._ask_beyond(out, early, trials)
                    continue
                early[result.number] = result
                self.watcher.finished(result)
            number = out.popleft().number
            if number not in known:
                self.memory.tell(early.pop(number), self.stand_in)

    def _ask_beyond(self, out: deque[Asked], early: dict[int, TrialResult], trials: int) -> None:
        """Ask for one more than agreed, so that one slow trial does not stop all workers.

        Only here does it matter how fast the workers are.
        """
        new = self.memory.ask() if self.memory.candidates() < trials else None
        if new is not None:
            out.append(new)
            self._submit(new, early)

    def _submit(self, asked: Asked, early: dict[int, TrialResult]) -> None:
        result = self.run.read_result(asked.number)
        if result is not None and result.key == asked.candidate.key:
            early[asked.number] = result  # finished, but the driver was stopped before it told
            return
        self.executor.submit(self.task(asked))

    def task(self, asked: Asked) -> TrialTask:
        """The task of evaluating a candidate whole."""
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
