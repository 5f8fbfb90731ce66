"""What a driver writes for those who look on: the table of running work, and a log a trial.

    leases.json                  what runs where, and what waits; written whole, about once a second
    trials/00012/log.jsonl       one line an event of a trial: given, stage, retried, ended

Both are for people and for `nas status`; a search that goes on reads neither.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.files import cannot_write

TABLE = "leases.json"
EVERY_SECONDS = 1.0
_SHARE = 0.01  # of the driver's time that may go into the table
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def append(path: Path, content: bytes) -> None:
    """Add to a file's end; its folder is made where it is missing. RunError on a full disk."""
    try:
        try:
            descriptor = os.open(path, _APPEND, 0o644)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, _APPEND, 0o644)
        try:
            if os.write(descriptor, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error


class RunLog:
    """The logs of one run; `folder` None for none. `goal` is how many trials it is to have."""

    def __init__(
        self,
        folder: Path | None,
        goal: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._goal = goal
        self._clock = clock
        self._next = 0.0

    def event(self, number: int, event: str, **about: Any) -> None:
        """Append a line to a trial's log; RunError where the disk is full."""
        if self._folder is None:
            return
        path = self._folder / "trials" / f"{number:05d}" / "log.jsonl"
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        line = json.dumps({"at": at, "event": event, **about}) + "\n"
        append(path, line.encode())

    def publish(self, table: Callable[[], dict[str, Any]], force: bool = False) -> None:
        """Write leases.json, unless that was done a moment ago. A full disk is no reason to stop.

        Not flushed to the disk: a table that a power cut took is of no use to anybody.
        """
        now = self._clock()
        if self._folder is None or (now < self._next and not force):
            return
        started = time.perf_counter()
        about: dict[str, Any] = {
            "at": time.time(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        about |= {"goal": self._goal}
        path = self._folder / TABLE
        temporary = path.with_name(".leases.json.tmp")
        with suppress(OSError):
            temporary.write_text(json.dumps(about | table()))
            os.replace(temporary, path)
        spent = time.perf_counter() - started
        self._next = now + max(EVERY_SECONDS, spent / _SHARE)
