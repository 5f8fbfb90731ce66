"""Who waits for the machine says for whom: processes of their own, as a lock's holders are."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.system import host_lock
from nas.system.host_lock import measured_by_another, measuring, working
from nas.system.lock_holders import holders, own_command

OTHER = """
import sys
from nas.system.host_lock import measuring, working
sys.argv = ["/somewhere/nas", "search", "quickstart"]
with {kind}():
    print("held", flush=True)
    sys.stdin.read()
"""
BARE = """
import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path))
    monkeypatch.setattr(host_lock, "TELL_AFTER_SECONDS", 0.05)
    said: list[str] = []
    monkeypatch.setattr(host_lock, "teller", [said.append])
    return said


@contextmanager
def other(program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def waited(lock: str, told: list[str], process: subprocess.Popen[bytes]) -> str:
    """What this process says while it waits for the lock that the other one has."""
    inside = threading.Event()

    def wait() -> None:
        with {"working": working, "measuring": measuring}[lock]():
            inside.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while not told:
        assert not inside.wait(0.01), "it did not wait"
    process.kill()
    thread.join(30)
    assert inside.is_set()
    return told[0]


@pytest.mark.parametrize(("mine", "theirs"), [("measuring", "working"), ("working", "measuring")])
def test_a_waiter_names_the_process_its_command_and_since_when(
    mine: str, theirs: str, told: list[str]
) -> None:
    with other(OTHER.format(kind=theirs)) as process:
        said = waited(mine, told, process)
    assert f"pid {process.pid} (nas search quickstart) is at work since " in said
    assert said.startswith("waiting for this machine")
    assert "stopped" not in said


@pytest.mark.usefixtures("told")
def test_another_measures_while_it_does_and_not_while_it_works() -> None:
    me = os.getpid()
    with other(OTHER.format(kind="measuring")) as process:
        assert measured_by_another(me)
        assert not measured_by_another(process.pid)
    assert not measured_by_another(me)
    with other(OTHER.format(kind="working")):
        assert not measured_by_another(me)


def test_one_that_is_stopped_is_told_as_such_with_the_remedy(told: list[str]) -> None:
    with other(OTHER.format(kind="working")) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        said = waited("measuring", told, process)
    assert f"and is stopped (`kill -CONT {process.pid}` lets it go on)" in said


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs Linux's list of locks")
def test_whoever_holds_the_file_is_found_though_it_left_no_record(
    told: list[str], tmp_path: Path
) -> None:
    with other(BARE, str(tmp_path / "host-work.lock")) as process:
        said = waited("measuring", told, process)
    assert f"pid {process.pid} (" in said


def test_a_wait_for_ones_own_is_no_news(told: list[str]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with working():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(30)
    threading.Timer(0.5, leave.set).start()
    with measuring():
        pass
    thread.join()
    assert told == []


def test_a_record_ends_with_its_lock_and_with_its_process(told: list[str], tmp_path: Path) -> None:
    with working():
        (holder,) = holders(tmp_path / "host-work.lock")
        assert (holder.pid, holder.command, holder.family) == (os.getpid(), own_command(), True)
    assert list(tmp_path.glob("*.holder")) == []
    with other(OTHER.format(kind="working")) as process:
        process.kill()
        process.wait()
        assert len(list(tmp_path.glob("*.holder"))) == 1
        assert holders(tmp_path / "host-work.lock") == []
    assert list(tmp_path.glob("*.holder")) == []
