"""The study loop with halving: a worker that is free trains on who deserves it, else starts anew.

With one worker what happens depends on results alone, and a killed search goes on to the same end.
With more, who goes on depends on which readings there are when a worker asks; nothing waits for the
slowest. Trials are told as they end; those that never went on are pruned at the end of the search.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nas.execution.trial.task import TrialProgress
from nas.execution.trial.waiting import Rested
from nas.search.ask_tell import Asked
from nas.search.loop import Loop
from nas.study.halving import RUNG_NAMES, SHARES, promotion, readings_of
from nas.study.trial_result import TrialResult


@dataclass
class HalvingLoop(Loop):
    """The driver's state: which trials are out, and which wait at a rung."""

    out: dict[int, Asked] = field(default_factory=dict)
    waiting: dict[int, tuple[Asked, Rested]] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)

    def drive(self, trials: int, ahead: int) -> None:
        """Keep `ahead` trials out until `trials` candidates were read and nobody may go on."""
        self._resume()
        while True:
            while len(self.out) < ahead and self._next(trials):
                pass
            if not self.out:
                break
            ended = self.executor.next()
            if ended is None:  # workers are idle: better another trial than none
                self._next(trials)
                continue
            self._take(ended)
        self._prune()

    def _resume(self) -> None:
        """Take up what another driver left: what was told and lost, then what was open."""
        self.known = self.memory.told()
        pruned = {s.number: len(s.gains) - 1 for s in self.memory.standings() if s.stopped}
        for number in sorted(self.known - self.run.finished_numbers()):
            asked = self.memory.asked(number)
            if asked is not None:
                self._send(asked, pruned.get(number), None)
        for asked in self.memory.open_trials():
            result = self.run.read_result(asked.number)
            rested = Rested.read(self.run, asked.number, asked.candidate.key)
            if result is not None and result.key == asked.candidate.key:
                self.memory.tell(result, self.stand_in)
            elif rested is not None:
                self.memory.rest(rested.result)
                self.waiting[asked.number] = (asked, rested)
            else:
                self._send(asked, 0, None)

    def _next(self, trials: int) -> bool:
        """Send out whoever may go on, else a new candidate; False where there is neither."""
        busy = self.out.keys() - self.known
        objectives = self.study.expanded_objectives
        bounds = {c.metric: c.bound for c in self.study.parsed_constraints if c.comparison == "<="}
        standings = self.memory.standings()
        number = promotion(standings, objectives, self.stand_in, busy, bounds)
        if number is not None:
            asked, rested = self.waiting.pop(number)
            rung = rested.rung + 1
            self._send(asked, rung if rung < len(SHARES) else None, rested)
            return True
        new = self.memory.ask() if self.memory.candidates() < trials else None
        if new is not None:
            self._send(new, 0, None)
        return new is not None

    def _send(self, asked: Asked, rung: int | None, rested: Rested | None) -> None:
        self.out[asked.number] = asked
        self.executor.submit(replace(self.task(asked), rung=rung, rested=rested))

    def _take(self, ended: TrialResult | Rested) -> None:
        asked = self.out.pop(ended.number)
        if isinstance(ended, TrialResult):
            self.watcher.finished(ended)
            if ended.number not in self.known:
                self.memory.tell(ended, self.stand_in)
        elif ended.number in self.known:
            self.run.write_result(ended.result)  # it was pruned, and its folder lost
        else:
            self.memory.rest(ended.result)
            self.waiting[ended.number] = (asked, ended)
            gains = readings_of(ended.result)[-1]
            said = ", ".join(f"{name} {gain:+.2f}" for name, gain in gains.items())
            note = f"waits at {RUNG_NAMES[ended.rung]} of the training: {said} to the blurred"
            self.watcher.progress(TrialProgress(ended.number, "rests", note=note))

    def _prune(self) -> None:
        """Nobody goes on any more: those that wait are told so."""
        for number, (_, rested) in sorted(self.waiting.items()):
            self.run.write_result(rested.result)
            (self.run.trial(number) / "untrained.tflite").unlink(missing_ok=True)
            self.watcher.finished(rested.result)
            self.memory.tell(rested.result, self.stand_in)
        self.waiting.clear()
        for checkpoint in self.run.checkpoints():
            checkpoint.unlink(missing_ok=True)
