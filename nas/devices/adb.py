"""The only module that talks to adb: phones by serial, commands, files. On adbutils.

adbutils' own timeouts are per read, its connections may start a stray server, its transfers leave
half files and its exceptions are of many kinds; everything here is bounded in time, whole or
absent, and fails with `PhoneError`.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import stat
import struct
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from nas.canonical import file_sha256
from nas.devices.adbwire import AdbEntry, CountedFile, ShellResult, ShellStream, seconds_left, short
from nas.devices.failures import ADVICE, Evidence, Failure, FailureClass, PhoneError, phone_error
from nas.errors import ConfigError
from nas.files import write_atomically

try:
    from adbutils import (  # type: ignore[import-untyped]
        AdbClient,
        AdbConnection,
        AdbDevice,
        AdbError,
        AdbTimeout,
        adb_path,
    )
except ValueError as error:  # it reads the port from the environment as it is loaded
    raise ConfigError(f"ANDROID_ADB_SERVER_PORT: expected a port's number ({error})") from error

DEFAULT_PORT = 5037
MAX_COMMAND_BYTES = 65_000
"""adb's length field has four hexadecimal digits; a longer command corrupts it and hangs."""
_GRACE_SECONDS = 5.0


class _Connection(AdbConnection):  # type: ignore[misc]
    """A connection that never starts a server of its own where none answers."""

    def _safe_connect(self) -> socket.socket:
        return self._create_socket()  # type: ignore[no-any-return]

    def close(self) -> None:
        """As adbutils', without its pause of 10 ms."""
        if not self.closed:
            with suppress(OSError):
                self.conn.shutdown(socket.SHUT_WR)
            self.conn.close()
            super().close()


class _Client(AdbClient):  # type: ignore[misc]
    _version: int | None = None

    def server_version(self) -> int:
        """The server's version; asked once, not once a connection."""
        if self._version is None:
            self._version = int(super().server_version())
        return self._version

    def make_connection(self, timeout: float | None = None) -> AdbConnection:
        connection = _Connection(self.host, self.port)
        connection.conn.settimeout(timeout or 10.0)
        return connection


@dataclass(frozen=True)
class AdbServer:
    """An adb server, here or on another host."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT

    @classmethod
    def from_environment(cls) -> AdbServer:
        """The server that adb's own variables name; ConfigError where they can't be read."""
        address = os.environ.get("ADB_SERVER_SOCKET", "")
        host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or os.environ.get(
            "ANDROID_ADB_SERVER_HOST", "127.0.0.1"
        )
        port = os.environ.get("ANDROID_ADB_SERVER_PORT", str(DEFAULT_PORT))
        if match := re.fullmatch(r"tcp:(?:(.+):)?(\d+)", address):
            host, port = match[1] or host, match[2]
        return cls.parse(f"{host}:{port}")

    @classmethod
    def parse(cls, text: str) -> AdbServer:
        """HOST or HOST:PORT; ConfigError where it is neither."""
        host, _, port = text.partition(":")
        if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
            raise ConfigError(f"adb server {text!r}: expected HOST or HOST:PORT")
        return cls(host, int(port or DEFAULT_PORT))

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), 3):
            return True
        return False

    def ensure(self) -> None:
        """Have a server that answers; starts one where it belongs on this machine.

        Raises ConfigError where there is no adb, or a server elsewhere does not answer.
        """
        if self._answers():
            return
        if self.host not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigError(
                f"no adb server answers at {self.host}:{self.port}: start it there with "
                f"`adb -a -P {self.port} nodaemon server`"
            )
        try:
            binary = adb_path()
            subprocess.run(
                [binary, "-P", str(self.port), "start-server"],
                env={**os.environ, "ANDROID_ADB_SERVER_PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
        except (AdbError, OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(
                f"can't start adb ({error}): install Android's platform-tools, or set "
                "ADBUTILS_ADB_PATH to an adb"
            ) from error
        if not self._answers():
            raise ConfigError(
                f"{binary} started no server on port {self.port}: try `adb -P {self.port} "
                "nodaemon server` to see why"
            )

    def client(self) -> AdbClient:
        """adbutils' client of this server, every read bounded."""
        return _Client(self.host, self.port, socket_timeout=10.0)

    def entries(self) -> list[AdbEntry]:
        """What `adb devices` lists, states with spaces whole."""
        where = f"the adb server at {self.host}:{self.port}"
        try:
            with self.client().make_connection() as connection:
                connection.send_command("host:devices")
                connection.check_okay()
                text = connection.read_string_block()
        except (AdbError, AssertionError, EOFError, OSError, ValueError) as error:
            failure = Failure("device_offline", f"{where} does not list its devices")
            advice = "restart it with `adb kill-server`; is it an adb server at all?"
            raise phone_error(failure, Evidence("(any)", stderr=repr(error)), advice) from error
        rows = [line.split("\t", 1) for line in text.splitlines() if "\t" in line]
        return [AdbEntry(serial, re.split(r" \(|;", state)[0].strip()) for serial, state in rows]

    def connect(self, address: str) -> None:
        """`adb connect`: its answer is only words, so the list tells whether it worked."""
        with translated(address, "connect"):
            self.client().connect(address, timeout=10.0)

    def reconnect_if_away(self, serial: str, seconds: float) -> bool:
        """Whether the phone is there, or comes back within `seconds`, as its server may have to."""
        with suppress(PhoneError, ConfigError):
            self.ensure()
            if AdbEntry(serial, "device") in self.entries():
                return True
        return self.reconnect(serial, seconds)

    def reconnect(self, serial: str, seconds: float = 10.0) -> bool:
        """Bring a phone that went away back; whether it is there within `seconds`."""
        with suppress(PhoneError), translated(serial, "reconnect"):
            if re.fullmatch(r"[\w.\-]+:\d+", serial):
                self.client().disconnect(serial)
            else:
                with self.client().make_connection() as connection:
                    connection.send_command(f"host-serial:{serial}:reconnect")
                    connection.check_okay()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(PhoneError, ConfigError):
                self.ensure()
                if re.fullmatch(r"[\w.\-]+:\d+", serial):
                    self.connect(serial)
                if AdbEntry(serial, "device") in self.entries():
                    return True
            time.sleep(0.2)
        return False


@contextmanager
def translated(serial: str, what: str) -> Iterator[None]:
    """adbutils' many exceptions as one: PhoneError with a class of failure."""
    try:
        yield
    except (AdbTimeout, TimeoutError) as error:
        _fail(serial, "timeout", f"adb said nothing while trying to {what}", error)
    except AdbError as error:
        text = " ".join(str(part) for part in error.args if part).strip()
        if "unauthorized" in text or "authorizing" in text:
            _fail(serial, "unauthorized", text, error)
        if "No space left" in text or "quota" in text:
            _fail(serial, "storage_full", text, error)
        detail = f"{text or 'the connection was cut'} while trying to {what}"
        _fail(serial, "device_offline", detail, error)
    except (EOFError, OSError, struct.error, AssertionError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file of this machine, not the phone
        detail = f"the connection was cut while trying to {what}"
        _fail(serial, "device_offline", detail, error)


def _fail(serial: str, failure: FailureClass, detail: str, error: BaseException) -> NoReturn:
    raise phone_error(
        Failure(failure, detail), Evidence(serial, stderr=repr(error)), ADVICE.get(failure, "")
    ) from error


class Adb:
    """One phone of one server."""

    def __init__(self, server: AdbServer, serial: str) -> None:
        self.server = server
        self.serial = serial
        self._device: AdbDevice | None = None

    @property
    def device(self) -> AdbDevice:
        """adbutils' device; opened at the first use, and it must know shell v2."""
        if self._device is None:
            with translated(self.serial, "open it"):
                device = self.server.client().device(self.serial)
                if "shell_v2" not in device.get_features().split(","):
                    raise ConfigError(
                        f"phone {self.serial}: its adbd has no shell v2; Android 7 or newer is "
                        "needed"
                    )
                self._device = device
        return self._device

    def stream(self, command: str, deadline: float) -> ShellStream:
        """Start a command; whoever gets the stream closes it. `deadline` by the monotonic clock."""
        with translated(self.serial, f"run {short(command)}"):
            connection = self.device.open_transport(timeout=seconds_left(deadline))
            return ShellStream(connection, command, deadline)

    def shell(self, script: str, timeout: float = 20.0) -> ShellResult:
        """Run a script of ours; quote every name in it. Ends on the phone, too, after `timeout`."""
        limited = f"timeout -s KILL {timeout:g} sh -c {shlex.quote(script)}"
        return self._finish(limited, timeout, False, None)

    def run(
        self,
        arguments: Sequence[str],
        timeout: float,
        prefix: str = "",
        on_text: Callable[[str], None] | None = None,
    ) -> ShellResult:
        """Run one program with its arguments quoted; the result knows its process id.

        `prefix` goes before the program unquoted (`taskset f0`). Raises a timeout where it takes
        longer than `timeout` seconds; the process on the phone is gone then.
        """
        program = " ".join(shlex.quote(argument) for argument in arguments)
        tell = shlex.quote('echo $$; exec "$@"')
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
        except PhoneError as error:
            if error.failure.failure_class == "timeout":
                self._kill(stream.pid if tells_pid else None, command)
            raise
        finally:
            stream.close()
        seconds = time.monotonic() - started
        result = stream.result(exit_code, seconds, tells_pid)
        if exit_code in (124, 137) and seconds >= timeout - 0.1:
            failure = Failure("timeout", f"{short(command)} took more than {timeout:g} s")
            evidence = Evidence(self.serial, command, exit_code, result.stdout, result.stderr)
            raise phone_error(failure, evidence, ADVICE["timeout"])
        return result

    def _kill(self, pid: int | None, command: str) -> None:
        """End what a lost connection left behind, if the phone answers at all."""
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

    def size_of(self, remote: str) -> int | None:
        """A file's size in bytes; None where there is no such file."""
        with translated(self.serial, f"look for {remote}"):
            found = self.device.sync.stat(remote)
        return int(found.size) if stat.S_ISREG(found.mode) else None

    def push(
        self, local: Path, remote: str, progress: Callable[[int, int], None] | None = None
    ) -> bool:
        """Have `local` on the phone at `remote`, whole or not at all; whether it was sent.

        `remote` must name the content (a hash), as a file of the right size there is not sent
        again. `progress` is told bytes sent and bytes in all.
        """
        size = local.stat().st_size
        if self.size_of(remote) == size:
            return False
        part = f"{remote}.{uuid.uuid4().hex[:8]}.part"
        try:
            with local.open("rb") as file:
                self._send(CountedFile(file, size, progress), part)
            quoted = shlex.quote(part)
            script = (
                f'sum=$(sha256sum {quoted}); [ "${{sum%% *}}" = {file_sha256(local)} ] || exit 9; '
            )
            checked = self.shell(f"{script}mv {quoted} {shlex.quote(remote)}", 60.0)
            if checked.exit_code == 9:
                raise self.offline(f"{local.name} arrived damaged")
            self._expect(checked)
        except PhoneError:
            with suppress(PhoneError):
                self.shell(f"rm -f {shlex.quote(part)}", 3.0)
            raise
        return True

    def _send(self, file: CountedFile, remote: str) -> None:
        try:
            with translated(self.serial, f"send {Path(remote).name}"):
                self.device.sync.push(file, remote, 0o755)
        except PhoneError as error:
            if "FAIL" not in str(error.__cause__):
                raise
            free = self.free_bytes(str(Path(remote).parent))
            if free is not None and free < file.size + 1_000_000:
                detail = f"{file.size} bytes to send, {free} bytes free"
                cause = Failure("storage_full", detail)
                raise phone_error(cause, error.evidence, ADVICE["storage_full"]) from error
            detail = f"it refuses to write {remote}"
            raise phone_error(Failure("storage_full", detail), error.evidence) from error

    def free_bytes(self, remote: str) -> int | None:
        """Free space at a folder of the phone; None where `df` does not tell."""
        rows = self.shell(f"df -k {shlex.quote(remote)}").stdout.splitlines()
        cells = rows[-1].split() if len(rows) > 1 else []
        return int(cells[3]) * 1024 if len(cells) > 3 and cells[3].isdigit() else None

    def pull(self, remote: str, local: Path) -> None:
        """Fetch a file; `local` appears only when it is whole (size and SHA-256 are compared).

        Raises a stable PhoneError where there is no such file on the phone.
        """
        size = self.size_of(remote)
        if size is None:
            failure = Failure("unparsable", f"there is no file {remote} on it")
            raise phone_error(failure, Evidence(self.serial))

        def fetch(file: IO[bytes]) -> None:
            with translated(self.serial, f"fetch {remote}"):
                for chunk in self.device.sync.iter_content(remote):
                    file.write(chunk)
            file.flush()
            told = self.shell(f"sha256sum {shlex.quote(remote)}", 60.0).stdout.split()[:1]
            if os.fstat(file.fileno()).st_size != size or told != [file_sha256(Path(file.name))]:
                raise self.offline(f"{remote} arrived damaged")

        write_atomically(local, fetch)

    def offline(self, detail: str) -> PhoneError:
        """A transient error of this phone."""
        failure = Failure("device_offline", detail)
        return phone_error(failure, Evidence(self.serial), ADVICE["device_offline"])

    def _expect(self, result: ShellResult) -> None:
        if result.exit_code != 0:
            raise self.offline(f"{result.command} ended with {result.exit_code}: {result.output}")
