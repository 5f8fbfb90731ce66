"""On what the host device's figures were taken, and what happened there meanwhile."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from nas.devices.host import worker as host_worker
from nas.devices.measurement import TimingProtocol
from nas.system.environment import processor, versions
from nas.system.hashing import file_sha256

_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_LINUX = sys.platform == "linux"


def conditions(
    artifact: Path, protocol: TimingProtocol, before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    """The machine, the versions, the protocol and the file, with what `moment` gave twice."""
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
    """What may change while a measurement goes on."""
    kilohertz = _read(_FREQUENCY / "scaling_cur_freq")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "frequency_mhz": int(kilohertz) / 1000 if kilohertz and kilohertz.isdigit() else None,
    }


def busy_seconds() -> float:
    """Seconds that all cores together were busy since the machine started, stolen time too."""
    times = psutil.cpu_times()._asdict()
    counted_elsewhere = ("idle", "iowait", "guest", "guest_nice")  # guests are in `user`
    return float(sum(spent for name, spent in times.items() if name not in counted_elsewhere))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
