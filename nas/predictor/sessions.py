"""Sessions that time many files on a device: one process, or one held phone, for all of them.

with open_session("host", threads=1) as session:
    latency_ms = session.time(path)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, final

from nas.devices import Device, TimingProtocol, open_device
from nas.devices.host.pipes import read_some
from nas.devices.npu.device import NpuDevice
from nas.devices.phone.conditions import strongest_mask
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.session import PAPER_MASK, PhoneSession
from nas.errors import DeviceStableError, DeviceTransientError
from nas.predictor import host_session_worker
from nas.system.host_lock import measuring

SLICE_SECONDS = 5.0
"""How long the machine is held without a break in which others may work."""
FIT_SECONDS = 30.0
"""How often a phone's heat and load are checked between launches."""


class Session(Protocol):
    """A device that times small files one after another."""

    @property
    def repeats(self) -> bool:
        """True where another pass gives another time; False where a formula gives the times."""
        ...

    @property
    def lanes(self) -> int:
        """How many files may be timed side by side: more than one where nothing is measured."""
        ...

    def time(self, artifact: Path) -> float:
        """Return the latency in ms of one pass over a file.

        Raises DeviceStableError where the device refuses it, DeviceTransientError where it can't
        measure now.
        """
        ...


@contextmanager
def open_session(spec: str, protocol: TimingProtocol) -> Iterator[Session]:
    """Open a session on the device that `spec` names, with the protocol's threads and time-out.

    Raises ConfigError on an unknown device, DeviceTransientError where it can't be had now.
    """
    device = open_device(spec)
    with ExitStack() as stack:
        if isinstance(device, AdbDevice):
            device.check()
            held = stack.enter_context(device.session())
            yield _PhoneTimer(held, protocol)
        elif spec == "host":
            session = _HostTimer(protocol)
            stack.callback(session.close)
            yield session
        elif isinstance(device, NpuDevice):
            yield _SimulatorTimer(device, protocol)
        else:
            yield _FormulaTimer(device, protocol)


@final
@dataclass
class _FormulaTimer:
    """A session with a device that computes its latencies."""

    device: Device
    protocol: TimingProtocol
    repeats: bool = False
    lanes: int = 1

    def time(self, artifact: Path) -> float:
        return self.device.measure(artifact, self.protocol).latency_ms


@final
@dataclass
class _SimulatorTimer:
    """A session with an NPU whose compiler and simulator tell the latency: no traffic."""

    device: NpuDevice
    protocol: TimingProtocol
    repeats: bool = False
    lanes: int = field(default_factory=lambda: os.cpu_count() or 1)

    def time(self, artifact: Path) -> float:
        return self.device.latency(artifact, self.protocol).milliseconds


@final
@dataclass
class _PhoneTimer:
    """A session on a held phone: one launch of its tool a pass, on a measurement's CPU mask."""

    phone: PhoneSession
    protocol: TimingProtocol
    repeats: bool = True
    lanes: int = 1
    _looked: float = field(default=-FIT_SECONDS)
    _mask: str | None = None

    def time(self, artifact: Path) -> float:
        options: PhoneOptions = self.phone.options
        if time.monotonic() - self._looked > FIT_SECONDS:
            fitness = self.phone.wait_until_fit()
            self._looked = time.monotonic()
            if self.phone.info.has_taskset:
                strongest = strongest_mask(fitness.cores, self.protocol.threads)
                self._mask = PAPER_MASK if options.method == "paper" else strongest
        remote = self.phone.send(artifact)
        return self.phone.launch(remote, self.protocol, self._mask, tolerant=True).latency_ms


@final
@dataclass
class _HostTimer:
    """A session in a process of this machine; a crash is followed by a new process."""

    protocol: TimingProtocol
    repeats: bool = True
    lanes: int = 1
    runs: int = 2
    seconds: float = 0.03
    most: int = 40
    _worker: _Worker | None = None
    _quiet: ExitStack | None = None
    _since: float = 0.0

    def time(self, artifact: Path) -> float:
        self._hold()
        if self._worker is None:
            self._worker = _Worker.started(self.protocol.timeout_seconds)
        request = {
            "artifact": str(artifact.resolve()), "threads": self.protocol.threads,
            "warmup": 0, "runs": self.runs, "seconds": self.seconds, "most": self.most,
        }  # fmt: skip
        try:
            answer = self._worker.ask(request, artifact, self.protocol.timeout_seconds)
        except (DeviceStableError, DeviceTransientError):
            self._worker.end()
            self._worker = None
            raise
        if "error" in answer:
            raise DeviceStableError(f"host: LiteRT can't run {artifact}: {answer['error']}")
        return _undisturbed(answer["samples_ms"], answer["cpu_ms"], self.protocol.threads)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        self._release()

    def _hold(self) -> None:
        """Hold the machine alone; after a slice, let others have it first."""
        if self._quiet is not None and time.monotonic() - self._since > SLICE_SECONDS:
            self._release()
        if self._quiet is None:
            self._quiet = ExitStack()
            self._quiet.enter_context(measuring())
            self._since = time.monotonic()

    def _release(self) -> None:
        if self._quiet is not None:
            self._quiet.close()
            self._quiet = None


def _undisturbed(samples_ms: list[float], cpu_ms: list[float], threads: int) -> float:
    """Return a file's time (ms) on an idle processor: the lower quartile of its runs.

    With one thread a run's time on the processor counts, not that on the clock: where others work,
    the clock goes on while it waits for its turn.
    """
    times = samples_ms
    if threads == 1:
        times = [min(pair) for pair in zip(samples_ms, cpu_ms, strict=True)]
    return sorted(times)[len(times) // 4]


@final
@dataclass
class _Worker:
    """The process that runs files, and our end of the pipe with its answers."""

    process: subprocess.Popen[bytes]
    answers: IO[bytes]
    log: IO[bytes]
    _heard: bytes = b""

    @classmethod
    def started(cls, timeout_seconds: float) -> _Worker:
        read_end, write_end = os.pipe()
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        # As a script and with -P, so that no package is imported from the current folder; in a
        # session of its own, so that Ctrl-C reaches this process alone, which then ends it.
        command = [sys.executable, "-P", host_session_worker.__file__, str(write_end)]
        try:
            process = subprocess.Popen(
                [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=log, stderr=log,
                pass_fds=(write_end,), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            os.close(read_end)
            raise DeviceTransientError(f"host: can't start {command[0]}: {error}") from error
        finally:
            os.close(write_end)
        worker = cls(process, os.fdopen(read_end, "rb", buffering=0), log)
        try:
            worker._line(time.monotonic() + timeout_seconds)
        except (EOFError, TimeoutError) as error:
            worker.end()
            raise DeviceStableError(
                f"host: LiteRT could not be started: {worker.said or 'it said nothing'}"
            ) from error
        return worker

    def ask(self, request: dict[str, Any], artifact: Path, seconds: float) -> dict[str, Any]:
        """Return the answer to one request; raises as `Session.time` does."""
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        try:
            answer: dict[str, Any] = json.loads(self._line(time.monotonic() + seconds))
        except TimeoutError as error:
            raise DeviceTransientError(
                f"host: {artifact} was not timed within {seconds:g} s; allow more time, or a "
                "smaller size"
            ) from error
        except (EOFError, ValueError) as error:
            code = self.process.wait()
            if -code in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                raise DeviceTransientError(
                    f"host: the process that timed {artifact} was stopped; measure again"
                ) from error
            raise DeviceStableError(
                f"host: running {artifact} ended its process (exit code {code})"
            ) from error
        return answer

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._heard:
            piece = read_some(self.answers, deadline)
            if piece is None:
                raise TimeoutError
            if not piece:
                raise EOFError
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    said = ""

    def end(self) -> None:
        """End the process with all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        self.said = lines[-1] if lines else ""
        for stream in (self.process.stdin, self.answers, self.log):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
