"""One trial at a time on a phone; several phones side by side."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.failures import (
    PhoneTransientError,
)
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.lock import phone_lock
from nas.errors import RunError
from tests.helpers.phones import StartPhone, adb_of, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_one_trial_at_a_time_between_threads(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    found: list[Any] = []

    def measure() -> None:
        device = device_of(phone, adb_server, lock_wait_seconds=30)
        found.append(device.measure(plain, TimingProtocol(launches=1, runs=5)))

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert clean(phone)


def test_a_held_phone_names_its_owner(start_phone: StartPhone, adb_server: AdbServer) -> None:
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    with (
        phone_lock(adb, CACHE_FOLDER, 1.0),
        pytest.raises(
            PhoneTransientError, match=r"held by .* \(.*pid \d+ on .*, .+, since \d{4}-"
        ) as caught,
        phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 0.1),
    ):
        pass
    assert caught.value.failure.failure_class == "held"


def test_the_lock_holds_between_hosts(
    start_phone: StartPhone,
    adb_server: AdbServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Another host has another lock folder, but the same phone."""
    phone = start_phone()
    adb = adb_of(phone, adb_server)
    with phone_lock(adb, CACHE_FOLDER, 1.0) as held:
        assert held.by == "host and phone"
        monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "other host"))
        with (
            pytest.raises(PhoneTransientError, match="held by another trial"),
            phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 0.3),
        ):
            pass
    with phone_lock(adb, CACHE_FOLDER, 3.0):
        pass


def test_a_lock_that_cannot_be_had_is_told_at_once_and_why(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    """Not as one that somebody holds, an hour later."""
    phone = start_phone()
    adb, folder = adb_of(phone, adb_server), phone.path(CACHE_FOLDER)
    folder.write_text("not a folder")
    with (
        pytest.raises(PhoneTransientError, match=r"File exists.*remove that folder") as caught,
        phone_lock(adb, CACHE_FOLDER, 3600.0),
    ):
        pass
    assert caught.value.failure.failure_class == "storage_full"
    folder.unlink()
    (folder / "lock").mkdir(parents=True)
    with (
        pytest.raises(PhoneTransientError, match=r"lock: (?:create: )?Is a directory") as caught,
        phone_lock(adb, CACHE_FOLDER, 3600.0),
    ):
        pass
    (folder / "lock").rmdir()
    (phone.folder / "bin/flock").write_text("#!/bin/sh\necho flock: no such call >&2; exit 1\n")
    (phone.folder / "bin/flock").chmod(0o755)
    with (
        pytest.raises(PhoneTransientError, match=r"flock: no such call") as caught,
        phone_lock(adb, CACHE_FOLDER, 3600.0),
    ):
        pass
    (phone.folder / "bin/flock").write_text("#!/bin/sh\nkill -9 $PPID\n")
    with (
        pytest.raises(PhoneTransientError, match="device_offline") as caught,
        phone_lock(adb, CACHE_FOLDER, 3600.0),
    ):
        pass
    assert caught.value.failure.failure_class == "device_offline"


def test_whoever_waits_for_a_held_phone_is_told_once_for_whom(
    start_phone: StartPhone,
    adb_server: AdbServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    phone = start_phone()
    monkeypatch.setattr("nas.devices.phone.lock.TELL_AFTER_SECONDS", 0.05)
    with phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 1.0):
        device = device_of(phone, adb_server, lock_wait_seconds=0.5)
        told = device.told  # type: ignore[attr-defined]
        for folder in ("locks", "other host"):  # held on this host; held on the phone alone
            monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / folder))
            told.clear()
            with pytest.raises(PhoneTransientError, match="held by"), device.session():
                pass
            assert len(told) == 1
            assert "is held by another trial (" in told[0]
            assert "pid" in told[0]
            assert "waiting for it, 0.5 s at most" in told[0]


def test_a_killed_process_leaves_no_lock(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phone = start_phone()
    script = (
        "import sys, time\n"
        "from nas.devices.adb.connection import Adb; from nas.devices.adb.server import AdbServer\n"
        "from nas.devices.phone.lock import phone_lock\n"
        f"adb = Adb(AdbServer('127.0.0.1', {adb_server.port}), {phone.address!r})\n"
        f"with phone_lock(adb, {CACHE_FOLDER!r}, 5):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    adb = adb_of(phone, adb_server)
    held = pytest.raises(PhoneTransientError, match="held by another trial")
    with held, phone_lock(adb, CACHE_FOLDER, 0.2):
        pass
    process.kill()
    process.wait()
    with phone_lock(adb, CACHE_FOLDER, 3.0):
        pass
    assert clean(phone)


def test_four_phones_measure_side_by_side(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, tmp_path: Path
) -> None:
    """No tool goes on before all four of them run."""
    phones = [start_phone() for _ in range(4)]
    for phone in phones:
        phone.inject("meet", match=str(tmp_path / "meeting"), times=4, seconds=120)
    devices = [device_of(phone, adb_server) for phone in phones]
    protocol = TimingProtocol(launches=1, runs=5, warmup=1, timeout_seconds=240)
    found: list[Any] = []

    def measure(device: Any) -> None:
        found.append(device.measure(plain, protocol))

    threads = [threading.Thread(target=measure, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4


def test_a_folder_for_locks_that_can_not_be_written_is_told(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "file"))
    adb = adb_of(start_phone(), adb_server)
    with (
        pytest.raises(RunError, match=r"can't write .*phone-\w+\.lock: .*NAS_LOCK_DIR may name"),
        phone_lock(adb, CACHE_FOLDER, 5.0),
    ):
        pass
