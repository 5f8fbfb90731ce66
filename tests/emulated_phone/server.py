"""The real adb server on a port of its own, with keys of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import adbutils


def adb_binary() -> Path:
    """Find the adb inside adbutils' wheel, where it has one for this machine, or another.

    Raises FileNotFoundError where there is none.
    """
    shipped = Path(adbutils.__file__).parent / "binaries" / "adb"
    found = str(shipped) if shipped.exists() else shutil.which("adb")
    if found is None:
        raise FileNotFoundError(
            "emulated phones need adb, and adbutils has none for this machine: install Android's "
            "platform-tools (Debian: apt install adb)"
        )
    return Path(found)


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrivateAdbServer:
    """`adb nodaemon server` on a private port; stopped with `stop`, or as a context manager."""

    def __init__(self, port: int | None = None) -> None:
        program, self.port = adb_binary(), port or free_port()
        self._home = tempfile.TemporaryDirectory(prefix="adb-home-")
        environment = {
            **os.environ,
            "HOME": self._home.name,
            "ANDROID_USER_HOME": self._home.name,
            "ADB_LIBUSB": "0",
            "ADB_MDNS": "0",
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554",
        }
        self._process = subprocess.Popen(
            [program, "-P", str(self.port), "nodaemon", "server"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.02)
        raise RuntimeError(f"adb did not listen on port {self.port} within 60 s")

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._home.cleanup()

    def __enter__(self) -> PrivateAdbServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
