"""Where the driver saturates: a simulated cluster drives the real scheduling, leases and study.

    python -m benchmarks.simulated_cluster [SECONDS_A_TRIAL [SAMPLER]...]

Workers, phones and their faults are simulated on a clock of their own; `nas.search.driver`'s loop,
`nas.execution.pool.PoolExecutor`, `nas.execution.leases` and `nas.search.ask_tell` (with a journal
on this disk) are the real ones. The driver's processor time is measured, and put in relation to the
simulated hours: the knee is the rate of trials at which it needs a whole core. Files of results are
not written: they are the workers'. What Ray itself takes of the driver's time is not in it.
"""

from __future__ import annotations

import cProfile
import heapq
import itertools
import os
import pstats
import random
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.data import open_dataset
from nas.devices import TimingProtocol
from nas.execution.leases import Leases
from nas.execution.measurement_jobs import MeasureJob, Reply
from nas.execution.pool import PoolExecutor
from nas.execution.ray.crew import progress_seconds
from nas.execution.run_log import RunLog
from nas.execution.trial.run import Paused, TrialPart
from nas.execution.trial.task import Findings, TrialProgress
from nas.execution.workers import LIGHT, TRAIN, Gone, Job, Message, Ready
from nas.networks.candidate import Candidate
from nas.search.ask_tell import OptunaStudy
from nas.search.loop import OpenSearch, OrderedLoop
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.system.environment import processor, versions
from search_spaces import CompressionSpace, UNetSpace
from tests.helpers.small_study import result_of, small_study

SCREEN_S, MEASURE_S, START_S = 3.0, 15.0, 15.0
DEATH = 0.01  # of the trainings lose their worker
SILENT = 0.001  # of the trainings hang
CABLE = 0.01  # of the measurements find their phone unplugged for two minutes


@dataclass
class Clock:
    """A clock that counts simulated seconds."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class SimulatedCrew:
    """See `nas.execution.workers.Crew`: events in a heap, no process, no waiting."""

    clock: Clock
    trial_s: float
    phones: int
    progress_s: float
    drawn: random.Random = field(default_factory=lambda: random.Random(5))
    started: int = 0
    events: list[tuple[float, int, str, Message]] = field(default_factory=list)
    alive: dict[str, str] = field(default_factory=dict)
    busy_s: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _order: Any = field(default_factory=itertools.count)

    def start(self, kind: str) -> str:
        self.started += 1
        name = f"{kind}-{self.started}"
        self.alive[name] = kind
        self._later(START_S, name, Ready("simulated"))
        return name

    def give(self, worker: str, job: Job) -> None:
        if isinstance(job, MeasureJob):
            self._measure(worker, job)
        elif job.stop_early or not job.trains:
            self._screen(worker, job)
        else:
            self._train(worker, job)

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        until = self.clock.now + seconds
        heard: list[tuple[str, Message]] = []
        if not self.events or self.events[0][0] > until:
            self.clock.now = until
            return heard
        self.clock.now = max(self.clock.now, self.events[0][0])
        while self.events and self.events[0][0] <= self.clock.now:
            _, _, worker, message = heapq.heappop(self.events)
            if worker in self.alive:
                heard.append((worker, message))
                if isinstance(message, Gone):
                    del self.alive[worker]
        return heard

    def stop(self, worker: str) -> None:
        self.alive.pop(worker, None)

    def lacks(self, kind: str) -> str:
        return "nothing"

    def close(self) -> None:
        self.alive.clear()

    def _later(self, seconds: float, worker: str, message: Message) -> None:
        heapq.heappush(self.events, (self.clock.now + seconds, next(self._order), worker, message))

    def _screen(self, worker: str, part: TrialPart) -> None:
        """Three phones a candidate; the fourth part of the candidates is refused by one."""
        if part.replies:
            if int(part.task.candidate.key, 16) % 4 == 0:
                self._later(0.1, worker, _result(part, "infeasible"))
            else:
                self._later(0.1, worker, Paused(part.number, Findings(next_step="training")))
            return
        first = part.number % self.phones
        devices = {f"adb:{(first + k * 67) % self.phones}" for k in range(3)}
        jobs = tuple(
            MeasureJob(part.number, Path("file"), device, TimingProtocol(), Path("cache"))
            for device in sorted(devices)
        )
        self._later(SCREEN_S, worker, Paused(part.number, Findings(next_step="screening"), jobs))

    def _measure(self, worker: str, job: MeasureJob) -> None:
        seconds = MEASURE_S * self.drawn.uniform(0.7, 1.3)
        if self.drawn.random() < CABLE:
            self.faults["phones unplugged"] += 1
            seconds += 120.0
        self.busy_s["phone"] += seconds
        reply = Reply(job.number, job.artifact, job.device, seconds, "key", {})
        self._later(seconds, worker, reply)

    def _train(self, worker: str, part: TrialPart) -> None:
        seconds = self.trial_s * self.drawn.uniform(0.5, 1.5)
        fate = self.drawn.random()
        if fate < SILENT:
            self.faults["workers silent"] += 1
            return
        for at in range(1, int(seconds / self.progress_s)):
            progress = TrialProgress(part.number, "training", at, int(seconds / self.progress_s))
            self._later(at * self.progress_s, worker, progress)
        if fate < SILENT + DEATH:
            self.faults["workers killed"] += 1
            self._later(seconds / 2, worker, Gone("its process was killed by signal 9"))
            return
        self.busy_s["trainer"] += seconds
        self._later(seconds, worker, _result(part, "complete"))


def _result(part: TrialPart, state: str) -> TrialResult:
    return replace(result_of(_Numbered(part.number, part.task.candidate)), state=state)


@dataclass(frozen=True)
class _Numbered:
    number: int
    candidate: Candidate
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The result of a simulation."""

    trials: int
    hours: float
    core: float
    trainers_busy: float
    phones_busy: float
    faults: Mapping[str, int]

    @property
    def knee(self) -> float:
        """Trials a second at which the driver needs a whole core."""
        return self.trials / (self.core * self.hours * 3600)


def simulate(study: Study, workers: int, phones: int, trials: int, trial_s: float) -> Outcome:
    """Run a whole search; every trial must end exactly once."""
    clock = Clock()
    crew = SimulatedCrew(clock, trial_s, phones, progress_seconds(workers))
    watcher = _Counts()
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        log = _TableOnly(run.path, trials, clock)
        limits = {TRAIN: workers, LIGHT: max(1, workers // 50)}
        executor = PoolExecutor(crew, limits, watcher.progress, log, Leases(clock))
        memory = OptunaStudy(study, run.journal)
        description = {"study": {"data": {"identity": {}}}}
        dataset = open_dataset("photos")
        quality = {"psnr_db": 20.0}
        search = OpenSearch(study, dataset, description, run, memory, executor, watcher, quality)
        loop = OrderedLoop(search)
        spent = time.process_time()
        loop.drive(trials, ahead=2 * workers + phones)
        spent = time.process_time() - spent
        if Counter(watcher.ended) != Counter(set(watcher.ended)) or len(watcher.ended) != trials:
            raise RuntimeError("a trial was lost or ended twice")
        if len(memory.told()) < trials:
            raise RuntimeError("a trial was not told")
    seconds = clock.now
    return Outcome(
        trials,
        seconds / 3600,
        spent / seconds,
        crew.busy_s["trainer"] / workers / seconds,
        crew.busy_s["phone"] / phones / seconds,
        dict(crew.faults),
    )


class _TableOnly(RunLog):
    """The table is written as it is; a log a trial would only measure this machine's disk."""

    def event(self, number: int, event: str, **about: Any) -> None:
        return None


class _Counts(NobodyWatches):
    def __init__(self) -> None:
        self.ended: deque[int] = deque()

    def finished(self, result: TrialResult) -> None:
        self.ended.append(result.number)


def _study(sampler: str) -> Study:
    space = UNetSpace(widths=tuple(range(8, 128, 8)), levels=(3, 4), convolutions=(1, 2, 3))
    return small_study(
        space=space,
        compression=CompressionSpace(("float", "int8-ptq")),
        sampler=sampler,
        startup_trials=20,
        trials=1,
    )


def main(trial_s: float, samplers: list[str]) -> None:
    print(processor(), versions(), f"load {os.getloadavg()[0]:.1f}")
    print(f"trials of {trial_s:.0f} s, {MEASURE_S:.0f} s on each of 3 phones; faults: {DEATH:.1%} ")
    for sampler, sizes in {
        "random": [(100, 20), (1000, 200), (3000, 600)],
        "tpe": [(1000, 200)],
        "ehvi": [(1000, 200)],
    }.items():
        for workers, phones in sizes if sampler in samplers else ():
            trials = 3 * workers if sampler == "random" else workers
            found = simulate(_study(sampler), workers, phones, trials, trial_s)
            wanted = workers / trial_s  # trials a second that keep every trainer busy
            print(
                f"{sampler:6} {workers:6} workers {phones:5} phones: {found.trials} trials in "
                f"{found.hours:.2f} h; driver {1000 / found.knee:.2f} ms a trial, knee at "
                f"{found.knee:.0f} trials a second; all trainers busy need {wanted:.2f}: "
                f"{wanted / found.knee:.1%} of a core; {dict(found.faults)}",
                flush=True,
            )
    if "profile" not in samplers:
        return
    profile = cProfile.Profile()
    profile.enable()
    simulate(_study("random"), 1000, 200, 1000, trial_s)
    profile.disable()
    print("where the driver's time goes:")
    pstats.Stats(profile).sort_stats("tottime").print_stats(8)


if __name__ == "__main__":
    chosen = sys.argv[2:] or ["random", "tpe", "ehvi", "profile"]
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0, chosen)
