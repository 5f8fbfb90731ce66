"""One trial at a time on a phone: between threads, processes and hosts.

Two locks. A file of this machine, locked by its kernel; and, for phones that several hosts reach,
a file on the phone, locked by a process there that ends with its adb connection. Neither outlives
its owner, however that ends.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from nas.canonical import content_key
from nas.devices.adb import Adb, translated
from nas.devices.adbwire import ShellStream
from nas.devices.failures import Evidence, Failure, phone_error
from nas.quiethost import FOLDER_VARIABLE

PICTURES = "pictures"
"""The folder, inside the phone's own, of what is only there while the phone is held."""


@dataclass(frozen=True)
class Held:
    """A held phone: by what ("host and phone", or "host" where the phone has no `flock`), and the
    files of the folder with their sizes in bytes.
    """

    by: str
    files: dict[str, int]


def owner() -> str:
    """Who holds a lock: shown to whoever waits."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}, pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%H:%M:%S')}"


@contextmanager
def phone_lock(adb: Adb, folder: str, wait_seconds: float) -> Iterator[Held]:
    """Hold the phone, and clear away what others left half sent in `folder`.

    Waits `wait_seconds`, then raises a transient PhoneError that names the owner. `folder` is the
    phone's folder for the lock's file.
    """
    deadline = time.monotonic() + wait_seconds
    with _host_lock(adb.serial, deadline):
        stream, held = _hold_on_phone(adb, folder, deadline)
        try:
            yield held
        finally:
            stream.close()


def _busy(serial: str, holder: str) -> Exception:
    failure = Failure("held", f"it is held by another trial ({holder})")
    return phone_error(failure, Evidence(serial), "wait for it, or stop it")


@contextmanager
def _host_lock(serial: str, deadline: float) -> Iterator[None]:
    folder = Path(os.environ.get(FOLDER_VARIABLE) or platformdirs.user_cache_path("portable-nas"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"phone-{content_key(serial)}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise _busy(serial, _read_owner(path)) from None
                time.sleep(0.05)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner()).encode(), 0)
        yield
    finally:
        with suppress(OSError):
            os.truncate(descriptor, 0)
        os.close(descriptor)


def _read_owner(path: Path) -> str:
    try:
        return str(json.loads(path.read_text()))
    except (OSError, ValueError):
        return "owner unknown"


def _hold_on_phone(adb: Adb, folder: str, deadline: float) -> tuple[ShellStream, Held]:
    """A process on the phone that holds the lock until its connection ends."""
    lock, name = shlex.quote(f"{folder}/lock"), shlex.quote(f"{folder}/lock.owner")
    # A redirection of a group, not of `exec`: Android's mksh hides the latter from `flock`.
    script = (
        f"mkdir -p {shlex.quote(folder)}; cd {shlex.quote(folder)}; how=phone; "
        "command -v flock >/dev/null || how=host; "
        f"{{ if [ $how = host ] || flock -n 9; then echo {shlex.quote(owner())} >{name}; "
        f"rm -rf *.part {PICTURES}; stat -c '%s %n' *; echo held-$how; cat >/dev/null; "
        f"else echo busy; cat {name}; fi; }} 9<>{lock}"
    )
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
            return stream, Held(where, {name: int(size) for size, name in rows})
        stream.close()
        if time.monotonic() >= deadline:
            holder = answer.replace("busy", "").strip() or "owner unknown"
            raise _busy(adb.serial, holder)
        time.sleep(0.1)
