"""What goes over an adb connection: shell v2, with one deadline for all, and counted files."""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

_STDOUT, _STDERR, _EXIT = 1, 2, 3


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

    def limit(self, seconds: float) -> None:
        """Move the deadline to `seconds` from now."""
        self._deadline = time.monotonic() + seconds

    def _left(self) -> float:
        return seconds_left(self._deadline)

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._connection.conn.settimeout(self._left())
            data = self._connection.conn.recv(size - len(parts))
            if not data:
                raise EOFError
            parts += data
        return bytes(parts)

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


class CountedFile:
    """A file that tells how much of it was read: adbutils has no progress of its own."""

    def __init__(
        self, file: IO[bytes], size: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self._file = file
        self._sent = 0
        self._progress = progress
        self.size = size

    def read(self, size: int) -> bytes:
        """The next bytes, `size` of them or 32 KiB."""
        data = self._file.read(max(size, 32 * 1024))  # a message may hold up to 64 KiB
        self._sent += len(data)
        if self._progress is not None:
            self._progress(self._sent, self.size)
        return data
