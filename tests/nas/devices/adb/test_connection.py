"""The driver against the real adb server and emulated phones: every trap of adbutils."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas.devices.adb.connection import MAX_COMMAND_BYTES, Adb
from nas.devices.adb.server import AdbServer, _Connection
from nas.devices.adb.wire import AdbEntry
from nas.devices.failures import PhoneError, PhoneTransientError
from nas.errors import ConfigError, RunError
from nas.system.files import write_atomically
from nas.system.hashing import file_sha256
from tests.emulated_phone.phone import PATH_VARIABLE, EmulatedPhone
from tests.emulated_phone.relay import HOST, Relay
from tests.emulated_phone.server import free_port
from tests.nas.devices.conftest import StartPhone, adb_of

REMOTE = "/data/local/tmp/portable-nas/a b;'$(touch hurt)\".bin"


@pytest.fixture
def phone(start_phone: StartPhone) -> EmulatedPhone:
    return start_phone()


@pytest.fixture
def adb(phone: EmulatedPhone, adb_server: AdbServer) -> Adb:
    return adb_of(phone, adb_server)


def test_shell_keeps_streams_apart_and_exit_codes(adb: Adb) -> None:
    result = adb.shell("echo out; echo err >&2; exit 7")
    assert (result.exit_code, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert sorted(result.output.split()) == ["err", "out"]


def test_run_quotes_every_argument(adb: Adb, phone: EmulatedPhone) -> None:
    nasty = ["a b", "$(touch hurt)", "; touch hurt", "`touch hurt`", "'", '"', "é", ""]
    result = adb.run(["/usr/bin/printf", "%s|", *nasty], 5.0)
    assert result.stdout == "".join(f"{text}|" for text in nasty)
    assert result.pid is not None
    assert not list(phone.root.rglob("hurt"))


def test_timeout_is_for_the_whole_and_ends_the_process(adb: Adb) -> None:
    loop = f"while :; do echo tick of {os.getpid()}; sleep 0.1; done"
    with pytest.raises(PhoneTransientError, match=r"took more than 0\.5 s") as caught:
        adb.run(["/bin/sh", "-c", loop], 0.5)
    assert caught.value.failure.failure_class == "timeout"
    assert not [one for one in psutil.process_iter(["cmdline"]) if loop in str(one.info["cmdline"])]


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


def test_a_command_that_adb_can_t_carry_is_refused(adb: Adb) -> None:
    with pytest.raises(ConfigError, match=f"adb takes {MAX_COMMAND_BYTES}"):
        adb.run(["/bin/echo", "x" * 70_000], 5.0)


def test_push_is_whole_skipped_and_tells_progress(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path
) -> None:
    local = tmp_path / "model"
    local.write_bytes(os.urandom(300_000))
    seen: list[tuple[int, int]] = []
    assert adb.push(local, REMOTE, lambda sent, size: seen.append((sent, size)))
    assert phone.path(REMOTE).read_bytes() == local.read_bytes()
    assert seen[-1] == (300_000, 300_000)
    assert len(seen) > 5
    assert not adb.push(local, REMOTE)
    assert not list(phone.root.rglob("hurt"))


def test_a_phone_without_sha256sum_is_too_old(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "timeout", "mv", "rm"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv(PATH_VARIABLE, str(programs))
    local = tmp_path / "model"
    local.write_bytes(b"x" * 1000)
    with pytest.raises(ConfigError, match=r"no `sha256sum`; Android 8\.0 or newer"):
        adb.push(local, REMOTE)
    assert [name for name in phone.files() if "portable-nas" in name] == []


@pytest.mark.parametrize("where", ["stream", "transport"])
def test_a_cut_push_leaves_nothing(
    adb: Adb, phone: EmulatedPhone, adb_server: AdbServer, tmp_path: Path, where: str
) -> None:
    local = tmp_path / "model"
    local.write_bytes(os.urandom(200_000))
    phone.inject("cut", match=where)
    with pytest.raises(PhoneTransientError) as caught:
        adb.push(local, REMOTE)
    assert caught.value.failure.failure_class == "device_offline"
    assert not phone.path(REMOTE).exists()
    assert adb_server.reconnect_if_away(phone.address, 10)
    assert adb.push(local, REMOTE)
    assert phone.path(REMOTE).read_bytes() == local.read_bytes()


def test_full_storage_says_so(adb: Adb, phone: EmulatedPhone, tmp_path: Path) -> None:
    local = tmp_path / "model"
    local.write_bytes(b"x" * 1000)
    fault = phone.inject("full")
    with pytest.raises(PhoneTransientError, match=r"storage_full.*free some space"):
        adb.push(local, REMOTE)
    fault.unlink()
    assert adb.push(local, REMOTE)
    assert [name for name in phone.files() if name.endswith(".part")] == []


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


def test_a_full_disk_here_is_not_the_phones_fault(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def onto_a_full_disk(path: Path, write: Any) -> None:
        write_atomically(path, lambda file: write(Full()))

    monkeypatch.setattr("nas.devices.adb.connection.write_atomically", onto_a_full_disk)
    phone.path(REMOTE).parent.mkdir(parents=True)
    phone.path(REMOTE).write_bytes(b"x" * 100_000)
    with pytest.raises(RunError, match="the disk is full: can't write"):
        adb.pull(REMOTE, tmp_path / "back")


def test_a_refusal_of_another_kind_is_not_called_full(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path
) -> None:
    local = tmp_path / "model"
    local.write_bytes(b"x" * 100_000)
    phone.path("/data/local/tmp/portable-nas").write_text("a file, not a folder")
    with pytest.raises(PhoneTransientError, match=r"refuses to write .*secure_mkdirs") as caught:
        adb.push(local, REMOTE)
    assert caught.value.failure.failure_class == "device_offline"


def test_pull_is_whole_or_absent(adb: Adb, phone: EmulatedPhone, tmp_path: Path) -> None:
    content = os.urandom(150_000)
    phone.path(REMOTE).parent.mkdir(parents=True)
    phone.path(REMOTE).write_bytes(content)
    adb.pull(REMOTE, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    for where in ("stream", "transport"):
        phone.inject("cut", match=where)
        with pytest.raises(PhoneTransientError):
            adb.pull(REMOTE, tmp_path / "cut")
        assert adb.server.reconnect_if_away(phone.address, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back"]


def test_pull_of_a_missing_file_makes_no_folder(adb: Adb, tmp_path: Path) -> None:
    with pytest.raises(PhoneError, match="there is no file /data/local/tmp/none"):
        adb.pull("/data/local/tmp/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_pulled_cable_is_an_error_and_comes_back(
    adb: Adb, phone: EmulatedPhone, adb_server: AdbServer
) -> None:
    assert adb.shell("echo hi").stdout == "hi\n"
    phone.inject("unplug", match="shell.*echo gone", seconds=0.5)
    with pytest.raises(PhoneTransientError, match="check the cable") as caught:
        adb.shell("echo gone")
    assert caught.value.failure.failure_class == "device_offline"
    assert adb_server.reconnect(phone.address, 10)
    assert adb.shell("echo back").stdout == "back\n"


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
    assert AdbEntry(phone.address, "unauthorized") in adb_server.entries()
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
    with pytest.raises(PhoneTransientError):
        server.entries()
    with pytest.raises(PhoneTransientError):
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

        import threading

        for data in (b"", b"OK", b"OKAY", b"OKAYzzzz", b"FAIL0004oops", b"\xff\xff\xff\xff"):
            thread = threading.Thread(target=answer, args=(data,))
            thread.start()
            with pytest.raises(PhoneTransientError):
                server.entries()
            thread.join()


def test_states_with_spaces() -> None:
    import threading

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


def test_a_pushed_file_is_compared_by_content(
    adb: Adb, phone: EmulatedPhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "model"
    local.write_bytes(b"right")
    monkeypatch.setattr("nas.devices.adb.connection.file_sha256", lambda path: "0" * 64)
    with pytest.raises(PhoneTransientError, match="arrived damaged"):
        adb.push(local, REMOTE)
    assert not phone.path(REMOTE).exists()
    assert len(file_sha256(local)) == 64


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
