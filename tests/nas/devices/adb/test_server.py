"""adb servers: their addresses, how they are started, what they list, and bad ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer
from nas.devices.adb.wire import AdbEntry
from nas.devices.failures import PhoneTransientError
from nas.errors import ConfigError
from tests.emulated_phone.server import free_port
from tests.helpers.phones import StartPhone, adb_of

REMOTE = "/data/local/tmp/portable-nas/a b;'$(touch hurt)\".bin"


def test_connect_to_nobody_is_seen_in_the_list(adb_server: AdbServer) -> None:
    address = f"127.0.0.1:{free_port()}"
    adb_server.connect(address)  # adb answers with words, not with an error
    assert address not in [entry.serial for entry in adb_server.entries()]
    assert not adb_server.reconnect(address, 0.5)


def test_an_unauthorised_phone(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    phone.inject("unauthorized")
    phone.unplug()
    phone.plug()
    adb_server.client().disconnect(phone.address)
    adb_server.connect(phone.address)
    entry, deadline = AdbEntry(phone.address, "unauthorized"), time.monotonic() + 60
    while entry not in adb_server.entries() and time.monotonic() < deadline:
        time.sleep(0.02)  # a busy machine lists the phone as offline for a moment
    assert entry in adb_server.entries()
    with pytest.raises(PhoneTransientError, match="accept this computer's key") as caught:
        adb_of(phone, adb_server).shell("true")
    assert caught.value.failure.failure_class == "unauthorized"


def test_no_stray_server_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """adbutils would run its adb wherever a connection fails; the driver must not."""
    witness = tmp_path / "started"
    script = tmp_path / "adb"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(script))
    server = AdbServer("127.0.0.1", free_port())
    with pytest.raises(PhoneTransientError, match="does not list its devices"):
        server.entries()
    with pytest.raises(PhoneTransientError, match="device_offline"):
        Adb(server, "serial").shell("true")
    assert not witness.exists()
    with pytest.raises(ConfigError, match="started no server on port"):
        server.ensure()
    assert witness.exists()


def test_no_adb_and_no_server_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/nowhere/adb")
    with pytest.raises(ConfigError, match="install Android's platform-tools"):
        AdbServer("127.0.0.1", free_port()).ensure()
    with pytest.raises(ConfigError, match="nodaemon server"):
        AdbServer("192.0.2.1.invalid", 5037).ensure()


def test_a_server_that_hangs_up_or_says_nonsense() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = AdbServer("127.0.0.1", listening.getsockname()[1])

        def answer(data: bytes) -> None:
            connection, _ = listening.accept()
            connection.sendall(data)
            connection.close()

        for data in (b"", b"OK", b"OKAY", b"OKAYzzzz", b"FAIL0004oops", b"\xff\xff\xff\xff"):
            thread = threading.Thread(target=answer, args=(data,))
            thread.start()
            with pytest.raises(PhoneTransientError, match="does not list its devices"):
                server.entries()
            thread.join()


def test_states_with_spaces() -> None:

    listing = b"ABC\tno permissions (user in plugdev group); see [url]\nD E\tdevice\n"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            connection.sendall(b"OKAY" + f"{len(listing):04x}".encode() + listing)
            connection.close()

        threading.Thread(target=answer).start()
        entries = AdbServer("127.0.0.1", listening.getsockname()[1]).entries()
    assert entries == [AdbEntry("ABC", "no permissions"), AdbEntry("D E", "device")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("lab", AdbServer("lab", 5037)), ("10.0.0.2:5038", AdbServer("10.0.0.2", 5038))],
)
def test_server_addresses(text: str, expected: AdbServer) -> None:
    assert AdbServer.parse(text) == expected


@pytest.mark.parametrize("text", ["", "host:", ":1", "host:x", "host:70000"])
def test_wrong_server_addresses(text: str) -> None:
    if text == "host:":
        assert AdbServer.parse(text).port == 5037
        return
    with pytest.raises(ConfigError, match="expected HOST or HOST:PORT"):
        AdbServer.parse(text)


def test_server_from_adbs_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:lab:6000")
    assert AdbServer.from_environment() == AdbServer("lab", 6000)
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:6001")
    monkeypatch.setenv("ANDROID_ADB_SERVER_ADDRESS", "lab2")
    assert AdbServer.from_environment() == AdbServer("lab2", 6001)


def test_something_else_that_answers_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        server = AdbServer("127.0.0.1", listening.getsockname()[1])
        with pytest.raises(PhoneTransientError, match="is it an adb server at all"):
            server.entries()


def test_a_port_that_is_no_number() -> None:
    code = "from nas.errors import ConfigError\ntry:\n    import nas.devices.adb.connection\n"
    code += "except ConfigError as error:\n    print(error)\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ANDROID_ADB_SERVER_PORT": "abc"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("ANDROID_ADB_SERVER_PORT: expected a port's number")
