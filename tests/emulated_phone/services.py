"""The services behind an emulated adbd's streams: a shell with exit codes, and file transfer."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tests.emulated_phone.adbd import Stream, StreamClosedError

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


class Shell:
    """`shell,v2,raw:COMMAND`: both streams apart, and the exit code at the end.

    As adbd does it: the command leads a session of its own, and where the host goes away its pipes
    are closed but it is not killed.
    """

    def __init__(
        self,
        command: str,
        environment: dict[str, str],
        translate: tuple[Callable[[str], str], Callable[[bytes], bytes]],
        started: Callable[[subprocess.Popen[bytes]], None],
        framed: bool = True,
    ) -> None:
        self._command = command
        self._environment = environment
        self._inward, self._outward = translate
        self._started = started
        self._framed = framed

    def __call__(self, stream: Stream) -> None:
        command = self._inward(self._command)
        process = subprocess.Popen(
            [shutil.which("sh", path=self._environment["PATH"]) or "/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self._framed else subprocess.STDOUT,
            env=self._environment,
            cwd=self._environment["HOME"],
            start_new_session=True,
        )
        self._started(process)
        threading.Thread(target=self._feed, args=(stream, process), daemon=True).start()
        pipes = [(STDOUT, process.stdout), (STDERR, process.stderr)]
        readers = [
            threading.Thread(target=self._pump, args=(stream, kind, pipe), daemon=True)
            for kind, pipe in pipes
            if pipe is not None
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        code = process.wait()
        if self._framed:
            stream.write(struct.pack("<BIB", EXIT, 1, code if code >= 0 else 128 - code))

    def _pump(self, stream: Stream, kind: int, pipe: IO[bytes]) -> None:
        try:
            while data := os.read(pipe.fileno(), 32 * 1024):
                text = self._outward(data)
                stream.write(struct.pack("<BI", kind, len(text)) + text if self._framed else text)
        except StreamClosedError:
            pass
        finally:
            pipe.close()

    def _feed(self, stream: Stream, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(StreamClosedError, OSError):
            while True:
                kind, length = struct.unpack("<BI", stream.read(5))
                data = stream.read(length)
                if kind == CLOSE_STDIN:
                    break
                if kind == STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()


class Sync:
    """`sync:` as its first version: STAT, LIST, SEND, RECV."""

    def __init__(
        self,
        path_of: Callable[[str], Path],
        is_full: Callable[[], bool],
        cut: Callable[[], str | None],
    ) -> None:
        self._path_of = path_of
        self._is_full = is_full
        self._cut = cut

    def __call__(self, stream: Stream) -> None:
        while True:
            request, length = struct.unpack("<4sI", stream.read(8))
            if request == b"QUIT":
                return
            name = stream.read(length).decode()
            if request == b"STAT":
                stream.write(b"STAT" + struct.pack("<III", *self._stat(self._path_of(name))))
            elif request == b"LIST":
                self._list(stream, self._path_of(name))
            elif request == b"SEND":
                self._receive_file(stream, name)
            elif request == b"RECV":
                self._send_file(stream, self._path_of(name))
            else:
                self._fail(stream, f"unknown request {request!r}")
                return

    @staticmethod
    def _stat(path: Path) -> tuple[int, int, int]:
        try:
            found = path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime) & 0xFFFFFFFF)

    def _list(self, stream: Stream, folder: Path) -> None:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        for entry in entries:
            name = entry.name.encode()
            stream.write(b"DENT" + struct.pack("<IIII", *self._stat(entry), len(name)) + name)
        stream.write(b"DONE" + bytes(16))

    def _receive_file(self, stream: Stream, argument: str) -> None:
        name, _, mode = argument.rpartition(",")
        path = self._path_of(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            while (header := stream.read(8))[:4] != b"DONE":
                stream.read(struct.unpack("<4sI", header)[1])
            self._fail(stream, f"secure_mkdirs failed: {error.strerror}")
            return
        full = self._is_full()
        cut = self._cut()
        with path.open("wb") as file:
            while True:
                kind, length = struct.unpack("<4sI", stream.read(8))
                if kind == b"DONE":
                    break
                data = stream.read(length)
                if cut:
                    file.write(data[: length // 2])
                    if cut == "transport":
                        stream.transport.shutdown()
                    raise StreamClosedError
                if not full:
                    file.write(data)
        if full:
            path.unlink()
            self._fail(stream, "write failed: No space left on device")
            return
        path.chmod(int(mode) & 0o777)
        stream.write(b"OKAY" + bytes(4))

    def _send_file(self, stream: Stream, path: Path) -> None:
        if not path.is_file():
            self._fail(stream, f"open failed: {os.strerror(2)}")
            return
        cut = self._cut()
        with path.open("rb") as file:
            while data := file.read(64 * 1024):
                if cut:
                    stream.write(b"DATA" + struct.pack("<I", len(data)) + data[: len(data) // 2])
                    if cut == "transport":
                        stream.transport.shutdown()
                    raise StreamClosedError
                stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
        stream.write(b"DONE" + bytes(4))

    @staticmethod
    def _fail(stream: Stream, message: str) -> None:
        text = message.encode()
        stream.write(b"FAIL" + struct.pack("<I", len(text)) + text)


def end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill everything that a shell command started."""
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _session(int(entry.name)) == process.pid:
                with contextlib.suppress(OSError):
                    os.kill(int(entry.name), signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2)


def _session(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None


def remove_tree(folder: Path) -> None:
    """Remove a folder although processes that are just ending may still write there."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)
