"""The study loop with halving: a free worker trains on who deserves it, else begins a new trial.

With one worker what happens depends on results alone, and a killed search goes on to the same end.
With more, who goes on depends on which readings there are when a worker asks; nothing waits for the
slowest. Trials are told as they end; those that never went on are stopped when the search ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

from nas.execution.trial.task import TrialProgress
from nas.execution.trial.waiting import WaitingTrial
from nas.search.ask_tell import AskedTrial
from nas.search.loop import OpenSearch
from nas.study.halving import RUNG_NAMES, SHARES, promotion, readings_of
from nas.study.trial_result import TrialResult


@final
@dataclass
class HalvingLoop:
    """The loop of a search with halving.

    `out` are the trials that are with the executor, by number; `waiting` those that wait at a rung;
    `told_before` the numbers that another driver told.
    """

    search: OpenSearch
    out: dict[int, AskedTrial] = field(default_factory=dict)
    waiting: dict[int, tuple[AskedTrial, WaitingTrial]] = field(default_factory=dict)
    told_before: set[int] = field(default_factory=set)

    def drive(self, trials: int, ahead: int) -> None:
        """Keep `ahead` trials out until `trials` candidates were read and nobody may go on."""
        self._resume()
        while True:
            while len(self.out) < ahead and self._send_next(trials):
                pass
            if not self.out:
                break
            ended = self.search.executor.next()
            if ended is None:  # workers are idle: better another trial than none
                self._send_next(trials)
                continue
            self._take(ended)
        self._stop_waiting()

    def _resume(self) -> None:
        """Take up what another driver left: what was told and lost, then what was open."""
        study = self.search.optuna_study
        self.told_before = study.told()
        stopped = {s.number: len(s.gains) - 1 for s in study.standings() if s.stopped}
        for number in sorted(self.told_before - self.search.run.finished_numbers()):
            asked = study.asked(number)
            if asked is not None:
                self._send(asked, stopped.get(number), None)
        for asked in study.open_trials():
            result = self.search.finished(asked)
            waiting = WaitingTrial.read(self.search.run, asked.number, asked.candidate.key)
            if result is not None:
                self.search.tell(result)
            elif waiting is not None:
                study.rest(waiting.result)
                self.waiting[asked.number] = (asked, waiting)
            else:
                self._send(asked, 0, None)

    def _send_next(self, trials: int) -> bool:
        """Send out whoever may go on, else a new candidate; False where there is neither."""
        search = self.search
        busy = self.out.keys() - self.told_before
        constraints = search.study.parsed_constraints
        bounds = {c.metric: c.bound for c in constraints if c.comparison == "<="}
        standings = search.optuna_study.standings()
        objectives = search.study.expanded_objectives
        number = promotion(standings, objectives, search.input_quality, busy, bounds)
        if number is not None:
            asked, waiting = self.waiting.pop(number)
            rung = waiting.rung + 1
            self._send(asked, rung if rung < len(SHARES) else None, waiting)
            return True
        new = search.ask(trials)
        if new is not None:
            self._send(new, 0, None)
        return new is not None

    def _send(self, asked: AskedTrial, rung: int | None, waited: WaitingTrial | None) -> None:
        self.out[asked.number] = asked
        task = self.search.task(asked)
        self.search.executor.submit(replace(task, rung=rung, waited=waited))

    def _take(self, ended: TrialResult | WaitingTrial) -> None:
        search = self.search
        asked = self.out.pop(ended.number)
        if isinstance(ended, TrialResult):
            search.watcher.finished(ended)
            if ended.number not in self.told_before:
                search.tell(ended)
        elif ended.number in self.told_before:
            search.run.write_result(ended.result)  # it was stopped, and its folder lost
        else:
            search.optuna_study.rest(ended.result)
            self.waiting[ended.number] = (asked, ended)
            gains = readings_of(ended.result)[-1]
            readings = ", ".join(f"{name} {gain:+.2f}" for name, gain in gains.items())
            note = f"waits at {RUNG_NAMES[ended.rung]} of the training: {readings} to the blurred"
            search.watcher.progress(TrialProgress(ended.number, "rests", note=note))

    def _stop_waiting(self) -> None:
        """Nobody goes on any more: tell the trials that wait as stopped."""
        search = self.search
        for number, (_, waiting) in sorted(self.waiting.items()):
            search.run.write_result(waiting.result)
            (search.run.trial(number) / "untrained.tflite").unlink(missing_ok=True)
            search.watcher.finished(waiting.result)
            search.tell(waiting.result)
        self.waiting.clear()
        for checkpoint in search.run.checkpoints():
            checkpoint.unlink(missing_ok=True)
