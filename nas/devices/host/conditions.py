"""Conditions of the host device's measurements, and whether other work disturbed them."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from nas.devices.host import worker as host_worker
from nas.devices.measurement import TimingProtocol
from nas.errors import BusyMachineError
from nas.system.environment import processor, versions
from nas.system.hashing import file_sha256

_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
DISTURBING_CORES, DISTURBING_SHARE = 0.25, 0.1
"""Work of others that makes a figure worthless: cores, or a share of the cores left free."""
SCATTERED = 1.5
"""Launches whose slowest takes so many times the fastest one tell nothing of a network."""
_LINUX = sys.platform == "linux"


def conditions(
    artifact: Path, protocol: TimingProtocol, before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    """Describe the machine, the versions, the protocol and the file, as JSON types.

    `before` and `after` are what `moment` returned before and after the measurement.
    """
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
    }


def moment() -> dict[str, Any]:
    """Return the time, the load averages and the frequency (MHz) of this moment."""
    kilohertz = _read(_FREQUENCY / "scaling_cur_freq")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "frequency_mhz": int(kilohertz) / 1000 if kilohertz and kilohertz.isdigit() else None,
    }


def busy_seconds() -> float:
    """Return the seconds that all cores were busy since the start, stolen time included."""
    times = psutil.cpu_times()._asdict()
    counted_elsewhere = ("idle", "iowait", "guest", "guest_nice")  # guests are in `user`
    return float(sum(spent for name, spent in times.items() if name not in counted_elsewhere))


def others_disturb(busy_cores: float, threads: int) -> str | None:
    """Return why `busy_cores` of others' work make a figure worthless; None where they don't."""
    free = max(0, (os.cpu_count() or 1) - threads)
    if busy_cores <= max(DISTURBING_CORES, DISTURBING_SHARE * free):
        return None
    return f"others used {busy_cores:.1f} of this machine's {os.cpu_count()} cores"


def disturbed(
    others_busy_cores: float,
    pace: dict[str, Any],
    threads: int,
    launches_ms: Sequence[float] = (),
) -> str | None:
    """Return why a figure is not what this machine can do; None where it is.

    `launches_ms` are the medians of a measurement's launches. What is slow without a process that
    is seen to work (memory that a virtual machine's host has to find first) shows in them alone.
    """
    slow, launches, best = pace["slow_launches"], pace["launches_ms"], pace["best_ms"]
    if 2 * slow > len(launches) and best:
        times = statistics.median(launches) / best
        return (
            f"the processor was slow in {slow} of {len(launches)} launches ({times:.1f} times what "
            "the same work takes at its best)"
        )
    others = others_disturb(others_busy_cores, threads)
    return others if others is not None else _scattered(launches_ms)


def _scattered(launches_ms: Sequence[float]) -> str | None:
    """Return that launches disagree; None where they agree, or one is all there is."""
    if len(launches_ms) < 2 or max(launches_ms) <= SCATTERED * min(launches_ms):
        return None
    extremes = (min(launches_ms), max(launches_ms))
    least, most = (f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}" for ms in extremes)
    return f"launches of the same file took {least} to {most} ms"


@contextmanager
def alone(what: str, threads: int = 1) -> Iterator[None]:
    """Time something inside; raises BusyMachineError afterwards where others worked beside it.

    The work of living child processes counts as this process's own.
    """
    started, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    yield
    spent = time.monotonic() - started
    others = max(0.0, busy_seconds() - busy - (own_seconds() - own)) / spent
    why = others_disturb(others, threads)
    if why is not None:
        raise BusyMachineError(
            f"no verdict on {what}: {why} meanwhile, so its figures count for nothing; end that "
            "work and run it again"
        )


def own_seconds() -> float:
    """Sum up the processor seconds of this process, its ended children and the living ones."""
    total = sum(os.times()[:4])
    for child in psutil.Process().children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.Error:
            continue
    return total


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
