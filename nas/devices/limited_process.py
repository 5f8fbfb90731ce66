"""Programs that may hang, die or want too much, each in a process of its own with limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.devices import limit_worker
from nas.devices.failures import DeviceFailure
from nas.system.host_lock import working

MEMORY_MB = 12_000
"""Address space, which is several times the memory: the largest compilation that was seen took
1,500 MB of that."""
OUT_OF_MEMORY = (
    "bad_alloc", "MemoryError", "Cannot allocate memory", "Memory allocation still failed",
    "failed to map segment", "QNN_COMMON_ERROR_MEM_ALLOC",
)  # fmt: skip
"""What programs say when they can't have more."""
WAIT_FACTOR = 4.0
"""How much longer than its processor time a program may take on a machine that is busy."""
LOOK_SECONDS = 0.5
"""How often a program that is watched is looked at."""


@final
@dataclass(frozen=True)
class Limits:
    """What one program may use: seconds of processor time, and MB of 10^6 bytes.

    On a busy machine it may take `wait_factor` times as long.
    """

    cpu_seconds: float
    memory_mb: float = MEMORY_MB
    wait_factor: float = WAIT_FACTOR

    @property
    def wall_seconds(self) -> float:
        """How long it may take at most, however busy the machine is."""
        return self.wait_factor * self.cpu_seconds


@final
@dataclass(frozen=True)
class Ended:
    """How a program ended: `code` as in `subprocess`, None where it was stopped after its time.

    `output` and `errors` are what it wrote. They are apart, as two writers of one program cut into
    each other's lines.
    """

    code: int | None
    output: str
    errors: str
    seconds: float

    @property
    def text(self) -> str:
        """All that it wrote: standard output, then standard error."""
        return f"{self.output}\n{self.errors}"

    @property
    def signal_name(self) -> str | None:
        """The signal that ended it, None where none did."""
        if self.code is None or self.code >= 0:
            return None
        with suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"

    @property
    def out_of_memory(self) -> bool:
        """Whether it ended because it could not have more memory."""
        return self.signal_name == "SIGKILL" or (
            self.code != 0 and any(word in self.text for word in OUT_OF_MEMORY)
        )

    @property
    def out_of_time(self) -> bool:
        """Whether it used up its processor time."""
        return self.signal_name == "SIGXCPU"


def run(
    command: Sequence[str | Path],
    folder: Path,
    limits: Limits,
    environment: Mapping[str, str],
    watch: Callable[[], None] | None = None,
) -> Ended:
    """Run a program in `folder` and wait for it; nothing that it started stays behind.

    It counts as work of ours: it runs beside trainings, and waits while this machine's own
    latency is measured. `watch` is called every half second and at the end. Raises OSError where it
    can't be started, and whatever `watch` raises.
    """
    launcher = [sys.executable, "-I", "-S", limit_worker.__file__]
    numbers = [str(max(1, round(limits.cpu_seconds))), str(round(limits.memory_mb * 1e6))]
    logs = [folder / "output.txt", folder / "errors.txt"]
    with working(), logs[0].open("wb") as output, logs[1].open("wb") as errors:
        started = time.monotonic()
        process = subprocess.Popen(
            [*launcher, str(os.getpid()), *numbers, *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=folder,
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
        try:
            code = _waited(process, started + limits.wall_seconds, watch)
        finally:
            _end(process)
        seconds = time.monotonic() - started
    written = [log.read_text(errors="replace") for log in logs]
    return Ended(code, written[0], written[1], seconds)


def ended_failure(stage: str, ended: Ended, limits: Limits) -> DeviceFailure:
    """The failure of a program that ended without an answer; `stage` says what it was doing."""
    if ended.code is None:
        detail = f"{stage} was not done within {limits.wall_seconds:.0f} s"
        return DeviceFailure("timeout", detail)
    if ended.out_of_time:
        detail = f"{stage} took more than {limits.cpu_seconds:.0f} s of processor time"
        return DeviceFailure("compiler_timeout", detail)
    if ended.out_of_memory:
        return memory_failure(stage, limits)
    how = f"in {ended.signal_name}" if ended.signal_name else f"with exit code {ended.code}"
    last = next((line for line in reversed(ended.text.splitlines()) if line.strip()), "")
    return DeviceFailure("crash", f"{stage} ended {how}: {last[:200]}")


def counted(folder: Path, progress: Callable[[int], None]) -> Callable[[], None]:
    """Watch a program that writes `output-N.npy`: tell how many there are, when it is one more."""
    seen = 0

    def look() -> None:
        nonlocal seen
        done = len(list(folder.glob("output-*.npy")))
        if done > seen:
            seen = done
            progress(done)

    return look


def memory_failure(stage: str, limits: Limits) -> DeviceFailure:
    """The failure of a program that wanted more memory than its limit."""
    detail = f"{stage} needs more than the {limits.memory_mb:,.0f} MB that it may have"
    return DeviceFailure("oom", detail)


def _waited(
    process: subprocess.Popen[bytes], deadline: float, watch: Callable[[], None] | None
) -> int | None:
    """The exit code of a program; None where it was not done by then."""
    while (rest := deadline - time.monotonic()) > 0:
        try:
            code = process.wait(rest if watch is None else min(rest, LOOK_SECONDS))
            if watch is not None:
                watch()
            return code
        except subprocess.TimeoutExpired:
            if watch is not None:
                watch()
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
