"""What a lost link or a killed host leaves on a phone, and what a measurement tells of gaps."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneStableError, PhoneTransientError
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.leftovers import TOOL_NOTE, VLOG, VLOG_NOTE
from nas.devices.phone.lock import phone_lock
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.phones import StartPhone, adb_of, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def test_a_network_that_is_too_big_is_told_with_what_to_do(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    phone.inject("oom")
    with pytest.raises(PhoneStableError, match="take a smaller network or picture"):
        device_of(phone, adb_server).measure(plain, PROTOCOL)


def test_lines_that_the_phones_log_lost_are_told_with_the_measurement(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    log = phone.folder / "logcat.txt"

    def lose() -> None:
        lines = log.read_text().splitlines()
        if lines and "logcat -d" in phone.opened[-1]:
            stamp, pid = lines[-1][:18], lines[-1].split()[2]
            row = f"{stamp} {pid} {pid} I chatty  : uid=2000(shell) tool expire 5 lines"
            log.write_text("\n".join([*lines, row, ""]))

    phone.on_open = lose
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).conditions["lost_lines"] == 5
    phone.on_open = lambda: None
    assert device.measure(plain, PROTOCOL).conditions["lost_lines"] == 0


def vlog_of(phone: EmulatedPhone) -> str:
    path = phone.folder / "props/debug.nn.vlog"
    return path.read_text().strip() if path.exists() else ""


def set_vlog(phone: EmulatedPhone, value: str) -> None:
    (phone.folder / "props/debug.nn.vlog").write_text(f"{value}\n")


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("before", ["", "all"])
def test_after_a_link_lost_while_probing_no_timed_run_writes_nnapis_log(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path, before: str
) -> None:
    phone = start_phone()
    set_vlog(phone, before)
    phone.inject("unplug", match=r"shell.*num_runs=1\b", seconds=0.7)
    seen: list[str] = []

    def look() -> None:
        if "num_runs=10" in phone.opened[-1]:
            seen.append(vlog_of(phone))

    phone.on_open = look
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).placement[0].accelerator == "vendor-npu"
    assert "attempt 1 of 3" in device.told[0]  # type: ignore[attr-defined]
    assert seen == [before]
    assert vlog_of(phone) == before


@pytest.mark.parametrize("before", ["all", "", None])
def test_what_a_killed_owner_set_is_put_back(
    start_phone: StartPhone, adb_server: AdbServer, before: str | None
) -> None:
    """By the phone itself as it loses the link; else by whoever holds it next."""
    phone = start_phone()
    note = phone.path(f"{CACHE_FOLDER}/{VLOG_NOTE}")

    def leave() -> None:
        set_vlog(phone, VLOG)
        if before is not None:
            note.write_text(f"{before}\n")

    with phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 5.0):
        leave()
    until(lambda: vlog_of(phone) == (before or ""))
    until(lambda: not phone.running())
    leave()
    with phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 5.0):
        assert vlog_of(phone) == (before or "")
        assert not note.exists()


def test_a_phone_that_does_not_take_the_setting_back_is_not_timed(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    program = phone.folder / "bin/setprop"
    program.write_text(program.read_text().replace("printf", '[ -n "$2" ] && printf'))
    with pytest.raises(PhoneTransientError, match=r"`setprop debug.nn.vlog` back; restart it"):
        device_of(phone, adb_server, attempts=1).measure(plain, PROTOCOL)


def test_a_tool_whose_link_was_lost_does_not_run_beside_the_retry(
    start_phone: StartPhone, adb_server: AdbServer, plain: Path
) -> None:
    phone = start_phone()
    hang = phone.inject("tool-hang", seconds=60)
    beside: list[str] = []
    pulls: list[threading.Thread] = []

    def pull() -> None:
        until(lambda: not hang.exists())
        phone.unplug()
        time.sleep(0.3)
        phone.plug()

    def look() -> None:
        if "num_runs=10" in phone.opened[-1]:
            beside.extend(line for line in phone.running() if "num_runs=1 " in line)
        elif "num_runs=1 " in phone.opened[-1] and not pulls:
            pulls.append(threading.Thread(target=pull))
            pulls[0].start()

    phone.on_open = look
    device = device_of(phone, adb_server)
    assert device.measure(plain, PROTOCOL).latency_ms > 0
    assert "device_offline" in device.told[0]  # type: ignore[attr-defined]
    pulls[0].join()
    assert beside == []
    assert clean(phone)


def start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


def test_whoever_holds_the_phone_ends_the_tool_that_was_noted_and_no_other(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    phone = start_phone()
    adb, note = adb_of(phone, adb_server), phone.path(f"{CACHE_FOLDER}/{TOOL_NOTE}")
    note.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        for text in ("", "nonsense", f"{process.pid}", f"{process.pid} 1 somebody"):
            note.write_text(f"{text}\n")
            with phone_lock(adb, CACHE_FOLDER, 5.0):
                assert process.poll() is None  # the id is another process's by now
                assert not note.exists()
            until(lambda: not phone.running())  # it clears up once more as it lets go
        note.write_text(f"{process.pid} {start_of(process.pid)} somebody\n")
        with phone_lock(adb, CACHE_FOLDER, 5.0):
            assert process.wait(timeout=300) == -9


def test_a_phone_without_locks_keeps_another_hosts_tool(
    start_phone: StartPhone, adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = start_phone()
    adb, note = adb_of(phone, adb_server), phone.path(f"{CACHE_FOLDER}/{TOOL_NOTE}")
    note.parent.mkdir(parents=True)
    stream = adb.stream
    lost = "command() { [ $2 != flock ]; }"
    monkeypatch.setattr(adb, "stream", lambda text, until: stream(f"{lost}; {text}", until))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        note.write_text(f"{process.pid} {start_of(process.pid)} somebody\n")
        with phone_lock(adb, CACHE_FOLDER, 5.0) as held:
            assert held.by == "host"
        assert process.poll() is None
        process.kill()


def test_an_interrupt_ends_the_tool_on_the_phone(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    adb = adb_of(start_phone(), adb_server)
    words = ["/usr/bin/sleep", "61.25"]

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt(text)

    with pytest.raises(KeyboardInterrupt) as caught:
        adb.run(words, 90.0, on_text=interrupt)
    pid = int(str(caught.value))
    until(lambda: not Path(f"/proc/{pid}").exists())
