"""What goes over an adb connection: shell v2, and files, each with one deadline for all."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nas.errors import one_line

_STDOUT, _STDERR, _EXIT = 1, 2, 3
STALL_SECONDS = 10.0
CHUNK_BYTES = 32 * 1024
"""How much of a file goes at once; adb takes up to 64 KiB."""


@dataclass(frozen=True)
class AdbEntry:
    """A line of `adb devices`: state is "device", "offline", "unauthorized", "no permissions" …"""

    serial: str
    state: str


@dataclass(frozen=True)
class ShellResult:
    """What a command on the phone printed, how it ended, and how long it took."""

    command: str
    exit_code: int
    stdout: str
    stderr: str
    output: str
    seconds: float
    pid: int | None = None


class ShellStream:
    """A command of shell v2 with a deadline for the whole of it, and both streams apart."""

    def __init__(self, connection: Any, command: str, deadline: float) -> None:
        """`connection`: adbutils', open to the phone; `deadline` by the monotonic clock."""
        self.command = command
        self._connection = connection
        self._deadline = deadline
        self._out = bytearray()
        self._err = bytearray()
        self._all = bytearray()
        try:
            connection.send_command(f"shell,v2,raw:{command}")
            connection.conn.settimeout(self._left())
            connection.check_okay()
        except BaseException:
            self.close()
            raise

    def _left(self) -> float:
        return seconds_left(self._deadline)

    def _receive(self, size: int) -> bytes:
        return _exactly(self._connection, size, self._left)

    @property
    def pid(self) -> int | None:
        """The process id, where the command's first line of output is it."""
        first, newline, _ = bytes(self._out[:32]).partition(b"\n")
        return int(first) if newline and first.strip().isdigit() else None

    def read_until(self, text: str) -> str:
        """The standard output up to a line that holds `text`, or up to the command's end."""
        while text.encode() not in self._out:
            if self._packet(None) is not None:
                break
        return self._out.decode(errors="replace")

    def collect(self, on_text: Callable[[str], None] | None) -> int:
        """Read to the end; the exit code."""
        while True:
            code = self._packet(on_text)
            if code is not None:
                return code

    def _packet(self, on_text: Callable[[str], None] | None) -> int | None:
        kind, length = struct.unpack("<BI", self._receive(5))
        data = self._receive(length)
        if kind == _EXIT:
            return data[0]
        if kind in (_STDOUT, _STDERR):
            (self._out if kind == _STDOUT else self._err).extend(data)
            self._all.extend(data)
            if on_text is not None:
                on_text(data.decode(errors="replace"))
        return None

    def result(self, exit_code: int, seconds: float, tells_pid: bool) -> ShellResult:
        """What came; the line with the process id is taken out of it."""
        pid = self.pid if tells_pid else None
        out, everything = self._out, self._all
        if pid is not None:
            out = out.partition(b"\n")[2]
            line = f"{pid}\n".encode()
            everything = everything.replace(line, b"", 1)
        stdout, stderr, output = (
            bytes(part).decode(errors="replace") for part in (out, self._err, everything)
        )
        return ShellResult(self.command, exit_code, stdout, stderr, output, seconds, pid)

    def close(self) -> None:
        """Let go: the phone closes the command's input and output."""
        with suppress(OSError):
            self._connection.close()


def seconds_left(deadline: float) -> float:
    """Seconds until `deadline`, an hour at most; TimeoutError where it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, 3600.0)


def short(command: str) -> str:
    """A command for an error message: without what we put around it, at most 80 characters."""
    text = re.sub(r"^(?:exec )?timeout -s KILL \S+ sh -c ('echo \$\$[^']*' sh)?", "", command)
    return text.strip()[:80]


class SyncRefusedError(Exception):
    """The phone's own words why it does not take, or give, a file."""


class SyncStream:
    """One request of adb's file transfer, with a deadline for the whole of it.

    A connection that stands still for `STALL_SECONDS` ends it sooner. Raises TimeoutError then,
    EOFError or OSError where the connection is cut, and SyncRefusedError.
    """

    def __init__(self, connection: Any, request: bytes, name: str, deadline: float) -> None:
        """`connection`: adbutils', open to the phone; `deadline` by the monotonic clock."""
        self._connection = connection
        self._deadline = deadline
        try:
            connection.conn.settimeout(self._left())
            connection.send_command("sync:")
            connection.check_okay()
            self._send(request + struct.pack("<I", len(name.encode())) + name.encode())
        except BaseException:
            self.close()
            raise

    def _left(self) -> float:
        return min(seconds_left(self._deadline), STALL_SECONDS)

    def _send(self, data: bytes) -> None:
        # Not `send`, as adbutils does: where the way is slow it takes only a part.
        self._connection.conn.settimeout(self._left())
        self._connection.conn.sendall(data)

    def _receive(self, size: int, left: Callable[[], float] | None = None) -> bytes:
        return _exactly(self._connection, size, left or self._left)

    def stat(self) -> tuple[int, int]:
        """A file's mode and size in bytes, both 0 where there is none."""
        kind, mode, size, _ = struct.unpack("<4sIII", self._receive(16))
        if kind != b"STAT":
            raise ValueError(kind)
        return mode, size

    def put(self, data: bytes) -> None:
        """Send the next part of a file, of at most 64 KiB."""
        try:
            self._send(b"DATA" + struct.pack("<I", len(data)) + data)
        except (BrokenPipeError, ConnectionResetError):
            with suppress(OSError, EOFError, struct.error):
                self._answer()  # it may have told why before it hung up
            raise

    def finish(self) -> None:
        """End the file that was sent; the phone has it then."""
        self._send(b"DONE" + struct.pack("<I", int(time.time())))
        # Much of the file may still be on its way: standing still says nothing here.
        kind = self._answer(lambda: seconds_left(self._deadline))[0]
        if kind != b"OKAY":
            raise ValueError(kind)

    def get(self) -> bytes:
        """The next part of a file; empty at its end."""
        kind, size = self._answer()
        if kind not in (b"DATA", b"DONE"):
            raise ValueError(kind)
        return self._receive(size) if kind == b"DATA" else b""

    def _answer(self, left: Callable[[], float] | None = None) -> tuple[bytes, int]:
        kind, size = struct.unpack("<4sI", self._receive(8, left))
        if kind == b"FAIL":
            words = self._receive(min(size, 4096)).decode(errors="replace")
            raise SyncRefusedError(one_line(words))
        return kind, size

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(OSError):
            self._connection.close()

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _exactly(connection: Any, size: int, left: Callable[[], float]) -> bytes:
    """So many bytes; `left` tells the seconds before each wait."""
    parts = bytearray()
    while len(parts) < size:
        connection.conn.settimeout(left())
        data = connection.conn.recv(size - len(parts))
        if not data:
            raise EOFError
        parts += data
    return bytes(parts)
