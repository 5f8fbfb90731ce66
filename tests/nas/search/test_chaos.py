"""Whatever dies, every trial ends once, and the search comes to what it would have come to."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from optuna.trial import TrialState

from nas.devices.adb.server import AdbServer
from nas.errors import RunError
from nas.search.ask_tell import OptunaStudy
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from tests.emulated_phone import models
from tests.emulated_phone.phone import EmulatedPhone
from tests.emulated_phone.profiles import PROFILES
from tests.emulated_phone.server import PrivateAdbServer
from tests.helpers import chaos

ROOT = Path(__file__).parents[3]


def _drive(
    out: Path,
    trials: int,
    every: float,
    killed_after: float | None,
    phones: Sequence[str] = (),
) -> bool:
    """Run a driver; True where it came to the end before it was killed."""
    command = [sys.executable, "-m", "tests.helpers.chaos", str(out), str(trials), "2", str(every)]
    command += phones
    driver = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        assert driver.stderr is not None
        if killed_after is None:
            said = driver.communicate(timeout=1800)[1]
            assert driver.returncode == 0, said.decode()
            return True
        _wait_for_more(out, killed_after, driver)
    finally:
        driver.kill()  # SIGKILL
        driver.wait()
    return driver.returncode == 0


def _wait_for_more(out: Path, seconds: float, driver: subprocess.Popen[bytes]) -> None:
    """Until the driver has finished a trial, and `seconds` more."""
    before, deadline = len(_finished(out)), time.monotonic() + 600
    while len(_finished(out)) == before and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.05)
    time.sleep(seconds)


def _finished(out: Path) -> set[int]:
    return RunFolder(out).finished_numbers()


def _check(out: Path, whole: Path, trials: int, most_again: int, phones: Sequence[str] = ()) -> int:
    """The run is as the undisturbed one; returns how many evaluations were repeated."""
    run, undisturbed = RunFolder(out), RunFolder(whole)
    results, expected = run.results(), undisturbed.results()
    assert len(results) == trials
    assert [r.key for r in results] == [r.key for r in expected]
    assert {r.state for r in results} == {"complete"}
    assert [r.metrics for r in results] == [r.metrics for r in expected]
    objectives = run.objectives()
    assert [r.key for r in front(results, objectives)] == [
        r.key for r in front(expected, objectives)
    ]
    states = Counter(t.state for t in OptunaStudy(chaos.study(out, phones), run.journal).trials())
    assert states[TrialState.COMPLETE] >= trials
    assert states[TrialState.RUNNING] == states[TrialState.WAITING] == 0
    evaluated = Counter(out.with_suffix(".evaluated").read_text().split())
    assert set(evaluated) == {r.key for r in results}
    # An evaluation is repeated only where its worker died between its end and its result.
    again = sum(evaluated.values()) - trials
    assert again <= most_again
    for result in results:
        lines = (run.trial(result.number) / "log.jsonl").read_text().splitlines()
        assert sum(json.loads(line)["event"] == "ended" for line in lines) <= 1
    orphans = [line for line in _processes() if str(out) in line]
    assert orphans == []
    return again


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_workers_and_a_driver_killed_change_nothing(tmp_path: Path) -> None:
    search(chaos.study(tmp_path / "whole"), tmp_path / "whole", 40, 1)
    out = tmp_path / "run"
    _drive(out, 40, 0.15, killed_after=0.2)
    _drive(out, 40, 0, killed_after=None)
    _check(out, tmp_path / "whole", 40, most_again=4)


@pytest.fixture
def phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmulatedPhone]]:
    """Two phones without noise on an adb server of their own, and the files to measure."""
    (tmp_path / "files").mkdir()
    for number in range(chaos.FILES):
        models.plain(tmp_path / "files" / f"{number}.tflite", width=4 + number)
    with PrivateAdbServer() as server, ExitStack() as stack:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        profile = replace(PROFILES["modern"], launch_noise=0.0)
        started = [EmulatedPhone(profile, cache=tmp_path / "phones") for _ in range(2)]
        for phone in started:
            stack.callback(phone.stop)
            AdbServer("127.0.0.1", server.port).connect(phone.address)
        yield started


@pytest.mark.slow
def test_500_trials_through_everything(tmp_path: Path, phones: list[EmulatedPhone]) -> None:
    trials, drawn = 500, random.Random(6)
    devices = [f"adb:{phone.address}?delegate=cpu" for phone in phones]
    search(chaos.study(tmp_path / "whole", devices), tmp_path / "whole", trials, 1)
    out, unplugged = tmp_path / "run", _unplug_now_and_then(phones)
    for _ in range(5):
        _drive(out, trials, 0.7, drawn.uniform(0.3, 1.2), devices)
    before = _finished(out)
    assert 0 < len(before) < trials
    _refuse_storage(out, trials, 10, devices)
    _fill_disk(out, trials, devices)
    assert before <= _finished(out)
    _drive(out, trials, 0.7, None, devices)
    again = _check(out, tmp_path / "whole", trials, 60, devices)
    retried = json.loads((out / "leases.json").read_text())["retried"]
    print(f"{again} evaluations repeated, {len(unplugged)} times unplugged; last driver: {retried}")
    assert len(unplugged) >= 3
    assert sum(retried.values()) >= 10
    measured = [r for r in RunFolder(out).results() if f"latency_ms[{devices[0]}]" in r.metrics]
    assert len(measured) > trials / chaos.SHARE / 2


def _unplug_now_and_then(phones: list[EmulatedPhone]) -> list[str]:
    """Pull each phone's cable for a moment at every 25th thing that is asked of it.

    By what was asked, not by time: on a slow machine no measurement would come to its end. Returns
    the phones that were unplugged, one entry each time, from now on.
    """
    unplugged: list[str] = []

    def pull(phone: EmulatedPhone) -> None:
        if len(phone.opened) % 25 == 0:
            unplugged.append(phone.address)
            phone.inject("unplug", seconds=0.5)

    for phone in phones:
        phone.on_open = partial(pull, phone)
    return unplugged


def _refuse_storage(out: Path, trials: int, seconds: float, phones: Sequence[str]) -> None:
    """The journal can't be written: the search says so and ends; later it goes on."""
    journal, aside = out / "study.journal", out / "aside"
    os.rename(journal, aside)
    journal.mkdir()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with pytest.raises(RunError, match=r"study\.journal"):
            search(chaos.study(out, phones), out, trials, 1)
    journal.rmdir()
    os.rename(aside, journal)


def _fill_disk(out: Path, trials: int, phones: Sequence[str]) -> None:
    """The run on a disk of its own that fills in the middle, where this system lets us have one."""
    disk = out.parent / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        return
    try:
        subprocess.run(["cp", "-a", str(out), str(disk / "run")], check=True)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        with pytest.raises(RunError, match="the disk is full"):
            search(chaos.study(out, phones), disk / "run", trials, 1)
        filler.unlink()
        subprocess.run(["rm", "-r", str(out)], check=True)
        subprocess.run(["cp", "-a", str(disk / "run"), str(out)], check=True)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_driver_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "tests.helpers.chaos", str(out), "4000", "2", "0"]
    driver = subprocess.Popen(command, cwd=ROOT)
    _wait_for_more(out, 0.1, driver)
    group = _children(driver.pid)
    assert len(group) >= 3  # the fork server and two workers
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in group) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in group if Path(f"/proc/{pid}").exists()] == []


def _children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
