"""One trial at a time on a phone: between threads, processes and hosts.

Two locks. A file of this machine, locked by its kernel; and, for phones that several hosts reach,
a file on the phone, locked by a process there that ends with its adb connection. Neither outlives
its owner, even a killed one.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import translated
from nas.devices.adb.wire import ShellStream
from nas.devices.failures import ADVICE, DeviceFailure, Evidence, PhoneError, phone_error
from nas.devices.phone.leftovers import clear_up
from nas.errors import one_line
from nas.system.cache import LOCK_VARIABLE, lock_folder
from nas.system.files import open_lock
from nas.system.hashing import content_key
from nas.system.lock_holders import holders, own_command

PICTURES = "pictures"
"""The folder, inside the phone's own, for files that stay only while the phone is held."""
TELL_AFTER_SECONDS = 1.0
"""A lock that is just being let go is no news."""
_LONGEST_PAUSE = 2.0
"""Between two looks at the lock on a phone: each is a process beside what is measured there."""


@dataclass(frozen=True)
class PhoneHold:
    """A phone that is held: `files` of its folder with their sizes in bytes, and the lock.

    `by` is "host and phone", or "host" where the phone has no `flock`.
    """

    by: str
    files: dict[str, int]


def owner() -> str:
    """Describe this process as the owner of a lock, for those who wait for it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    where = f"{user}, pid {os.getpid()} on {socket.gethostname()}"
    return f"{where}, {own_command()}, since {since}"


@dataclass
class _Wait:
    """The waiting for a phone that others hold: at most `seconds`, announced once by `tell`."""

    serial: str
    seconds: float
    tell: Callable[[str], None] | None
    told: bool = False
    started: float = field(default_factory=time.monotonic)

    def pause(self, holder: str, seconds: float) -> None:
        """Wait `seconds` more, and announce it once; raises a transient PhoneError in the end."""
        left = self.started + self.seconds - time.monotonic()
        if left <= 0:
            failure = DeviceFailure("held", f"it is held by another trial ({holder})")
            raise phone_error(failure, Evidence(self.serial), "wait for it, or stop it")
        if not self.told and self.tell is not None and self.seconds - left >= TELL_AFTER_SECONDS:
            self.tell(
                f"phone {self.serial} is held by another trial ({holder}): waiting for it, "
                f"{self.seconds:g} s at most"
            )
            self.told = True
        time.sleep(min(seconds, left))


@contextmanager
def phone_lock(
    adb: Adb, folder: str, wait_seconds: float, tell: Callable[[str], None] | None = None
) -> Iterator[PhoneHold]:
    """Hold the phone, and clear away what others left there.

    That is files half sent in `folder`, a tool that still runs, and NNAPI's log. Waits
    `wait_seconds`, then raises a transient PhoneError that names the owner; `tell` is called once
    with a sentence about the waiting. `folder` is the phone's folder for the lock's file; raises a
    PhoneError at once where it can't be used.
    """
    wait = _Wait(adb.serial, wait_seconds, tell)
    with _host_lock(adb.serial, wait):
        stream, held = _hold_on_phone(adb, folder, wait)
        try:
            yield held
        finally:
            stream.close()


@contextmanager
def _host_lock(serial: str, wait: _Wait) -> Iterator[None]:
    path = lock_folder() / f"phone-{content_key(serial)}.lock"
    descriptor = open_lock(path, LOCK_VARIABLE)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait.pause(_read_owner(path), 0.05)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner()).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            os.truncate(descriptor, 0)
        os.close(descriptor)


def _read_owner(path: Path) -> str:
    """Describe the owner of a lock, by its own words or by the system's; say if it is stopped."""
    processes = holders(path)
    stopped = "".join(
        f", stopped: `kill -CONT {process.pid}`" for process in processes if process.stopped
    )
    try:
        return str(json.loads(path.read_text())) + stopped
    except (OSError, ValueError):
        return "; ".join(process.said for process in processes) or "owner unknown"


def _lock_script(folder: str) -> str:
    """Write the script that locks the phone until its input ends; it prints "held-…" or "busy".

    Whatever else it says tells why the lock could not be had at all.
    """
    # A redirection of a group, not of `exec`: Android's mksh hides the latter from `flock`.
    return (
        f"{{ mkdir -p {shlex.quote(folder)} && cd {shlex.quote(folder)} || exit 1; how=phone; "
        f"command -v flock >/dev/null || how=host; {clear_up(folder)}; "
        "{ if [ $how = host ] || flock -n 9; then "
        f"echo {shlex.quote(owner())} >lock.owner; clear_up; "
        f"rm -rf *.part */*.part {PICTURES}; stat -c '%s %n' *; echo held-$how; cat >/dev/null; "
        "[ $how = host ] || clear_up; "  # without a lock of its own, others may be at work by now
        "else echo busy; cat lock.owner 2>/dev/null; fi; } 9<>lock; } 2>&1"
    )


def _hold_on_phone(adb: Adb, folder: str, wait: _Wait) -> tuple[ShellStream, PhoneHold]:
    """Start a process on the phone that holds the lock until its connection ends."""
    script, pause = _lock_script(folder), 0.1
    while True:
        stream = adb.stream(script, time.monotonic() + 10.0)
        try:
            with translated(adb.serial, "lock it"):
                answer = stream.read_until("held-")
        except BaseException:
            stream.close()
            raise
        if "held-" in answer:
            rows = re.findall(r"^(\d+) (\S+)\s*$", answer, re.MULTILINE)
            where = "host and phone" if "held-phone" in answer else "host"
            return stream, PhoneHold(where, {name: int(size) for size, name in rows})
        stream.close()
        if not answer.startswith("busy"):
            raise _no_lock(adb.serial, folder, answer)
        wait.pause(answer.removeprefix("busy").strip() or "owner unknown", pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _no_lock(serial: str, folder: str, answer: str) -> PhoneError:
    """Return the error of a lock that can't be had, though nobody holds it."""
    if not answer.strip():
        failure = DeviceFailure("device_offline", f"its shell ended before it had locked {folder}")
        return phone_error(failure, Evidence(serial), ADVICE["device_offline"])
    failure = DeviceFailure(
        "storage_full", f"the lock in its folder {folder} can't be had: {one_line(answer)}"
    )
    advice = "`adb shell` has to be able to write there: free some space, or remove that folder"
    return phone_error(failure, Evidence(serial, stdout=answer), advice)
