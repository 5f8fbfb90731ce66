"""Files that are whole or absent, and folders that one process holds at a time."""

from __future__ import annotations

import errno
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from nas.errors import RunError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that appears at `path` only when it is whole and on the disk.

    Raises RunError where the disk is full or the folder can't be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            temporary = file.name
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def open_lock(path: Path, variable: str) -> int:
    """Return a descriptor of a lock's file, which is created where it is missing; nothing is
    locked.

    Raises WriteError where the file can't be written; `variable` is the variable of the environment
    that names the folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        why = cannot_write(path, error)
        raise WriteError(
            f"{why}. {variable} may name another folder: the same one for all that measures here"
        ) from error


class WriteError(RunError):
    """A file can't be written; on a cluster that may be the fault of one machine."""


def cannot_write(path: Path, error: OSError) -> WriteError:
    """Return the error for a file that could not be written, with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WriteError(
            f"the disk is full: can't write {path}. Nothing finished is lost: free some space and "
            "start the same command again"
        )
    return WriteError(f"can't write {path}: {error.strerror or error}")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically; NaN and infinity are refused (ValueError)."""
    text = json.dumps(value, indent=1, allow_nan=False)
    write_atomically(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Return the JSON value in a file; RunError, naming the file, where it is missing
    or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read: {error}") from error


@contextmanager
def held(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold `folder` for this process while the block runs.

    Raises RunError, naming the owner, where another process holds it, or with `wait` waits for that
    process. The operating system drops the lock when its process ends, however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout as error:
        owner = _owner(folder)
        raise RunError(
            f"{folder} is held by another process ({owner}); wait for it, stop it, or choose "
            "another folder"
        ) from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        write_json(
            folder / ".owner.json",
            {"pid": os.getpid(), "host": socket.gethostname(), "since": started},
        )
        yield
    finally:
        with suppress(OSError):
            (folder / ".owner.json").unlink()
        lock.release()


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / ".owner.json").read_text())
        return f"pid {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError):
        return "owner unknown"
