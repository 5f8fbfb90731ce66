"""Commands and files of one phone over adb: commands end in time, files are whole or absent.

adbutils' own timeouts are per read, its connections may start a stray server, its transfers leave
half files and its exceptions are of many kinds; what fails here is a `PhoneError`.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nas.devices.adb.server import AdbServer, translated
from nas.devices.adb.wire import (
    CHUNK_BYTES,
    ShellResult,
    ShellStream,
    SyncRefusedError,
    SyncStream,
    seconds_left,
    short,
)
from nas.devices.failures import ADVICE, DeviceFailure, Evidence, PhoneError, phone_error
from nas.errors import ConfigError
from nas.system.files import write_atomically
from nas.system.hashing import file_sha256

MAX_COMMAND_BYTES = 65_000
"""adb's length field has four hexadecimal digits; a longer command corrupts it and hangs."""
_GRACE_SECONDS = 5.0
_TRANSFER_SECONDS = 30.0
_TRANSFER_BYTES_PER_SECOND = 256 * 1024
"""What a file may take: the slowest way worth measuring over."""


class Adb:
    """One phone of an adb server; safe to open before the phone is there."""

    def __init__(self, server: AdbServer, serial: str) -> None:
        self.server = server
        self.serial = serial
        self._device: Any = None

    @property
    def device(self) -> Any:
        """adbutils' device, opened at the first use; raises ConfigError without shell v2."""
        if self._device is None:
            with translated(self.serial, "open it"):
                device = self.server.client().device(self.serial)
                if "shell_v2" not in device.get_features().split(","):
                    raise ConfigError(
                        f"phone {self.serial}: its adbd has no shell v2; Android 8.0 or newer "
                        "is needed"
                    )
                self._device = device
        return self._device

    def stream(self, command: str, deadline: float) -> ShellStream:
        """Start a command; the caller closes the stream. `deadline` is by the monotonic clock."""
        with translated(self.serial, f"run {short(command)}"):
            connection = self.device.open_transport(timeout=seconds_left(deadline))
            return ShellStream(connection, command, deadline)

    def shell(self, script: str, timeout: float = 20.0) -> ShellResult:
        """Run a script of ours, whose names are quoted; the phone, too, ends it after `timeout`."""
        limited = f"timeout -s KILL {timeout:g} sh -c {shlex.quote(script)}"
        return self._finish(limited, timeout, False, None)

    def run(
        self,
        arguments: Sequence[str],
        timeout: float,
        prefix: str = "",
        on_text: Callable[[str], None] | None = None,
        first: str = "true",
    ) -> ShellResult:
        """Run one program with its arguments quoted; the result knows its process id.

        `prefix` goes before the program unquoted (`taskset f0`), and `first` is a script of ours
        that its process runs before it becomes the program. Raises a timeout where it takes longer
        than `timeout` seconds. Whatever ends the waiting, the process on the phone is gone then, if
        the phone can still be reached.
        """
        program = " ".join(shlex.quote(argument) for argument in arguments)
        tell = shlex.quote(f'echo $$; {first}; exec "$@"')
        command = f"exec timeout -s KILL {timeout:g} sh -c {tell} sh {prefix} {program}"
        return self._finish(command, timeout, True, on_text)

    def _finish(
        self, command: str, timeout: float, tells_pid: bool, on_text: Callable[[str], None] | None
    ) -> ShellResult:
        size = len(command.encode())
        if size > MAX_COMMAND_BYTES:
            raise ConfigError(
                f"phone {self.serial}: a command of {size} bytes; adb takes {MAX_COMMAND_BYTES}"
            )
        started = time.monotonic()
        stream = self.stream(command, started + timeout + _GRACE_SECONDS)
        try:
            with translated(self.serial, f"run {short(command)}"):
                exit_code = stream.collect(on_text)
        except BaseException:  # an interrupt, too: the program would go on without us
            self._kill(stream.pid if tells_pid else None, command)
            raise
        finally:
            stream.close()
        seconds = time.monotonic() - started
        result = stream.result(exit_code, seconds, tells_pid)
        if exit_code in (124, 137) and seconds >= timeout - 0.1:
            failure = DeviceFailure("timeout", f"{short(command)} took more than {timeout:g} s")
            evidence = Evidence(self.serial, command, exit_code, result.stdout, result.stderr)
            raise phone_error(failure, evidence, ADVICE["timeout"])
        return result

    def _kill(self, pid: int | None, command: str) -> None:
        """End the process that a lost connection left behind, if the phone still answers."""
        if pid is None:
            return
        name = next((word for word in shlex.split(command) if word.startswith("/")), "")
        check = f"grep -qF {shlex.quote(name)} /proc/{pid}/cmdline && kill -9 {pid}"
        with suppress(PhoneError):
            stream = self.stream(check, time.monotonic() + 3.0)
            try:
                with translated(self.serial, "end a process"):
                    stream.collect(None)
            finally:
                stream.close()

    def _sync(self, what: str, request: bytes, name: str, size: int = 0) -> SyncStream:
        """Start a request about a file of `size` bytes; its deadline grows with the size."""
        deadline = time.monotonic() + _TRANSFER_SECONDS + size / _TRANSFER_BYTES_PER_SECOND
        with _moving(self.serial, what, 0, size):
            connection = self.device.open_transport(timeout=10.0)
            return SyncStream(connection, request, name, deadline)

    def size_of(self, remote: str) -> int | None:
        """Return the size of a file on the phone, in bytes; None where there is no such file."""
        what = f"look for {remote}"
        with translated(self.serial, what), self._sync(what, b"STAT", remote) as stream:
            mode, size = stream.stat()
        return size if stat.S_ISREG(mode) else None

    def push(
        self, local: Path, remote: str, progress: Callable[[int, int], None] | None = None
    ) -> bool:
        """Put `local` on the phone at `remote`, whole or not at all; returns whether it was sent.

        `remote` must name the content (a hash), as a file of the right size there is not sent
        again. `progress` is called with the bytes sent and the bytes in all.
        """
        if self.size_of(remote) == local.stat().st_size:
            return False
        part = f"{remote}.{uuid.uuid4().hex[:8]}.part"
        try:
            self._send(local, part, progress)
            quoted = shlex.quote(part)
            script = (
                "command -v sha256sum >/dev/null || exit 8; "
                f'sum=$(sha256sum {quoted}); [ "${{sum%% *}}" = {file_sha256(local)} ] || exit 9; '
            )
            # The phone's own time, as models are removed by age.
            script += f"touch {quoted}; mv {quoted} {shlex.quote(remote)}"
            checked = self.shell(script, 60.0)
            if checked.exit_code == 8:
                raise ConfigError(
                    f"phone {self.serial} has no `sha256sum`; Android 8.0 or newer is needed"
                )
            if checked.exit_code == 9:
                raise self.offline(f"{local.name} arrived damaged")
            self._expect(checked)
        except (PhoneError, ConfigError):
            with suppress(PhoneError):
                self.shell(f"rm -f {shlex.quote(part)}", 3.0)
            raise
        return True

    def _send(self, local: Path, remote: str, progress: Callable[[int, int], None] | None) -> None:
        size, sent = local.stat().st_size, 0
        name, what = f"{remote},{stat.S_IFREG | 0o755}", f"send {local.name}"
        try:
            with local.open("rb") as file, self._sync(what, b"SEND", name, size) as stream:
                while data := file.read(CHUNK_BYTES):
                    with _moving(self.serial, what, sent, size):
                        stream.put(data)
                    sent += len(data)
                    if progress is not None:
                        progress(sent, size)
                with _moving(self.serial, what, sent, size):
                    stream.finish()
        except SyncRefusedError as error:
            raise self._refused(remote, size, str(error)) from error

    def _refused(self, remote: str, size: int, words: str) -> PhoneError:
        """Return the error of a file that the phone refuses: it is full, or says something else."""
        folder = str(Path(remote).parent)
        free = self.free_bytes(folder)
        evidence = Evidence(self.serial, stderr=words)
        if free is not None and free < size + 1_000_000:
            failure = DeviceFailure("storage_full", f"{size} bytes to send, {free} bytes free")
        elif re.search("no space|quota", words, re.IGNORECASE):
            failure = DeviceFailure("storage_full", words)
        else:
            failure = DeviceFailure("device_offline", f"it refuses to write {remote}: {words}")
            return phone_error(failure, evidence, f"see who may write there: `ls -ld {folder}`")
        return phone_error(failure, evidence, ADVICE["storage_full"])

    def free_bytes(self, remote: str) -> int | None:
        """Return the free bytes at a folder of the phone; None where `df` does not tell."""
        rows = self.shell(f"df -k {shlex.quote(remote)}").stdout.splitlines()
        cells = rows[-1].split() if len(rows) > 1 else []
        return int(cells[3]) * 1024 if len(cells) > 3 and cells[3].isdigit() else None

    def pull(self, remote: str, local: Path) -> None:
        """Fetch a file; `local` appears only when it is whole (size and SHA-256 are compared).

        Raises a stable PhoneError where there is no such file on the phone, RunError where `local`
        can't be written.
        """
        size = self.size_of(remote)
        if size is None:
            failure = DeviceFailure("unparsable", f"there is no file {remote} on it")
            raise phone_error(failure, Evidence(self.serial))

        def fetch(file: IO[bytes]) -> None:
            with closing(self._parts(remote, size)) as parts:
                for part in parts:
                    file.write(part)
            file.flush()
            digest = self.shell(f"sha256sum {shlex.quote(remote)}", 60.0).stdout.split()[:1]
            if os.fstat(file.fileno()).st_size != size or digest != [file_sha256(Path(file.name))]:
                raise self.offline(f"{remote} arrived damaged")

        write_atomically(local, fetch)

    def _parts(self, remote: str, size: int) -> Generator[bytes]:
        got, what = 0, f"fetch {remote}"
        try:
            with self._sync(what, b"RECV", remote, size) as stream:
                while True:
                    with _moving(self.serial, what, got, size):
                        data = stream.get()
                    if not data:
                        return
                    got += len(data)
                    yield data  # outside of what translates: a full disk here is not the phone's
        except SyncRefusedError as error:
            raise self.offline(f"it refuses to give {remote}: {error}") from error

    def offline(self, detail: str) -> PhoneError:
        """Return a transient error of this phone."""
        failure = DeviceFailure("device_offline", detail)
        return phone_error(failure, Evidence(self.serial), ADVICE["device_offline"])

    def _expect(self, result: ShellResult) -> None:
        if result.exit_code != 0:
            raise self.offline(f"{result.command} ended with {result.exit_code}: {result.output}")


@contextmanager
def _moving(serial: str, what: str, done: int, size: int) -> Iterator[None]:
    """Translate as `translated`; a slow transfer is no timeout of the network in the file."""
    try:
        with translated(serial, what):
            yield
    except PhoneError as error:
        if error.failure.failure_class != "timeout":
            raise
        detail = f"too slow, or at a stand, trying to {what}: {done} of {size} bytes are through"
        advice = "look at the cable, and at the way to the adb server"
        raise phone_error(
            DeviceFailure("device_offline", detail), error.evidence, advice
        ) from error
