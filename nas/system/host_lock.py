"""Who may load this machine: everybody who works, or one who measures, never both.

A latency that was taken beside a training is no number. Work takes the lock shared, in slices of a
second or so; a measurement takes it alone. A second lock, the gate, is held by whoever waits to
measure, so that a stream of workers can't keep it out. Both are locks of the operating system on
files in the user's cache: they hold between threads, processes and runs, and a killed process
leaves nothing behind. Whoever waits for longer than a moment says for whom
(`nas.system.lock_holders`).
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
from nas.system.lock_holders import Holder, holders, recorded

TELL_AFTER_SECONDS = 2.0
"""A lock that is just being let go is no news."""
LOOK_SECONDS = 10.0
"""How often a waiter looks whether others are in its way by now."""
_GATE, _WORK = "host-gate.lock", "host-work.lock"


def to_stderr(text: str) -> None:
    """Say it as a line of its own."""
    print(text, file=sys.stderr, flush=True)


teller: list[Callable[[str], None]] = [to_stderr]
"""Who is told, last, for whom this process waits: a command line shows it in its own way."""


@contextmanager
def working() -> Iterator[None]:
    """Load the machine for a moment, together with other work, while nobody measures."""
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
    """Have the machine alone: waits until the work that is going on has paused."""
    with (
        _lock(_GATE, fcntl.LOCK_EX),
        recorded(lock_folder() / _GATE),
        _lock(_WORK, fcntl.LOCK_EX),
        recorded(lock_folder() / _WORK),
    ):
        yield


@contextmanager
def _lock(name: str, kind: int) -> Iterator[None]:
    descriptor = _open(name)
    try:
        _take(descriptor, kind, (name, _WORK))
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, names: tuple[str, ...]) -> None:
    """Lock it; what takes long is told of, with whoever holds one of these locks."""
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
    """Until `done`: who is in the way, once, and again where it is somebody else."""
    told: set[int] = set()
    seconds = TELL_AFTER_SECONDS
    while not done.wait(seconds):
        seconds = LOOK_SECONDS
        found = {one.pid: one for one in _in_the_way(names)}
        strangers = {pid: one for pid, one in found.items() if one.stopped or not one.family}
        if (found and not strangers) or (told and strangers.keys() <= told):
            continue
        told |= strangers.keys() or {0}
        who = "; ".join(one.said for one in strangers.values())
        who = who or f"a process that can't be seen from here holds {lock_folder() / names[0]}"
        teller[-1](
            f"waiting for this machine, as latencies are measured on a quiet one only: {who}"
        )


def _in_the_way(names: tuple[str, ...]) -> list[Holder]:
    """Who holds the first lock, and who keeps those from going on by being stopped."""
    first, *others = names
    rest = [one for name in others for one in holders(lock_folder() / name) if one.stopped]
    return holders(lock_folder() / first) + rest


def _open(name: str) -> int:
    return open_lock(lock_folder() / name, LOCK_VARIABLE)
