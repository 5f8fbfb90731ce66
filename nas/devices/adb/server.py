"""The adb server: where it is, how it is started, and which phones it lists.

This is the only module that imports adbutils. With `nas.devices.adb.connection` it is the only one
that talks to adb.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nas.devices.adb.wire import AdbEntry
from nas.devices.failures import (
    ADVICE,
    DeviceFailure,
    Evidence,
    FailureClass,
    PhoneError,
    phone_error,
)
from nas.errors import ConfigError

try:
    from adbutils import (  # type: ignore[import-untyped]
        AdbClient,
        AdbConnection,
        AdbError,
        AdbTimeout,
        adb_path,
    )
except ValueError as error:  # it reads the port from the environment as it is loaded
    raise ConfigError(f"ANDROID_ADB_SERVER_PORT: expected a port's number ({error})") from error

DEFAULT_PORT = 5037
"""The port of an adb server."""


def adb_program() -> str | None:
    """Find the adb program that a server would be started with; None where there is none."""
    with suppress(AdbError, OSError):
        return str(adb_path())
    return None


def adb_keys() -> list[str]:
    """List the files of this computer's keys, by which phones know it."""
    homes = [os.environ.get(name) for name in ("ANDROID_USER_HOME", "ANDROID_SDK_HOME")]
    folders = [Path(home) for home in homes if home] + [Path.home() / ".android"]
    files = [folder / "adbkey" for folder in folders]
    files += [Path(p) for p in os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep) if p]
    return [str(path) for path in files if path.exists()]


class _Connection(AdbConnection):  # type: ignore[misc]
    """A connection that never starts a server of its own where none answers."""

    def _safe_connect(self) -> socket.socket:
        return self._create_socket()  # type: ignore[no-any-return]

    def send_command(self, cmd: str) -> None:
        """Send the whole command; adbutils' `send` sends only a part where the way is slow."""
        data = cmd.encode()
        self.conn.sendall(f"{len(data):04x}".encode() + data)

    def close(self) -> None:
        """Close the connection as adbutils does, without its pause of 10 ms."""
        if not self.closed:
            with suppress(OSError):
                self.conn.shutdown(socket.SHUT_WR)
            self.conn.close()
            super().close()


class _Client(AdbClient):  # type: ignore[misc]
    _version: int | None = None

    def server_version(self) -> int:
        """Return the server's version, which is asked once, not once a connection."""
        if self._version is None:
            self._version = int(super().server_version())
        return self._version

    def make_connection(self, timeout: float | None = None) -> AdbConnection:
        connection = _Connection(self.host, self.port)
        connection.conn.settimeout(timeout or 10.0)
        return connection


@dataclass(frozen=True)
class AdbServer:
    """The address of an adb server, on this machine or another one."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT

    @classmethod
    def from_environment(cls) -> AdbServer:
        """Find the server that adb's own variables name; raises ConfigError on a bad one."""
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
        """Parse HOST or HOST:PORT; raises ConfigError on anything else."""
        host, _, port = text.partition(":")
        if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
            raise ConfigError(f"adb server {text!r}: expected HOST or HOST:PORT")
        return cls(host, int(port or DEFAULT_PORT))

    def answers(self) -> bool:
        """Whether something answers at the address, within 3 s."""
        with suppress(OSError), socket.create_connection((self.host, self.port), 3):
            return True
        return False

    def ensure(self) -> None:
        """Check that the server answers; start it where its address is this machine's.

        Raises ConfigError where there is no adb, or a server elsewhere does not answer.
        """
        if self.answers():
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
        if not self.answers():
            raise ConfigError(
                f"{binary} started no server on port {self.port}: try `adb -P {self.port} "
                "nodaemon server` to see why"
            )

    def client(self) -> AdbClient:
        """Return adbutils' client of this server; every read has a timeout."""
        return _Client(self.host, self.port, socket_timeout=10.0)

    def entries(self) -> list[AdbEntry]:
        """List what `adb devices` lists; raises PhoneError where the server does not answer."""
        where = f"the adb server at {self.host}:{self.port}"
        try:
            with self.client().make_connection() as connection:
                connection.send_command("host:devices")
                connection.check_okay()
                text = connection.read_string_block()
        except (AdbError, AssertionError, EOFError, OSError, ValueError) as error:
            failure = DeviceFailure("device_offline", f"{where} does not list its devices")
            advice = "restart it with `adb kill-server`; is it an adb server at all?"
            raise phone_error(failure, Evidence("(any)", stderr=repr(error)), advice) from error
        rows = [line.split("\t", 1) for line in text.splitlines() if "\t" in line]
        return [AdbEntry(serial, re.split(r" \(|;", state)[0].strip()) for serial, state in rows]

    def settled_entries(self, seconds: float = 2.0) -> list[AdbEntry]:
        """List as `entries`, once no phone is still connecting, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            entries = self.entries()
            passing = {"offline", "connecting", "authorizing"} & {entry.state for entry in entries}
            if not passing or time.monotonic() >= deadline:
                return entries
            time.sleep(0.1)

    def connect(self, address: str) -> str:
        """Run `adb connect`; returns its answer, which does not tell whether it worked."""
        with translated(address, "connect"):
            return str(self.client().connect(address, timeout=10.0))

    def reconnect_if_away(self, serial: str, seconds: float) -> bool:
        """Whether the phone is there, or comes back within `seconds`, with its server."""
        with suppress(PhoneError, ConfigError):
            self.ensure()
            if AdbEntry(serial, "device") in self.entries():
                return True
        return self.reconnect(serial, seconds)

    def reconnect(self, serial: str, seconds: float = 10.0) -> bool:
        """Bring back a phone that went away; returns whether it is there within `seconds`."""
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
    """Turn adbutils' many exceptions into PhoneError, which has a class of failure."""
    try:
        yield
    except (AdbTimeout, TimeoutError) as error:
        _fail(serial, "timeout", f"adb said nothing while trying to {what}", error)
    except AdbError as error:
        text = " ".join(str(part) for part in error.args if part).strip()
        if "unauthorized" in text or "authorizing" in text:
            _fail(serial, "unauthorized", text, error)
        detail = f"{text or 'the connection was cut'} while trying to {what}"
        _fail(serial, "device_offline", detail, error)
    except (EOFError, OSError, struct.error, AssertionError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file of this machine, not the phone
        detail = f"the connection was cut while trying to {what}"
        _fail(serial, "device_offline", detail, error)


def _fail(serial: str, failure: FailureClass, detail: str, error: BaseException) -> NoReturn:
    raise phone_error(
        DeviceFailure(failure, detail),
        Evidence(serial, stderr=repr(error)),
        ADVICE.get(failure, ""),
    ) from error
