import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from nas.system import lock_holders
from nas.system.files import open_lock
from nas.system.lock_holders import Holder, at, held_unseen, holders, own_command, recorded


def test_this_process_is_among_the_holders_of_its_own_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    before = time.time()
    descriptor = open_lock(lock, "SOME_DIR")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with recorded(lock):
            (holder,) = holders(lock)
    finally:
        os.close(descriptor)
    assert (holder.pid, holder.command, holder.stopped) == (os.getpid(), own_command(), False)
    assert holder.family
    assert holder.since is not None
    assert before <= holder.since <= time.time()
    assert list(tmp_path.glob("*.holder")) == []


def test_a_record_of_another_process_under_this_number_is_removed(tmp_path: Path) -> None:
    record = {"pid": os.getpid(), "started": 1.0, "command": "old", "driver": 1, "since": 2.0}
    path = tmp_path / "a.lock.1-1.holder"
    path.write_text(json.dumps(record))
    (tmp_path / "a.lock").touch()
    assert holders(tmp_path / "a.lock") == []
    assert not path.exists()


@pytest.mark.parametrize("pid", [0, -1])
def test_only_a_listed_holder_without_a_number_is_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    lock, listed = tmp_path / "a.lock", tmp_path / "locks"
    lock.touch()
    monkeypatch.setattr(lock_holders, "_LISTED", listed)
    row = f"1: FLOCK  ADVISORY  WRITE {{}} 08:01:{lock.stat().st_ino} 0 EOF\n"
    listed.write_text(row.format(os.getpid()))
    assert [one.pid for one in holders(lock)] == [os.getpid()]
    assert not held_unseen(lock)
    listed.write_text("")  # it passes from one holder to the next
    assert not held_unseen(lock)
    listed.write_text(row.format(pid))
    assert (holders(lock), held_unseen(lock)) == ([], True)
    listed.unlink()  # another system
    assert held_unseen(lock)
    with recorded(lock):
        assert not held_unseen(lock)


@pytest.mark.parametrize(
    ("stopped", "end"),
    [(False, "is at work"), (True, "is at work and is stopped (`kill -CONT 7` lets it go on)")],
)
def test_a_holder_in_words(stopped: bool, end: str) -> None:
    assert Holder(7, "nas search", None, stopped, False).said == f"pid 7 (nas search) {end}"


def test_a_moment_of_another_day_has_its_date() -> None:
    now = time.time()
    assert at(now) == time.strftime("%H:%M:%S", time.localtime(now))
    assert at(86400.0 * 365).startswith("1971-01-01 ")
