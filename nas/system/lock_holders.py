"""Who holds a lock on a file: what a waiting process tells its user.

Linux lists the holders of a lock itself; since when they hold it, and elsewhere who they are, is
told by a small record that each of ours writes beside the file.
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
_LONGEST = 120  # characters of a command


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock since `since` (seconds since 1970; None where that is not known),
    or runs since then.

    `family`: it is this process, or one of the same command.
    """

    pid: int
    command: str
    since: float | None
    stopped: bool
    family: bool

    @property
    def said(self) -> str:
        """It in words, with what to do where it would hold the lock for ever."""
        text = f"pid {self.pid} ({self.command}) is at work"
        if self.since is not None:
            text += f" since {at(self.since)}"
        if self.stopped:
            text += f" and is stopped (`kill -CONT {self.pid}` lets it go on)"
        return text


def at(seconds: float) -> str:
    """A time as people say it: with the day where that is not today."""
    moment, today = time.localtime(seconds), time.localtime()
    same = moment[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same else "%Y-%m-%d %H:%M:%S", moment)


def own_command() -> str:
    """What was typed to start this process, shortened."""
    name = sys.argv[0]
    return "python" if name in ("", "-c") else _short(sys.argv)


@contextmanager
def recorded(lock: Path) -> Iterator[None]:
    """Record beside the file that this process holds its lock, as long as it does."""
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
    """Those who hold the lock on a file now, as far as it can be seen from here."""
    records = _records(lock)
    listed = _listed(lock)
    pids = listed or sorted(records)
    found = [_holder(pid, records.get(pid)) for pid in pids]
    return [holder for holder in found if holder is not None]


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
    """What the living holders wrote, by process: the oldest of each; those of the dead go."""
    found: dict[int, dict[str, Any]] = {}
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
        known = found.get(record["pid"])
        if known is None or record["since"] < known["since"]:
            found[record["pid"]] = record
    return found


def _listed(lock: Path) -> list[int] | None:
    """The processes that hold the lock; None where the system does not list them."""
    try:
        rows, about = _LISTED.read_text().splitlines(), lock.stat()
    except OSError:
        return None
    pids = set()  # the device is another one than `stat` tells, on some file systems
    for row in rows:
        cells = row.split()  # 1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF; "->" one that waits
        if cells[1] == "FLOCK" and cells[5].rpartition(":")[2] == str(about.st_ino):
            pids.add(int(cells[4]))
    return sorted(pid for pid in pids if pid > 0)


def _driver() -> int:
    """The process of the command that this one belongs to."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getpid()


@cache
def _about_this_process(pid: int) -> dict[str, Any]:
    started = psutil.Process(pid).create_time()
    return {"pid": pid, "started": started, "command": own_command(), "driver": _driver()}


def _short(command: list[str]) -> str:
    text = " ".join(" ".join([Path(command[0]).name, *command[1:]]).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
