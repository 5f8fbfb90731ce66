"""Looks in a search: candidates measured untrained, in processes of their own, and counted.

The sampler asks for a few looks before each trial. A look takes the steps of a trial up to its
screening; so it costs a conversion and a measurement, and a simulator or the host answers in
seconds. `looks.jsonl` in the run's folder has a line for each, beside what the study keeps.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from nas.execution.look import LookFound
from nas.execution.trial.task import TrialTask
from nas.networks.candidate import Candidate
from nas.predictor.for_sampler import PartialTrial
from nas.sampling.looks import looks_of
from nas.storage.run_folder import LOOKS
from nas.study.study import Study
from nas.system.answering_process import AnsweringProcess

MOST = 6  # looks a trial
SHARE = 0.2  # of the trials' time, at most, that looks may take
SECONDS = "seconds"  # the attribute of a trial that keeps how long its evaluation took
LIMIT_S = 180.0  # a look that takes longer hangs
_WORKER = "nas.execution.look_worker"
_QUIET = ("npu", "paper")  # kinds of devices whose figures have no noise: looks run side by side


@final
class StudyLooks:
    """The looks of one search; a callable as `EhviSampler` takes it, and the number it may take.

    `task` makes the task of a candidate; `note` is told, once each, of what goes wrong. `most` is
    the largest number of looks a trial, `share` that of the trials' time.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        task: Callable[[Candidate, Mapping[str, Any]], TrialTask],
        note: Callable[[str], None],
        most: int = MOST,
        share: float = SHARE,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._study, self._folder, self._task, self._note = study, folder, task, note
        self._most, self._share, self._limit_s = most, share, limit_s
        self._objectives = [objective.metric for objective in study.expanded_objectives]
        self._idle: queue.LifoQueue[AnsweringProcess | None] = queue.LifoQueue()
        self._hung = False  # once, and nobody is kept waiting again
        self._lock, self._said = threading.Lock(), set[str]()
        self.threads = threads_for(study)
        for _ in range(self.threads):
            self._idle.put(None)

    def __call__(self, parameters: Mapping[str, Any]) -> dict[int, float] | None:
        """Look at a candidate; infinite costs where it can't be used, None without an answer."""
        if self._hung:
            return None
        candidate = self._study.sample(cast("Any", PartialTrial(parameters)))
        process = self._idle.get()
        began = time.perf_counter()
        try:
            process = process or AnsweringProcess.started(_WORKER)
            question = (self._task(candidate, parameters), self._folder)
            answer = process.asked(question, self._limit_s)
            if not isinstance(answer, LookFound):
                answer = LookFound({}, missing=str(answer))
        except (OSError, EOFError, TimeoutError, AttributeError, TypeError) as error:
            taken = time.perf_counter() - began
            answer = LookFound({}, missing=f"{type(error).__name__}: {error}", seconds=taken)
            self._hung |= isinstance(error, TimeoutError)
            if process is not None:
                process.end()
                process = None
        finally:
            self._idle.put(process)
        self._keep(candidate, answer)
        if answer.missing:
            self._say(f"a look at a candidate had no answer ({answer.missing})")
            return None
        if answer.refused:
            return {0: math.inf}
        return {
            index: answer.figures[metric]
            for index, metric in enumerate(self._objectives)
            if metric in answer.figures and math.isfinite(answer.figures[metric])
        }

    def allowed(self, trials: Sequence[FrozenTrial]) -> int:
        """Return how many looks the next trial may take, by what the study keeps alone.

        Looks take no more than their share of the time that trials took so far. Before anything
        is known about them one is taken. The first trials take none: nothing chooses among them.
        """
        complete = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if complete < max(1, self._study.startup_trials):
            return 0
        looks = [one.seconds for trial in trials for one in looks_of(trial)]
        if not looks:
            return min(1, self._most)
        trained = sum(float(trial.user_attrs.get(SECONDS, 0.0)) for trial in trials)
        left = self._share * trained - sum(looks) / self.threads
        one = max(float(np.median(looks)) / self.threads, 1e-3)
        return max(0, min(self._most, int(left / one)))

    def close(self) -> None:
        """End the processes."""
        while True:
            try:
                process = self._idle.get_nowait()
            except queue.Empty:
                return
            if process is not None:
                process.end()

    def _keep(self, candidate: Candidate, found: LookFound) -> None:
        line = {"key": candidate.key, "label": candidate.label, **asdict(found)}
        with self._lock, (self._folder / LOOKS).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _say(self, text: str) -> None:
        with self._lock:
            if text in self._said:
                return
            self._said.add(text)
        self._note(text)


def looks_are_useful(study: Study) -> bool:
    """Return whether a look tells something that a trial takes a training for."""
    known = [e for e in study.evaluators if e.needs in ("architecture", "structure")]
    objectives = {objective.metric for objective in study.expanded_objectives}
    told = {name for e in known for name in e.metrics(study.devices)}
    return study.trains and bool(told & objectives) and study.sampler == "ehvi"


def threads_for(study: Study) -> int:
    """Return how many looks run side by side: one where a device's figures are disturbed."""
    devices = study.devices + study.optional_devices
    if all(device.partition(":")[0] in _QUIET for device in devices):
        return max(1, min(4, os.cpu_count() or 1))
    return 1
