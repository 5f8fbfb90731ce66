"""Who runs trials: an `Executor`; here the one with many workers, wherever those are.

Tasks are taken and results given back in the order in which they end. What is given to whom,
retried and given up is decided here, the same for every kind of worker (`nas.execution.workers`);
trials in the driver's own process are `nas.execution.in_process`'s.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nas.errors import RunError
from nas.execution.executor import failed_trial
from nas.execution.leases import Lease, Leases, in_words
from nas.execution.measurement_jobs import MeasureJob, Reply, unreachable
from nas.execution.run_log import RunLog, log_end
from nas.execution.trial.run import Paused, TrialPart
from nas.execution.trial.task import Report, TrialProgress, TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.execution.workers import LIGHT, TRAIN, Crew, Gone, Job, Message, Ready
from nas.study.trial_result import TrialResult

BUILDS_PER_WORKER = 20  # TensorFlow's memory grows with every network that a process has built
START_FAILURES = 10  # in a row: something is wrong with all of them
NO_ROOM_SECONDS = 60.0
HUNGRY_SECONDS = 30.0


@dataclass
class _Worker:
    kind: str
    where: str = ""
    ready: bool = False
    builds: int = 0
    since: float = 0.0


@dataclass
class _Open:
    """A trial that is not finished: its newest part, and the measurements that it waits for."""

    part: TrialPart
    wanted: int = 0
    replies: list[Reply] = field(default_factory=list)


class PoolExecutor:
    """An executor over the workers of a crew; `limits` tells how many there may be of a kind.

    Work whose worker dies, or is silent for too long, is tried again, `ATTEMPTS` times in all,
    going on from its checkpoint; then it is a failed trial that says so. Where LIGHT workers are
    there, they do all but the trainings.
    """

    def __init__(
        self,
        crew: Crew,
        limits: Mapping[str, int],
        report: Report,
        log: RunLog | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._crew = crew
        self._limits = dict(limits)
        self._report = report
        self._log = log or RunLog(None)
        self._leases = Leases(time.monotonic) if leases is None else leases
        self._clock: Callable[[], float] = self._leases.clock
        self._open: dict[int, _Open] = {}
        self._queues: dict[str, list[tuple[int, int, Job]]] = {}
        self._queued = 0
        self._given: dict[str, Job] = {}
        self._workers: dict[str, _Worker] = {}
        self._idle: dict[str, list[str]] = {}
        self._count: Counter[str] = Counter()
        self._starting: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._ended: deque[TrialResult | WaitingTrial] = deque()
        self._start_failures = 0
        self._no_room: dict[str, float] = {}
        self._retried: Counter[str] = Counter()
        self._hungry_since: float | None = None
        self._looked = 0.0
        self._look_at: set[str] = set()

    def submit(self, task: TrialTask) -> None:
        """Queue a task's trial; a free worker takes it when `next` is called."""
        part = TrialPart.of(task)
        self._open[task.number] = _Open(part)
        self._enqueue(part)

    def next(self) -> TrialResult | WaitingTrial | None:
        """Give work out until a trial ends or waits; None where trainers have been idle for long.

        Raises RunError where the run's folder can't be written, or no worker can be had.
        """
        while not self._ended:
            self._assign()
            if self._is_hungry():
                return None
            for worker, message in self._crew.wait(1.0):
                self._hear(worker, message)
            if self._clock() >= self._looked + 1.0:
                self._look_around()
        return self._ended.popleft()

    def close(self) -> None:
        """Stop all workers, and publish the table of work."""
        self._crew.close()
        self._workers.clear()
        self._log.publish(self._table, force=True)

    # Giving work out.

    def _enqueue(self, job: Job) -> None:
        if isinstance(job, MeasureJob):
            kind = job.place
        else:
            kind = TRAIN if job.trains or not self._limits.get(LIGHT) else LIGHT
        self._queued += 1
        self._look_at.add(kind)
        heapq.heappush(self._queues.setdefault(kind, []), (job.number, self._queued, job))

    def _assign(self) -> None:
        """Look at the kinds of work for which something has changed, and at all once a second."""
        kinds, self._look_at = self._look_at, set()
        if TRAIN in kinds:
            kinds.add(LIGHT)  # idle trainers help out
        for kind in kinds:
            queue = self._queues.get(kind, [])
            while queue and self._idle.get(kind):
                self._give(self._idle[kind].pop(), heapq.heappop(queue)[2])
            if kind == LIGHT and not self._queues.get(TRAIN):
                while queue and self._idle.get(TRAIN):
                    self._give(self._idle[TRAIN].pop(), heapq.heappop(queue)[2])
            while len(queue) > self._starting[kind] and self._start(kind):
                pass

    def _start(self, kind: str) -> bool:
        """Start a worker where one is missing and there is room."""
        if self._count[kind] >= self._limits.get(kind, 1):
            return False
        worker = self._crew.start(kind)
        if worker is None:
            since = self._no_room.setdefault(kind, self._clock())
            if self._count[kind] == 0 and self._clock() - since > NO_ROOM_SECONDS:
                self._give_up_on(kind)
            return False
        self._no_room.pop(kind, None)
        self._workers[worker] = _Worker(kind, since=self._clock())
        self._count[kind] += 1
        self._starting[kind] += 1
        return True

    def _give(self, worker: str, job: Job) -> None:
        about = self._workers[worker]
        if isinstance(job, TrialPart):
            job = replace(job, stop_early=about.kind == LIGHT)
            place = "trial"
        else:
            place = job.device
        lease = self._leases.take(job.number, place, worker, limited=about.kind in (TRAIN, LIGHT))
        self._given[worker] = job
        self._busy[about.kind] += 1
        self._log.event(
            job.number,
            "given",
            place=place,
            worker=worker,
            where=about.where,
            attempt=lease.attempt,
        )
        self._crew.give(worker, job)

    # Hearing of it.

    def _hear(self, worker: str, message: Message) -> None:
        about = self._workers.get(worker)
        if about is None:  # stopped meanwhile
            return
        match message:
            case Ready(where):
                about.where, about.ready, about.since = where, True, self._clock()
                self._starting[about.kind] -= 1
                self._start_failures = 0
                self._look_at.add(about.kind)
                self._idle.setdefault(about.kind, []).append(worker)
            case Gone(cause):
                self._lost(worker, cause)
            case TrialProgress():
                self._progress(worker, message)
            case TrialResult():
                self._free(worker, builds="convert" in message.timings_s)
                self._end(message)
            case WaitingTrial():
                self._free(worker, builds=True)
                self._end(message)
            case Paused():
                self._free(worker, builds="convert" in message.findings.timings_s)
                self._pause(message)
            case Reply():
                self._free(worker)
                self._reply(message)
            case BaseException():
                raise message

    def _progress(self, worker: str, progress: TrialProgress) -> None:
        before = self._leases.of(worker)
        if before is not None and before.stage != progress.stage:
            self._log.event(progress.number, "stage", stage=progress.stage, note=progress.note)
        self._log.progress(progress)
        self._leases.heard(worker, progress.stage, progress.done, progress.total)
        self._report(progress)

    def _free(self, worker: str, builds: bool = False) -> None:
        self._leases.done(worker)
        self._given.pop(worker, None)
        about = self._workers[worker]
        self._busy[about.kind] -= 1
        about.builds += builds
        about.since = self._clock()
        if about.builds >= BUILDS_PER_WORKER:
            self._drop(worker)
            self._crew.stop(worker)
        else:
            self._idle.setdefault(about.kind, []).append(worker)
        self._look_at.add(about.kind)

    def _pause(self, paused: Paused) -> None:
        trial = self._open[paused.number]
        trial.part = replace(trial.part, findings=paused.findings)
        trial.wanted = len(paused.jobs)
        if not paused.jobs:
            self._enqueue(trial.part)
            return
        devices = ", ".join(job.device for job in paused.jobs)
        self._log.event(paused.number, "wanted", devices=[job.device for job in paused.jobs])
        self._report(TrialProgress(paused.number, "waiting", note=f"for {devices}"))
        for job in paused.jobs:
            self._enqueue(job)

    def _reply(self, reply: Reply) -> None:
        trial = self._open[reply.number]
        trial.replies.append(reply)
        self._log.event(
            reply.number,
            "measured",
            device=reply.device,
            seconds=round(reply.seconds, 3),
            error=reply.error[1],
        )
        trial.wanted -= 1
        if trial.wanted:
            return
        findings = trial.part.findings
        slowest = max(row.seconds for row in trial.replies)
        findings.timings_s["latency"] = round(findings.timings_s.get("latency", 0) + slowest, 4)
        replies = (*trial.part.replies, *trial.replies)
        trial.part = replace(trial.part, replies=replies)
        trial.replies = []
        self._enqueue(trial.part)

    def _end(self, result: TrialResult | WaitingTrial) -> None:
        self._open.pop(result.number, None)
        self._leases.forget(result.number)
        log_end(self._log, result)
        self._ended.append(result)

    # What goes wrong.

    def _drop(self, worker: str) -> None:
        about = self._workers.pop(worker)
        self._look_at.add(about.kind)
        self._count[about.kind] -= 1
        if not about.ready:
            self._starting[about.kind] -= 1
        elif worker in self._idle.get(about.kind, ()):
            self._idle[about.kind].remove(worker)

    def _lost(self, worker: str, cause: str) -> None:
        about = self._workers[worker]
        self._drop(worker)
        self._retried[cause] += 1
        if not about.ready:
            self._start_failures += 1
            if self._start_failures >= START_FAILURES:
                raise RunError(
                    f"{START_FAILURES} workers in a row ended before they were ready; of the last "
                    f"one {cause}. Try --workers 1, which needs none"
                )
            return
        found = self._leases.lost(worker, cause)
        job = self._given.pop(worker, None)
        if found is not None and job is not None:
            self._busy[about.kind] -= 1
            self._try_again(job, *found)

    def _try_again(self, job: Job, lease: Lease, again: bool) -> None:
        causes = self._leases.causes[lease.number, lease.place]
        self._log.event(
            lease.number, "lost", place=lease.place, worker=lease.worker, cause=causes[-1]
        )
        if again:
            note = f"{causes[-1]}; attempt {lease.attempt + 1} of {self._leases.attempts}"
            self._report(TrialProgress(lease.number, "again", note=note))
            self._enqueue(job)
        elif isinstance(job, MeasureJob):
            self._reply(unreachable(job, in_words(causes)))
        else:
            self._end(failed_trial(job.task, "WorkerDied", in_words(causes)))

    def _give_up_on(self, kind: str) -> None:
        if kind in (TRAIN, LIGHT):
            raise RunError(
                f"no worker can be had: {self._crew.lacks(kind)}. Nothing finished is lost: start "
                "the same command again once there is room"
            )
        while self._queues[kind]:
            job = heapq.heappop(self._queues[kind])[2]
            if isinstance(job, MeasureJob):
                self._reply(unreachable(job, self._crew.lacks(kind)))

    def _look_around(self) -> None:
        self._looked = self._clock()
        self._look_at.update(kind for kind, queue in self._queues.items() if queue)
        for lease in self._leases.overdue():
            self._crew.stop(lease.worker)
            minutes = self._leases.patience_s / 60
            self._lost(lease.worker, f"no sign of life for {minutes:.3g} minutes in {lease.stage}")
        self._log.publish(self._table)

    def _is_hungry(self) -> bool:
        """Whether trainers have waited for long while other trials are still out."""
        queued = self._queues.get(TRAIN) or self._queues.get(LIGHT)
        if queued or self._busy[TRAIN] >= self._limits.get(TRAIN, 1):
            self._hungry_since = None
            return False
        now = self._clock()
        self._hungry_since = now if self._hungry_since is None else self._hungry_since
        if now - self._hungry_since < HUNGRY_SECONDS:
            return False
        self._hungry_since = now
        return True

    def _table(self) -> dict[str, Any]:
        now = self._clock()
        rows = []
        for name, about in self._workers.items():
            lease = self._leases.of(name)
            state = "busy" if lease else "idle" if about.ready else "starting"
            row = {"worker": name, "kind": about.kind, "where": about.where, "state": state}
            idle = {"for_s": round(now - about.since, 1)}
            rows.append(row | (lease.to_dict(now) if lease else idle))
        return {
            "workers": rows,
            "queued": {kind: len(queue) for kind, queue in self._queues.items() if queue},
            "retried": dict(self._retried),
        }
