"""The driver against the real adb server and emulated phones: every trap of adbutils."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from nas.devices.adb.connection import MAX_COMMAND_BYTES, Adb
from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneError, PhoneTransientError
from nas.errors import ConfigError, RunError
from nas.system.files import write_atomically
from nas.system.hashing import file_sha256
from tests.emulated_phone.phone import PATH_VARIABLE, EmulatedPhone

REMOTE = "/data/local/tmp/portable-nas/a b;'$(touch hurt)\".bin"


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
    with pytest.raises(PhoneTransientError, match="device_offline") as caught:
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
        with pytest.raises(PhoneTransientError, match="device_offline"):
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
