"""What a driver writes for those who look on: the table of running work, and a log a trial.

    leases.json                  what runs where, and what waits; written whole, about once a second
    trials/00012/log.jsonl       one line an event of a trial: given, stage, progress, lost,
                                 measured, ended

Both are for people and for `nas status`. A search that goes on reads of them only how often a
trial was begun in vain (`nas.execution.attempts`).
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
from typing import IO, Any

from nas.execution.trial.task import TrialProgress
from nas.execution.trial.waiting import WaitingTrial
from nas.storage.run_folder import RunFolder
from nas.study.halving import RUNG_NAMES
from nas.study.trial_result import TrialResult
from nas.system.files import cannot_write

EVERY_SECONDS = 1.0
PARTS = 20
"""The lines of progress that a stage has in a trial's log, at most."""
_SHARE = 0.01  # of the driver's time that may go into the table
_OPEN = 16  # logs at a time
_LAST = ("ended", "rests", "stopped")  # events after which a log is closed


class RunLog:
    """The logs of one run; with `folder` None nothing is written.

    `goal` is how many trials the run is to have."""

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
        self._files: dict[int, IO[bytes]] = {}
        self._parts: dict[int, tuple[str, int]] = {}

    def event(self, number: int, event: str, **about: Any) -> None:
        """Append a line to a trial's log; RunError where the disk is full."""
        if self._folder is None:
            return
        path = RunFolder(self._folder).log(number)
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        line = json.dumps({"at": at, "event": event, **about}) + "\n"
        try:
            self._append(number, path, line.encode())
        except OSError as error:
            self._files.pop(number, None)
            raise cannot_write(path, error) from error
        if event in _LAST:
            self._files.pop(number).close()
            self._parts.pop(number, None)

    def progress(self, progress: TrialProgress) -> None:
        """Note how far a trial is, at most `PARTS` times a stage: a curve for those who look on."""
        if not progress.total:
            return
        part = (progress.stage, progress.done * PARTS // progress.total)
        if self._parts.get(progress.number) != part:
            self._parts[progress.number] = part
            about = {"stage": progress.stage, "done": progress.done, "total": progress.total}
            self.event(progress.number, "progress", **about, note=progress.note)

    def _append(self, number: int, path: Path, content: bytes) -> None:
        file = self._files.get(number)
        if file is None:
            while len(self._files) >= _OPEN:
                self._files.pop(next(iter(self._files))).close()
            path.parent.mkdir(parents=True, exist_ok=True)
            file = self._files[number] = path.open("ab", buffering=0)
        if file.write(content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

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
        path = RunFolder(self._folder).table
        temporary = path.with_name(".leases.json.tmp")
        with suppress(OSError):
            temporary.write_text(json.dumps(about | table()))
            os.replace(temporary, path)
        spent = time.perf_counter() - started
        self._next = now + max(EVERY_SECONDS, spent / _SHARE)


def log_end(log: RunLog, result: TrialResult | WaitingTrial) -> None:
    """Note in a trial's log how it ended, or at which rung it waits."""
    if isinstance(result, WaitingTrial):
        log.event(result.number, "rests", rung=RUNG_NAMES[result.rung])
    else:
        log.event(result.number, "ended", state=result.state)
