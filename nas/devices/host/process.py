"""The processes that time a network on this machine: start, request, answer, end.

Each launch has a process of its own: XNNPACK aborts the process it works in, memory is laid out
anew each time, and nothing of TensorFlow is near.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, final

from nas.devices.host import worker as host_worker
from nas.devices.host.conditions import busy_seconds
from nas.devices.host.pipes import read_some
from nas.devices.measurement import TimingProtocol
from nas.errors import DeviceStableError, DeviceTransientError, one_line

ENDING_SECONDS = 10.0
"""The time that a process may take to end once it has answered."""
_STOPPED_BY_SOMEBODY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class HostLaunch:
    """One launch of a network: what its process answered and logged.

    `others_busy_cores` is how many cores other programs used meanwhile.
    """

    answer: dict[str, Any]
    log: str
    others_busy_cores: float

    @property
    def pace_ms(self) -> float:
        """The median time of the fixed piece of work beside the timed runs."""
        return float(statistics.median(self.answer["paces_ms"]))


@final
@dataclass
class WorkerProcess:
    """One process that times a network, from its start to its end."""

    process: subprocess.Popen[bytes]
    answers: IO[bytes]
    log: IO[bytes]
    heard: bytes | None = b""

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[WorkerProcess]:
        """Start a process; it is ended with all that it started, whatever happens."""
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
        """Wait until the process has imported, answered, ended, or taken too long."""
        if not self.heard:
            deadline = time.monotonic() + protocol.timeout_seconds
            self.heard = read_some(self.answers, deadline)

    def launch(
        self, artifact: Path, protocol: TimingProtocol, best_pace_ms: float | None
    ) -> HostLaunch:
        """Have the process time the artifact; raises DeviceError where it does not.

        Runs are repeated while the processor is slower than `best_pace_ms`, None where no pace is
        known.
        """
        started, busy = time.monotonic(), busy_seconds()
        request = {**asdict(protocol), "artifact": str(artifact.resolve())}
        request["best_pace_ms"] = best_pace_ms
        _ask(self.process, {**request, "parent": os.getpid()})
        content = self._content(started + protocol.timeout_seconds)
        if content is not None:  # it has nothing left to do but to end
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=ENDING_SECONDS)
        code = _end(self.process)
        self.log.seek(0)
        text = self.log.read().decode(errors="replace")
        answer = _answer(content, code, text, artifact, protocol)
        others = (busy_seconds() - busy - answer["cpu_seconds"]) / (time.monotonic() - started)
        return HostLaunch(answer, text, max(0.0, others))

    def _content(self, deadline: float) -> bytes | None:
        """Read the whole answer; None where the process did not end within its time."""
        content = self.heard
        while content is not None:
            piece = read_some(self.answers, deadline)
            if not piece:
                return None if piece is None else content
            content += piece
        return None


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
    """End the process and all that it started; returns its exit code, None if it was killed."""
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
    """Parse the worker's answer; raises the DeviceError that says why there is none."""
    if content is None:
        raise DeviceTransientError(
            f"host: {artifact} was not measured within {protocol.timeout_seconds:g} s a launch; "
            "allow more time, or fewer runs or a smaller size"
        )
    try:
        answer: dict[str, Any] = json.loads(content)
    except ValueError as error:
        last = f"its last line: {_last_line(log)}"
        if code is None or code >= 0:
            raise DeviceStableError(
                f"host: the process that ran {artifact} gave no answer (exit code {code}); {last}"
            ) from error
        name = signal.Signals(-code).name
        if -code in _STOPPED_BY_SOMEBODY:
            raise DeviceTransientError(
                f"host: the process that ran {artifact} was stopped ({name}); measure again"
            ) from error
        memory = " (as the kernel does when memory runs out)" if name == "SIGKILL" else ""
        raise DeviceStableError(
            f"host: running {artifact} ended in signal {-code} {name}{memory}; {last}"
        ) from error
    if "error" in answer:
        raise DeviceStableError(f"host: LiteRT can't run {artifact}: {one_line(answer['error'])}")
    return answer


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("INFO: Created")]
    return telling[-1] if telling else "(it wrote nothing)"
