"""This machine as a device: fresh processes on the LiteRT interpreter, with nothing else of ours.

A process of its own for every launch: XNNPACK aborts the process it works in, memory is laid out
anew each time, and nothing of TensorFlow is near.
"""

from __future__ import annotations

import json
import os
import platform
import select
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

import psutil

from nas import tflite
from nas.canonical import file_sha256
from nas.conditions import processor, versions
from nas.devices import host_worker
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError
from nas.quiethost import measuring, working

ACCELERATOR = "xnnpack"
# Others' work beyond this many cores disturbs a measurement by more than its own noise of 2 %.
BUSY_CORES = 0.1
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
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

        Waits for work inside `nas.quiethost.working` to pause, so it must not be called in there.
        Raises ConfigError where the file is no `.tflite` or the protocol makes no sense,
        DeviceStableError where LiteRT refuses or crashes on it, DeviceTransientError where a
        launch takes longer than `protocol.timeout_seconds` or was stopped.
        """
        _check(protocol)
        file = tflite.read(artifact)
        AHEAD.settle()
        with measuring():
            before = _moment()
            launches = _launches(artifact, protocol)
            after = _moment()
        AHEAD.start(protocol)
        answers = [launch.answer for launch in launches]
        peaks = [answer["peak_memory_mb"] for answer in answers]
        return Measurement(
            device=self.spec,
            source="measured",
            samples_ms=tuple(tuple(answer["samples_ms"]) for answer in answers),
            init_ms=statistics.median(answer["init_ms"] for answer in answers),
            first_ms=statistics.median(answer["first_ms"] for answer in answers),
            peak_memory_mb=None if None in peaks else max(peaks),
            placement=_placement(launches[0], file),
            conditions=_conditions(artifact, protocol, launches, before, after),
        )


@dataclass(frozen=True)
class _Launch:
    """What one process answered and logged, and how many cores others used meanwhile."""

    answer: dict[str, Any]
    log: str
    others_busy_cores: float


def _launches(artifact: Path, protocol: TimingProtocol) -> list[_Launch]:
    """The launches, one after another.

    Their processes start together: importing takes each of them longer than a small network takes
    to be timed. All have imported, and sleep, before the first one works.
    """
    done: list[_Launch] = []
    while len(done) < protocol.launches:
        with ExitStack() as stack:
            count = min(_AT_ONCE, protocol.launches - len(done))
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
            self.heard = _read_some(self.answers, deadline)

    def launch(self, artifact: Path, protocol: TimingProtocol) -> _Launch:
        """Have it time the artifact; DeviceError where it does not."""
        started, busy = time.monotonic(), _busy_seconds()
        request = {**asdict(protocol), "artifact": str(artifact.resolve())}
        _ask(self.process, {**request, "parent": os.getpid()})
        content = self._content(started + protocol.timeout_seconds)
        if content is not None:  # it has nothing left to do but to end
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=_ENDING_SECONDS)
        code = _end(self.process)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")
        answer = _answer(content, code, text, artifact, protocol)
        others = (_busy_seconds() - busy - answer["cpu_seconds"]) / (time.monotonic() - started)
        return _Launch(answer, text, max(0.0, others))

    def _content(self, deadline: float) -> bytes | None:
        """Everything that it says; None where it did not end within its time."""
        content = self.heard
        while content is not None:
            piece = _read_some(self.answers, deadline)
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


def _read_some(answers: IO[bytes], deadline: float) -> bytes | None:
    """What comes next, empty where the other end is closed; None where nothing comes in time."""
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([answers], [], [], left)[0]:
        return None
    return answers.read(2**16)


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
        reason = " ".join(answer["error"].split())
        raise DeviceStableError(f"host: LiteRT can't run {artifact}: {reason}")
    return answer


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("INFO: Created")]
    return telling[-1] if telling else "(it wrote nothing)"


def _placement(launch: _Launch, file: tflite.TfliteFile) -> tuple[Placement, ...]:
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


def _conditions(
    artifact: Path,
    protocol: TimingProtocol,
    launches: Sequence[_Launch],
    before: dict[str, Any],
    after: dict[str, Any],
) -> dict[str, Any]:
    others = statistics.median(launch.others_busy_cores for launch in launches)
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "cores_available": len(psutil.Process().cpu_affinity()) if _LINUX else os.cpu_count(),
        "platform": platform.platform(),
        "governor": _read(_FREQUENCY / "scaling_governor"),
        "versions": versions(),
        "threads": protocol.threads,
        "protocol": protocol.to_dict(),
        "artifact": {"sha256": file_sha256(artifact), "bytes": artifact.stat().st_size},
        "input": f"uniform noise, seed {host_worker.SEED}",
        "before": before,
        "after": after,
        "others_busy_cores": round(others, 3),
        "busy": others > BUSY_CORES,
        "init_ms": [launch.answer["init_ms"] for launch in launches],
        "first_ms": [launch.answer["first_ms"] for launch in launches],
        "memory_before_load_mb": launches[0].answer["memory_before_load_mb"],
    }


_LINUX = sys.platform == "linux"


def _moment() -> dict[str, Any]:
    """What may change while a measurement goes on."""
    kilohertz = _read(_FREQUENCY / "scaling_cur_freq")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "frequency_mhz": int(kilohertz) / 1000 if kilohertz and kilohertz.isdigit() else None,
    }


def _busy_seconds() -> float:
    """Seconds that all cores together were busy since the machine started, stolen time too."""
    times = psutil.cpu_times()._asdict()
    counted_elsewhere = ("idle", "iowait", "guest", "guest_nice")  # guests are in `user`
    return float(sum(spent for name, spent in times.items() if name not in counted_elsewhere))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
