"""Commands and files on a slow, narrow or silent connection: each has one deadline."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer, _Connection
from nas.devices.adb.wire import AdbEntry
from nas.devices.failures import PhoneTransientError
from tests.emulated_phone.phone import EmulatedPhone
from tests.emulated_phone.relay import HOST, Relay

REMOTE = "/data/local/tmp/portable-nas/a b;'$(touch hurt)\".bin"


def test_a_phone_that_says_nothing_times_out(
    adb: Adb, phone: EmulatedPhone, adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.devices.adb.connection._GRACE_SECONDS", 0.2)
    assert adb.shell("true").exit_code == 0
    phone.inject("hang", match="shell.*wait-here", seconds=600)
    started = time.monotonic()
    with pytest.raises(PhoneTransientError, match="adb said nothing") as caught:
        adb.shell("echo wait-here", 0.3)
    assert time.monotonic() - started < 300
    assert caught.value.failure.failure_class == "timeout"
    assert AdbEntry(phone.address, "device") in adb_server.entries()  # its state does not tell


def test_a_phone_that_dribbles_times_out(
    adb: Adb, phone: EmulatedPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.devices.adb.connection._GRACE_SECONDS", 0.2)
    assert adb.shell("true").exit_code == 0
    phone.inject("dribble", match="shell.*drop", seconds=600)
    started = time.monotonic()
    with pytest.raises(PhoneTransientError, match="timeout"):
        adb.shell("echo drop", 0.5)
    assert time.monotonic() - started < 300


def test_megabytes_of_output_are_read_in_linear_time(adb: Adb) -> None:
    result = adb.shell("head -c 20000000 /dev/zero", 120.0)
    assert len(result.stdout) == 20_000_000


class Narrow(socket.socket):
    """A connection that takes little at once, as one of a small buffer does."""

    def send(self, data: Any, flags: int = 0) -> int:
        return super().send(data[:1000], flags)


def test_files_and_commands_are_sent_whole_over_a_narrow_connection(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = _Connection._create_socket

    def narrow(self: _Connection) -> socket.socket:
        found = created(self)
        return Narrow(fileno=found.detach())

    monkeypatch.setattr(_Connection, "_create_socket", narrow)
    local = tmp_path / "model"
    local.write_bytes(os.urandom(300_000))
    assert adb.push(local, REMOTE)
    assert phone.path(REMOTE).read_bytes() == local.read_bytes()
    assert adb.shell("echo " + "x" * 60_000).stdout == "x" * 60_000 + "\n"


def test_a_slow_way_has_one_deadline_for_a_whole_file(
    phone: EmulatedPhone, adb_server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(adb_server.port)
    adb = Adb(AdbServer(HOST, relay.port), phone.address)
    local = tmp_path / "model"
    local.write_bytes(os.urandom(10_000_000))
    phone.path(REMOTE).parent.mkdir(parents=True)
    phone.path(f"{REMOTE}.there").write_bytes(local.read_bytes())
    assert adb.shell("true").exit_code == 0
    monkeypatch.setattr("nas.devices.adb.connection._TRANSFER_SECONDS", 1.0)
    monkeypatch.setattr("nas.devices.adb.connection._TRANSFER_BYTES_PER_SECOND", 1e9)
    relay.pause = 0.01  # something comes all the time
    with pytest.raises(PhoneTransientError, match=r"too slow.* of 10000000 bytes") as caught:
        adb.push(local, REMOTE)
    assert caught.value.failure.failure_class == "device_offline"  # not the network's fault
    with pytest.raises(PhoneTransientError, match=r"too slow.* of 10000000 bytes"):
        adb.pull(f"{REMOTE}.there", tmp_path / "back")
    relay.close()
    assert not phone.path(REMOTE).exists()
    assert not (tmp_path / "back").exists()
