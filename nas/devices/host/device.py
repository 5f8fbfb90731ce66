"""This machine as a device: fresh processes on the LiteRT interpreter, with nothing else of ours.

A process of its own for every launch: XNNPACK aborts the process it works in, memory is laid out
anew each time, and nothing of TensorFlow is near.
"""

from __future__ import annotations

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, final

from nas.devices.host import worker as host_worker
from nas.devices.host.conditions import busy_seconds, conditions, disturbed, moment
from nas.devices.host.pipes import read_some
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError, one_line
from nas.system.host_lock import measuring, working
from nas.tflite.file import TfliteFile, read_tflite
from nas.tflite.size import check_fixed, size_conditions

ACCELERATOR = "xnnpack"
# Others' work beyond this many cores disturbs a measurement by more than its own noise of 2 %.
BUSY_CORES = 0.1
_AT_ONCE = 5  # processes that wait for their turn, at some 60 MB each
_ENDING_SECONDS = 10.0  # that a process may take to end when it has answered
_STOPPED_BY_SOMEBODY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@final
@dataclass(frozen=True)
class HostDevice:
    """The machine that this runs on: `host`."""

    spec: ClassVar[str] = "host"

    def identity(self) -> dict[str, str]:
        """Nothing: a run's folder stays with its machine."""
        return {}

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time `artifact` in `protocol.launches` fresh processes, while no work of ours runs.

        Waits for work inside `nas.system.host_lock.working` to pause, so it must not be called in
        there. Launches and runs during which the processor itself was slow are done again, once.
        Raises ConfigError where the file is no `.tflite` of a fixed size or the protocol makes no
        sense, DeviceStableError where LiteRT refuses or crashes on it, DeviceTransientError where a
        launch takes longer than `protocol.timeout_seconds` or was stopped.
        """
        _check(protocol)
        file = read_tflite(artifact)
        check_fixed(file, artifact)
        AHEAD.settle()
        with measuring():
            before = moment()
            launches, repeated = _undisturbed(artifact, protocol)
            after = moment()
        AHEAD.start(protocol)
        answers = [launch.answer for launch in launches]
        peaks = [answer["peak_memory_mb"] for answer in answers]
        of_launches = _of_launches(launches)
        pace = PACE.said(launches, repeated)
        return Measurement(
            device=self.spec,
            source="measured",
            samples_ms=tuple(tuple(answer["samples_ms"]) for answer in answers),
            init_ms=statistics.median(answer["init_ms"] for answer in answers),
            first_ms=statistics.median(answer["first_ms"] for answer in answers),
            peak_memory_mb=None if None in peaks else max(peaks),
            placement=_placement(launches[0], file),
            conditions={
                **conditions(artifact, protocol, before, after),
                **size_conditions(file),
                **of_launches,
                "pace": pace,
                "disturbed": disturbed(of_launches["others_busy_cores"], pace, protocol.threads),
            },
        )


@dataclass(frozen=True)
class _Launch:
    """What one process answered and logged, and how many cores others used meanwhile."""

    answer: dict[str, Any]
    log: str
    others_busy_cores: float

    @property
    def pace_ms(self) -> float:
        """What the fixed piece of work took beside its runs."""
        return float(statistics.median(self.answer["paces_ms"]))


@final
class _Pace:
    """The processor's best pace that this process has seen: what "slow" is told by."""

    def __init__(self) -> None:
        self.best_ms: float | None = None

    def remember(self, best_ms: float) -> None:
        """From an earlier process on this machine."""
        self.best_ms = min(best_ms, self.best_ms or math.inf)

    def learn(self, launches: Sequence[_Launch]) -> None:
        """From all their runs."""
        seen = [pace for launch in launches for pace in launch.answer["paces_ms"]]
        self.best_ms = min([*seen, self.best_ms or math.inf]) if seen else self.best_ms

    def slow(self, launch: _Launch) -> bool:
        """Whether most of the launch's runs were on a slow processor."""
        return self.best_ms is not None and launch.pace_ms > host_worker.SLOW * self.best_ms

    def said(self, launches: Sequence[_Launch], repeated: int) -> dict[str, Any]:
        """For the conditions of a measurement.

        A processor that is slow throughout is no longer compared with what it once was.
        """
        slow = sum(map(self.slow, launches))
        best = self.best_ms
        if slow == len(launches):
            self.best_ms = None
            self.learn(launches)
        return {
            "best_ms": best,
            "launches_ms": [round(launch.pace_ms, 4) for launch in launches],
            "slow_launches": slow,
            "repeated_launches": repeated,
            "repeated_runs": sum(launch.answer["disturbed_runs"] for launch in launches),
        }


PACE = _Pace()


def _undisturbed(artifact: Path, protocol: TimingProtocol) -> tuple[list[_Launch], int]:
    """The launches; those on a slow processor were done again, once, and the better one is kept."""
    launches = _launches(artifact, protocol, protocol.launches)
    PACE.learn(launches)
    slow = [index for index, launch in enumerate(launches) if PACE.slow(launch)]
    again = _launches(artifact, protocol, len(slow))
    PACE.learn(again)
    for index, launch in zip(slow, again, strict=True):
        launches[index] = min(launches[index], launch, key=lambda one: one.pace_ms)
    return launches, len(slow)


def _launches(artifact: Path, protocol: TimingProtocol, launches: int) -> list[_Launch]:
    """So many launches, one after another.

    Their processes start together: importing takes each of them longer than a small network takes
    to be timed. All have imported, and sleep, before the first one works.
    """
    done: list[_Launch] = []
    while len(done) < launches:
        with ExitStack() as stack:
            count = min(_AT_ONCE, launches - len(done))
            workers = stack.enter_context(AHEAD.taken())[:count]
            while len(workers) < count:
                workers.append(stack.enter_context(_Worker.started()))
            for worker in workers:
                worker.wait_until_ready(protocol)
            done += [worker.launch(artifact, protocol) for worker in workers]
    return done


@final
@dataclass
class _Worker:
    """One process, from its start to its end."""

    process: subprocess.Popen[bytes]
    answers: IO[bytes]
    log: IO[bytes]
    heard: bytes | None = b""

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[_Worker]:
        """It is ended with all that it started, whatever happens."""
        read_end, write_end = os.pipe()
        with tempfile.TemporaryFile() as log, os.fdopen(read_end, "rb", buffering=0) as answers:
            try:
                process = _start(write_end, log)
            finally:
                os.close(write_end)
            try:
                yield cls(process, answers, log)
            finally:
                _end(process)

    def wait_until_ready(self, protocol: TimingProtocol) -> None:
        """Until it has imported, answered, ended, or taken too long."""
        if not self.heard:
            deadline = time.monotonic() + protocol.timeout_seconds
            self.heard = read_some(self.answers, deadline)

    def launch(self, artifact: Path, protocol: TimingProtocol) -> _Launch:
        """Have it time the artifact; DeviceError where it does not."""
        started, busy = time.monotonic(), busy_seconds()
        request = {**asdict(protocol), "artifact": str(artifact.resolve())}
        request["best_pace_ms"] = PACE.best_ms
        _ask(self.process, {**request, "parent": os.getpid()})
        content = self._content(started + protocol.timeout_seconds)
        if content is not None:  # it has nothing left to do but to end
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=_ENDING_SECONDS)
        code = _end(self.process)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")
        answer = _answer(content, code, text, artifact, protocol)
        others = (busy_seconds() - busy - answer["cpu_seconds"]) / (time.monotonic() - started)
        return _Launch(answer, text, max(0.0, others))

    def _content(self, deadline: float) -> bytes | None:
        """Everything that it says; None where it did not end within its time."""
        content = self.heard
        while content is not None:
            piece = read_some(self.answers, deadline)
            if not piece:
                return None if piece is None else content
            content += piece
        return None


@final
class _Ahead:
    """Processes for the next measurement, started while something else is done.

    A search that trains in this process keeps them: they import on another core meanwhile, then
    sleep. That is half of what a measurement of a small network takes.
    """

    def __init__(self) -> None:
        self._kept: ExitStack | None = None
        self._workers: list[_Worker] = []
        self._importing: threading.Thread | None = None

    def keep(self) -> None:
        """From the next measurement on."""
        self._kept = self._kept or ExitStack()

    def start(self, protocol: TimingProtocol) -> None:
        """As many as a measurement starts together; nothing unless they are kept."""
        if self._kept is None:
            return
        with suppress(DeviceTransientError):  # then the measurement itself will say so
            for _ in range(min(_AT_ONCE, protocol.launches) - len(self._workers)):
                self._workers.append(self._kept.enter_context(_Worker.started()))
        self._importing = threading.Thread(target=self._wait, args=(protocol,), daemon=True)
        self._importing.start()

    def _wait(self, protocol: TimingProtocol) -> None:
        with working():  # another program's measurement waits until they sleep
            for worker in self._workers:
                worker.wait_until_ready(protocol)

    def settle(self) -> None:
        """Wait until they sleep. Not inside `measuring`: they import as `working`."""
        if self._importing is not None:
            self._importing.join()

    @contextmanager
    def taken(self) -> Iterator[list[_Worker]]:
        """Those that wait, if any, for one measurement."""
        workers, self._workers = self._workers, []
        kept = ExitStack() if self._kept is None else self._kept.pop_all()
        with kept:
            yield [worker for worker in workers if worker.process.poll() is None]

    def end(self) -> None:
        """End those that wait, and keep none from now on."""
        self.settle()
        kept, self._kept, self._workers = self._kept, None, []
        if kept is not None:
            kept.close()


AHEAD = _Ahead()


def _start(answer_to: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # As a script and with -P, so that neither this package nor the current folder is imported from;
    # in a session of its own, so that Ctrl-C reaches this process alone, which then ends it.
    command = [sys.executable, "-P", host_worker.__file__, str(answer_to)]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(answer_to,),
            start_new_session=True,
        )
    except OSError as error:
        raise DeviceTransientError(f"host: can't start {command[0]}: {error.strerror}") from error


def _ask(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    if process.stdin is None:
        raise ValueError("the worker was started without a pipe to its standard input")
    with suppress(BrokenPipeError):  # it died at once: its exit code tells why
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def _end(process: subprocess.Popen[bytes]) -> int | None:
    """End the process and all that it started; its exit code, None where it had to be killed."""
    code = process.poll()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    return code


def _answer(
    content: bytes | None, code: int | None, log: str, artifact: Path, protocol: TimingProtocol
) -> dict[str, Any]:
    """The worker's answer, or the DeviceError that says what became of it."""
    if content is None:
        raise DeviceTransientError(
            f"host: {artifact} was not measured within {protocol.timeout_seconds:g} s a launch; "
            "allow more time, or fewer runs or a smaller size"
        )
    try:
        answer: dict[str, Any] = json.loads(content)
    except ValueError as error:
        said = f"its last line: {_last_line(log)}"
        if code is None or code >= 0:
            raise DeviceStableError(
                f"host: the process that ran {artifact} gave no answer (exit code {code}); {said}"
            ) from error
        name = signal.Signals(-code).name
        if -code in _STOPPED_BY_SOMEBODY:
            raise DeviceTransientError(
                f"host: the process that ran {artifact} was stopped ({name}); measure again"
            ) from error
        memory = " (as the kernel does when memory runs out)" if name == "SIGKILL" else ""
        raise DeviceStableError(
            f"host: running {artifact} ended in signal {-code} {name}{memory}; {said}"
        ) from error
    if "error" in answer:
        raise DeviceStableError(f"host: LiteRT can't run {artifact}: {one_line(answer['error'])}")
    return answer


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("INFO: Created")]
    return telling[-1] if telling else "(it wrote nothing)"


def _placement(launch: _Launch, file: TfliteFile) -> tuple[Placement, ...]:
    """Where each operation ran: in XNNPACK, on LiteRT's own CPU kernels, or nobody knows."""
    operations = launch.answer["operations"]
    if operations is None:  # this LiteRT does not tell
        return tuple(Placement(row.index, row.name, None) for row in file.operations)
    # Nodes have no delegate's name, but the log has the name of the one delegate there is.
    taken = ACCELERATOR if "XNNPACK delegate" in launch.log else None
    return tuple(
        Placement(row["index"], row["op"], taken if row["delegated"] else "cpu")
        for row in operations
    )


def _check(protocol: TimingProtocol) -> None:
    for name, least in (("launches", 1), ("runs", 1), ("threads", 1), ("warmup", 0)):
        value = getattr(protocol, name)
        if value < least:
            raise ConfigError(f"TimingProtocol.{name}={value}: expected {least} at least")
    if protocol.timeout_seconds <= 0:
        raise ConfigError(
            f"TimingProtocol.timeout_seconds={protocol.timeout_seconds:g}: expected more than 0"
        )


def _of_launches(launches: Sequence[_Launch]) -> dict[str, Any]:
    """What a measurement's conditions have from its launches."""
    others = statistics.median(launch.others_busy_cores for launch in launches)
    return {
        "others_busy_cores": round(others, 3),
        "busy": others > BUSY_CORES,
        "init_ms": [launch.answer["init_ms"] for launch in launches],
        "first_ms": [launch.answer["first_ms"] for launch in launches],
        "memory_before_load_mb": launches[0].answer["memory_before_load_mb"],
    }
