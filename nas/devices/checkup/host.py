"""The check-up of this computer: Python, disk, cores, the processor's pace, optional parts, adb."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nas.devices.adb.server import AdbServer, adb_keys, adb_program
from nas.devices.checkup.finding import Finding
from nas.devices.failures import PhoneError
from nas.devices.gpu.driver import find_driver
from nas.devices.host.worker import SLOW, pace_ms
from nas.devices.npu.requirements import Machine
from nas.errors import ConfigError
from nas.system.cache import cache_folder

LEAST_PYTHON = (3, 11)
"""The oldest Python that the packages are made for."""
LEAST_FREE_GB, GOOD_FREE_GB = 1.0, 10.0
"""Free gigabytes below which nothing works, and below which a search may run out of disk."""
LEAST_MEMORY_GB = 4.0
"""Memory that a training of the quickstart's networks may come near to."""
_PACES = 40
_PACKAGES = ("tensorflow", "ai-edge-litert", "optuna", "ray", "adbutils")


def check_host() -> Iterator[Finding]:
    """Look at this computer, line by line."""
    yield _python()
    yield _packages()
    for folder in dict.fromkeys((Path.cwd(), cache_folder())):
        yield _disk(folder)
    yield _cores()
    yield _memory()
    yield _pace()
    yield _npu()
    yield _gpu()


def _python() -> Finding:
    name = f"Python {platform.python_version()}"
    if sys.version_info[:2] >= LEAST_PYTHON:
        return Finding("host", "python", "ok", name)
    remedy = f"install Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer"
    return Finding("host", "python", "failed", name, remedy)


def _packages() -> Finding:
    found, missing = [], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding(
            "host",
            "packages",
            "failed",
            f"not installed: {', '.join(missing)}",
            "pip install -c constraints.txt .",
        )
    return Finding("host", "packages", "ok", ", ".join(found))


def _disk(folder: Path) -> Finding:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    seen = f"{free:.1f} GB free at {folder}"
    if not os.access(place, os.W_OK):
        remedy = "let this user write there, or name another folder (NAS_CACHE_DIR for the cache)"
        return Finding("host", "disk", "failed", f"{folder} can't be written", remedy)
    if free < LEAST_FREE_GB:
        return Finding("host", "disk", "failed", seen, f"free {LEAST_FREE_GB:g} GB at least")
    if free < GOOD_FREE_GB:
        return Finding(
            "host", "disk", "warning", seen, f"free {GOOD_FREE_GB:g} GB before a long search"
        )
    return Finding("host", "disk", "ok", seen)


def _cores() -> Finding:
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    seen = f"{cores} cores for this process, load {load:.1f}"
    if cores < 2:
        return Finding("host", "cores", "warning", seen, "give it 2 cores: trainings are slow on 1")
    if load > cores:
        remedy = "end other work before you time anything on this computer"
        return Finding("host", "cores", "warning", seen, remedy)
    return Finding("host", "cores", "ok", seen)


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    seen = f"{free:.1f} GB of memory free"
    if free < LEAST_MEMORY_GB:
        remedy = f"free {LEAST_MEMORY_GB:g} GB, or train with fewer workers"
        return Finding("host", "memory", "warning", seen, remedy)
    return Finding("host", "memory", "ok", seen)


def _pace() -> Finding:
    """Compare the processor's usual pace with its best one, over a few hundredths of a second."""
    paces = sorted(pace_ms() for _ in range(_PACES))
    best, usual = paces[0], paces[len(paces) // 2]
    seen = f"a fixed sum takes {usual:.2f} ms usually, {best:.2f} ms at best"
    if usual > SLOW * best:
        remedy = (
            "end other work, or look at the processor's heat and power plan, before timing here"
        )
        return Finding("host", "pace", "warning", seen, remedy)
    return Finding("host", "pace", "ok", seen)


def _npu() -> Finding:
    complaint = Machine.here().complaint
    if complaint is None:
        return Finding("host", "npu devices", "ok", "the compiler of Snapdragon NPUs is installed")
    seen, _, remedy = complaint.rpartition(": ")
    if not seen:
        seen, _, remedy = complaint.rpartition("; ")
    return Finding("host", "npu devices", "note", seen, f"docs/npu.md; {remedy}")


def _gpu() -> Finding:
    """Look for what the device `gpu` needs: LiteRT's GPU library and a Vulkan driver."""
    try:
        driver = find_driver()
    except ConfigError as error:
        seen, _, remedy = str(error).removeprefix("gpu: ").partition(": ")
        if not remedy:
            seen, _, remedy = seen.partition("; ")
        return Finding("host", "gpu device", "note", seen, remedy)
    return Finding("host", "gpu device", "ok", f"Vulkan driver {driver.manifest}")


def check_adb(server: AdbServer) -> Iterator[Finding]:
    """Look at adb: the program, its server, its keys, and phones that this user may not open."""
    program = adb_program()
    if program is None:
        remedy = "install Android's platform-tools, or set ADBUTILS_ADB_PATH to an adb"
        yield Finding("host", "adb", "failed", "no adb program", remedy)
        return
    yield Finding("host", "adb", "ok", program)
    try:
        server.ensure()
        entries = server.entries()
    except (ConfigError, PhoneError) as error:
        yield Finding("host", "adb server", "failed", str(error), "`adb start-server` tells why")
        return
    count = f"{len(entries)} phone{'' if len(entries) == 1 else 's'}"
    seen = f"{server.host}:{server.port} lists {count}"
    remedy = "" if entries else "plug a phone in, with USB debugging on; docs/phones.md tells how"
    yield Finding("host", "adb server", "ok" if entries else "note", seen, remedy)
    yield _keys()
    closed = [entry.serial for entry in entries if entry.state.startswith("no permissions")]
    if closed:
        remedy = (
            "add a udev rule for it (Debian: apt-get install android-sdk-platform-tools-common)"
        )
        remedy += ", log in again, and plug it in again"
        yield Finding(
            "host", "udev", "failed", f"no permission to open {', '.join(closed)}", remedy
        )


def _keys() -> Finding:
    keys = adb_keys()
    if keys:
        return Finding("host", "adb keys", "ok", ", ".join(keys))
    remedy = "adb writes one when its server starts: see that ~/.android can be written"
    return Finding("host", "adb keys", "warning", "no key of this computer", remedy)
