"""Finds out which processes hold a lock on a file, so that a waiting process can name them.

Linux lists the holders of a lock. Since when a process holds it, and on other systems which process
does, is read from a small record that every process of this project writes beside the file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_LISTED = Path("/proc/locks")
_UNSEEN = 0  # how the list has processes of another namespace
_LONGEST = 120  # characters of a command


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock.

    `command` is what was typed to start it. It holds the lock since `since` (seconds since 1970),
    or runs since then where nothing recorded the lock; None where neither is known. `stopped`
    processes wait for a signal to go on. A process of the same `family` is this one or one of the
    same command.
    """

    pid: int
    command: str
    since: float | None
    stopped: bool
    family: bool

    @property
    def said(self) -> str:
        """The holder in words, with what to do where it would hold the lock for ever."""
        text = f"pid {self.pid} ({self.command}) is at work"
        if self.since is not None:
            text += f" since {at(self.since)}"
        if self.stopped:
            text += f" and is stopped (`kill -CONT {self.pid}` lets it go on)"
        return text


def at(seconds: float) -> str:
    """Return a time in words, with the date where that is not today."""
    moment, today = time.localtime(seconds), time.localtime()
    same = moment[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", moment)


def own_command() -> str:
    """Return the command that started this process, shortened."""
    name = sys.argv[0]
    return "python" if name in ("", "-c") else _short(sys.argv)


@contextmanager
def recorded(lock: Path) -> Iterator[None]:
    """Keep a record beside the file, while the block runs, that this process holds the
    file's lock.
    """
    name = f"{lock.name}.{os.getpid()}-{threading.get_ident()}.holder"
    path = lock.parent / name
    record = {**_about_this_process(os.getpid()), "since": time.time()}
    with suppress(OSError):  # then it can only be told less well
        path.write_text(json.dumps(record))
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def holders(lock: Path) -> list[Holder]:
    """Return the processes that hold the lock on a file now, as far as this process
    can see them.
    """
    records = _records(lock)
    listed = _listed(lock)
    pids = [pid for pid in listed or () if pid != _UNSEEN] or sorted(records)
    processes = [_holder(pid, records.get(pid)) for pid in pids]
    return [holder for holder in processes if holder is not None]


def held_unseen(lock: Path) -> bool:
    """Return whether a process holds the lock that this one can't see, such as another container's.

    Where the system does not list holders, that is said of every lock that nothing recorded.
    """
    listed = _listed(lock)
    return not _records(lock) if listed is None else _UNSEEN in listed


def _holder(pid: int, record: dict[str, Any] | None) -> Holder | None:
    try:
        process = psutil.Process(pid)
        command = record["command"] if record else _short(process.cmdline() or [process.name()])
        since = float(record["since"]) if record else process.create_time()
        stopped = process.status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return None
    driver = record["driver"] if record else pid
    return Holder(pid, command, since, stopped, driver == _driver())


def _records(lock: Path) -> dict[int, dict[str, Any]]:
    """Return the oldest record of each living holder, by process; records of dead ones
    are removed.
    """
    records: dict[int, dict[str, Any]] = {}
    for path in sorted(lock.parent.glob(f"{lock.name}.*.holder")):
        try:
            record = json.loads(path.read_text())
            process = psutil.Process(record["pid"])
            if abs(process.create_time() - record["started"]) > 1:
                raise psutil.NoSuchProcess(record["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # just being written, or gone by now
        except psutil.Error:
            with suppress(OSError):
                path.unlink()
            continue
        earlier = records.get(record["pid"])
        if earlier is None or record["since"] < earlier["since"]:
            records[record["pid"]] = record
    return records


def _listed(lock: Path) -> list[int] | None:
    """Return the processes that hold the lock, `_UNSEEN` for those whose number can't be seen.

    None where the system does not list them.
    """
    try:
        rows, about = _LISTED.read_text().splitlines(), lock.stat()
    except OSError:
        return None
    pids = set()  # the device is another one than `stat` tells, on some file systems
    for row in rows:
        cells = row.split()  # 1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF; "->" one that waits
        if cells[1] == "FLOCK" and cells[5].rpartition(":")[2] == str(about.st_ino):
            pids.add(int(cells[4]))
    return sorted(max(pid, _UNSEEN) for pid in pids)


def _driver() -> int:
    """Return the process of the command that this process belongs to."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getpid()


@cache
def _about_this_process(pid: int) -> dict[str, Any]:
    started = psutil.Process(pid).create_time()
    return {"pid": pid, "started": started, "command": own_command(), "driver": _driver()}


def _short(command: list[str]) -> str:
    text = " ".join(" ".join([Path(command[0]).name, *command[1:]]).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
