"""Locks that keep work and measurements on this machine apart.

A latency that is measured beside a training would be meaningless. Work takes the lock shared, in
slices of a second or so; a measurement takes it alone. A second lock, the gate, is held by whoever
waits to measure, so that a stream of workers can't keep the measurement out. Both are locks of the
operating system on files in `nas.system.cache.lock_folder`: they hold between threads, processes
and runs, and a killed process leaves nothing behind. A process that waits for longer than a moment
tells its user for whom (`nas.system.lock_holders`).
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nas.system.cache import LOCK_VARIABLE, lock_folder
from nas.system.files import open_lock
from nas.system.lock_holders import Holder, held_unseen, holders, recorded

TELL_AFTER_SECONDS = 2.0
"""A lock that is just being let go is no news."""
LOOK_SECONDS = 10.0
"""How often a waiter looks whether others are in its way by now."""
_GATE, _WORK = "host-gate.lock", "host-work.lock"


def to_stderr(text: str) -> None:
    """Print `text` as a line of its own on standard error."""
    print(text, file=sys.stderr, flush=True)


teller: list[Callable[[str], None]] = [to_stderr]
"""Who is told, last, for whom this process waits: a command line shows it in its own way."""


@contextmanager
def working() -> Iterator[None]:
    """Hold the machine together with other work, while nobody measures; for a moment at a time."""
    with _lock(_GATE, fcntl.LOCK_SH):
        work = _open(_WORK)
        _take(work, fcntl.LOCK_SH, (_WORK,))
    try:
        with recorded(lock_folder() / _WORK):
            yield
    finally:
        os.close(work)


@contextmanager
def measuring() -> Iterator[None]:
    """Hold the machine alone. Entering waits until the work of all other processes has paused."""
    with (
        _lock(_GATE, fcntl.LOCK_EX),
        recorded(lock_folder() / _GATE),
        _lock(_WORK, fcntl.LOCK_EX),
        recorded(lock_folder() / _WORK),
    ):
        yield


def measured_by_another(pid: int) -> bool:
    """Return whether a process other than `pid` measures on this machine, or waits to.

    Meanwhile `pid` can't work, which is no sign that it hangs.
    """
    return any(holder.pid != pid for holder in holders(lock_folder() / _GATE))


@contextmanager
def _lock(name: str, kind: int) -> Iterator[None]:
    descriptor = _open(name)
    try:
        _take(descriptor, kind, (name, _WORK))
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, names: tuple[str, ...]) -> None:
    """Lock the file; a long wait is reported, with the holders of the locks of these names."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        pass
    done = threading.Event()
    threading.Thread(target=_tell_of_waiting, args=(names, done), daemon=True).start()
    try:
        fcntl.flock(descriptor, kind)
    finally:
        done.set()


def _tell_of_waiting(names: tuple[str, ...], done: threading.Event) -> None:
    """Report who is in the way, once, and again where it is somebody else, until `done` is set."""
    reported: set[int] = set()
    seconds = TELL_AFTER_SECONDS
    while not done.wait(seconds):
        seconds = LOOK_SECONDS
        blockers = {one.pid: one for one in _in_the_way(names)}
        strangers = {pid: one for pid, one in blockers.items() if one.stopped or not one.family}
        if (blockers and not strangers) or (reported and strangers.keys() <= reported):
            continue
        if not strangers and not held_unseen(lock_folder() / names[0]):
            continue  # it just passes from one of ours to the next
        reported |= strangers.keys() or {0}
        who = "; ".join(one.said for one in strangers.values())
        who = who or f"a process that can't be seen from here holds {lock_folder() / names[0]}"
        teller[-1](
            f"waiting for this machine, as latencies are measured on a quiet one only: {who}"
        )


def _in_the_way(names: tuple[str, ...]) -> list[Holder]:
    """Return the holders of the first lock, and those holders of the others that are stopped."""
    first, *others = names
    rest = [one for name in others for one in holders(lock_folder() / name) if one.stopped]
    return holders(lock_folder() / first) + rest


def _open(name: str) -> int:
    return open_lock(lock_folder() / name, LOCK_VARIABLE)
