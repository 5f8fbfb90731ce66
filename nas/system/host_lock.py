"""Who may load this machine: everybody who works, or one who measures, never both.

A latency that was taken beside a training is no number. Work takes the lock shared, in slices of a
second or so; a measurement takes it alone. A second lock, the gate, is held by whoever waits to
measure, so that a stream of workers can't keep it out. Both are locks of the operating system on
files in the user's cache: they hold between threads, processes and runs, and a killed process
leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

FOLDER_VARIABLE = "NAS_LOCK_DIR"


@contextmanager
def working() -> Iterator[None]:
    """Load the machine for a moment, together with other work, while nobody measures."""
    with _lock("gate", fcntl.LOCK_SH):
        work = _open("work")
        fcntl.flock(work, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(work)


@contextmanager
def measuring() -> Iterator[None]:
    """Have the machine alone: waits until the work that is going on has paused."""
    with _lock("gate", fcntl.LOCK_EX), _lock("work", fcntl.LOCK_EX):
        yield


@contextmanager
def _lock(name: str, kind: int) -> Iterator[None]:
    descriptor = _open(name)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _open(name: str) -> int:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_cache_path("portable-nas"))
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / f"host-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
