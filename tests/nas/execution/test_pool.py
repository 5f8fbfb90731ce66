"""The pool's decisions, with workers that are no processes and a clock that is moved by hand."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from nas.data import open_dataset
from nas.devices import TimingProtocol
from nas.errors import RunError
from nas.execution.leases import Leases
from nas.execution.measurement_jobs import MeasureJob, Reply
from nas.execution.pool import NO_ROOM_SECONDS, PoolExecutor
from nas.execution.trial.run import Paused, TrialPart
from nas.execution.trial.task import Findings, TrialProgress, TrialTask
from nas.execution.workers import LIGHT, TRAIN, Gone, Job, Message, Ready
from nas.networks.candidate import Candidate
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from search_spaces import UNet
from tests.helpers.small_study import result_of, small_study

PHONE = "adb:A"


class Hands:
    """A crew whose workers do what `act` says, at once; None is silence."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[tuple[str, Message]] = []
        self.given: list[tuple[str, Job]] = []
        self.stopped: list[str] = []
        self.room = {TRAIN: 9, LIGHT: 9, PHONE: 9}
        self._names = itertools.count()

    def clock(self) -> float:
        return self.now

    def act(self, worker: str, job: Job) -> Message | None:
        return result(job) if isinstance(job, TrialPart) else None

    def start(self, kind: str) -> str | None:
        if not self.room.get(kind):
            return None
        name = f"{kind} {next(self._names)}"
        self.said.append((name, Ready()))
        return name

    def give(self, worker: str, job: Job) -> None:
        self.given.append((worker, job))
        message = self.act(worker, job)
        if message is not None:
            self.said.append((worker, message))

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        if not self.said:
            self.now += seconds
        said, self.said = self.said, []
        return said

    def stop(self, worker: str) -> None:
        self.stopped.append(worker)

    def lacks(self, kind: str) -> str:
        return f"no {kind} today"

    def close(self) -> None:
        self.said.clear()


def result(part: TrialPart) -> TrialResult:
    asked = part.task
    return replace(result_of(asked), number=part.number)


def task(tmp_path: Path, number: int) -> TrialTask:
    candidate = Candidate(UNet(widths=(4 + 4 * number, 8), convolutions=1, first_kernel=3))
    dataset = open_dataset("photos")
    return TrialTask(number, candidate, {}, small_study(), dataset, {}, RunFolder(tmp_path))


def pool(hands: Hands, heard: list[TrialProgress] | None = None, **limits: int) -> PoolExecutor:
    report = (heard if heard is not None else []).append
    return PoolExecutor(hands, limits or {TRAIN: 2}, report, leases=Leases(hands.clock))


def until_one_ends(executor: PoolExecutor) -> TrialResult:
    return next(ended for ended in iter(executor.next, 0) if ended is not None)


def job(number: int) -> MeasureJob:
    return MeasureJob(number, Path("file"), PHONE, TimingProtocol(), Path("cache"))


def test_a_silent_worker_is_stopped_and_its_trial_tried_again(tmp_path: Path) -> None:
    class Silent(Hands):
        def act(self, worker: str, job: Job) -> Message | None:
            return None if len(self.given) == 1 else super().act(worker, job)

    hands, heard = Silent(), []
    executor = pool(hands, heard)
    executor.submit(task(tmp_path, 0))
    ended = until_one_ends(executor)
    assert ended.state == "complete"
    assert 1800 < hands.now < 1810
    assert hands.stopped == ["train 0"]
    assert [p.note for p in heard if p.stage == "again"] == [
        "no sign of life for 30 minutes in ; attempt 2 of 3"
    ]


def test_signs_of_life_keep_a_slow_worker(tmp_path: Path) -> None:
    class Slow(Hands):
        def wait(self, seconds: float) -> list[tuple[str, Message]]:
            if self.given and not self.said:
                self.now += 1000
                part = self.given[0][1]
                assert isinstance(part, TrialPart)
                if self.now > 9000:
                    return [(self.given[0][0], result(part))]
                return [(self.given[0][0], TrialProgress(0, "training"))]
            return super().wait(seconds)

        def act(self, worker: str, job: Job) -> Message | None:
            return None

    hands = Slow()
    executor = pool(hands)
    executor.submit(task(tmp_path, 0))
    ended = until_one_ends(executor)
    assert ended.state == "complete"
    assert hands.stopped == []


def test_measurements_are_given_to_the_device_and_trainings_to_trainers(tmp_path: Path) -> None:
    class Lab(Hands):
        def act(self, worker: str, job_: Job) -> Message | None:
            if isinstance(job_, MeasureJob):
                return Reply(job_.number, job_.artifact, job_.device, 2.5, "key", {})
            if not job_.replies:
                return Paused(job_.number, Findings(next_step="screening"), (job(job_.number),))
            if job_.stop_early:
                return Paused(
                    job_.number, Findings(next_step="training", timings_s=job_.findings.timings_s)
                )
            return replace(result(job_), timings_s=job_.findings.timings_s)

    hands = Lab()
    executor = pool(hands, None, **{TRAIN: 2, LIGHT: 1})
    executor.submit(task(tmp_path, 0))
    ended = executor.next()
    assert ended is not None
    assert [worker.split()[0] for worker, _ in hands.given] == [LIGHT, PHONE, LIGHT, TRAIN]
    assert ended.timings_s == {"latency": 2.5}


def test_a_device_that_is_gone_for_good_is_a_lost_one(tmp_path: Path) -> None:
    class Unplugged(Hands):
        def act(self, worker: str, job_: Job) -> Message | None:
            if isinstance(job_, MeasureJob):
                return Gone("its node lab is gone")
            if not job_.replies:
                return Paused(job_.number, Findings(next_step="screening"), (job(job_.number),))
            (outcome,) = (reply.outcome() for reply in job_.replies)
            assert outcome.lost
            return replace(result(job_), label=str(outcome.error))

    executor = pool(Unplugged())
    executor.submit(task(tmp_path, 0))
    ended = executor.next()
    assert ended is not None
    assert ended.label == "its node lab is gone in each of 3 attempts"

    hands = Unplugged()
    hands.room[PHONE] = 0
    executor = pool(hands)
    executor.submit(task(tmp_path, 0))
    ended = until_one_ends(executor)
    assert ended.label == f"no {PHONE} today"
    assert NO_ROOM_SECONDS <= hands.now < NO_ROOM_SECONDS + 5


def test_without_any_worker_the_search_ends(tmp_path: Path) -> None:
    hands = Hands()
    hands.room[TRAIN] = 0
    executor = pool(hands)
    executor.submit(task(tmp_path, 0))
    with pytest.raises(RunError, match="no worker can be had: no train today"):
        until_one_ends(executor)


def test_workers_that_never_start_end_the_search(tmp_path: Path) -> None:
    class Broken(Hands):
        def start(self, kind: str) -> str | None:
            name = super().start(kind)
            self.said = [(str(name), Gone("its process ended with exit code 1"))]
            return name

    executor = pool(Broken())
    executor.submit(task(tmp_path, 0))
    with pytest.raises(RunError, match=r"10 workers in a row .* exit code 1"):
        executor.next()


def test_idle_workers_ask_for_more_while_one_trial_takes_long(tmp_path: Path) -> None:
    class One(Hands):
        def act(self, worker: str, job: Job) -> Message | None:
            return None if job.number == 0 else super().act(worker, job)

    hands = One()
    executor = pool(hands)
    executor.submit(task(tmp_path, 0))
    executor.submit(task(tmp_path, 1))
    ended = executor.next()
    assert ended is not None
    assert ended.number == 1
    assert executor.next() is None
    assert 30 <= hands.now < 40


def test_a_worker_is_recycled_after_so_many_networks(tmp_path: Path) -> None:
    class Builds(Hands):
        def act(self, worker: str, job: Job) -> Message | None:
            assert isinstance(job, TrialPart)
            return replace(result(job), timings_s={"convert": 1.0})

    hands = Builds()
    executor = pool(hands, None, **{TRAIN: 1})
    for number in range(41):
        executor.submit(task(tmp_path, number))
    assert [r.number for r in (executor.next() for _ in range(41)) if r] == list(range(41))
    assert [worker for worker, _ in hands.given].count("train 1") == 20
    assert hands.stopped == ["train 0", "train 1"]
