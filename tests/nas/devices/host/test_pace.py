"""Runs and launches on a processor that is slow for a while are done again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.devices import TimingProtocol
from nas.devices.host import device as host
from nas.devices.host import worker as host_worker
from nas.devices.host.device import HostDevice
from tests.helpers.artifacts import artifact, network

REQUEST = {"runs": 3, "min_seconds": 0.0, "best_pace_ms": None}


@pytest.fixture
def paces(monkeypatch):
    """Have the fixed work take what is given, then the last one for good; a run takes 10 ms."""
    clock = [0.0]

    def given(*milliseconds: float) -> list[float]:
        left = list(milliseconds)

        def pace() -> float:
            clock[0] += 0.05
            return left.pop(0) if len(left) > 1 else left[0]

        def timed(_: object) -> float:
            clock[0] += 0.01
            return 10.0

        monkeypatch.setattr(host_worker, "_pace_ms", pace)
        monkeypatch.setattr(host_worker, "_timed_ms", timed)
        monkeypatch.setattr(host_worker, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        return left

    return given


def runs(**changes: object) -> tuple[list[float], int]:
    found, disturbed = host_worker._runs(None, REQUEST | changes)
    return [pace for pace, _ in found], disturbed


def test_a_steady_processor_is_timed_as_often_as_asked(paces) -> None:
    paces(1.0)
    assert runs() == ([1.0, 1.0, 1.0], 0)


def test_a_run_beside_a_slow_pace_is_done_again(paces) -> None:
    paces(1.0, 1.0, 1.7, 1.0)  # slow after the second run, then waited for
    assert runs() == ([1.0, 1.0, 1.0], 1)


def test_it_waits_for_the_pace_that_is_known(paces) -> None:
    left = paces(1.7, 1.7, 1.7, 1.0)
    assert runs(best_pace_ms=1.0) == ([1.0, 1.0, 1.0], 0)
    assert left == [1.0]


def test_patience_ends_with_the_least_disturbed_runs(paces) -> None:
    paces(2.0)
    kept, disturbed = runs(best_pace_ms=1.0)
    assert kept == [2.0, 2.0, 2.0]
    assert disturbed == 0
    paces(*[2.0] * 13, 1.9, 3.0, 2.5, 1.9)  # 0.6 s go by with waiting, 12 times 50 ms
    kept, disturbed = runs(best_pace_ms=1.0)
    assert len(kept) == 3
    assert disturbed == 0


def test_small_networks_are_not_timed_between_paces_alone(paces, monkeypatch) -> None:
    paces(1.0)
    monkeypatch.setattr(host_worker, "_timed_ms", lambda _: 4.0)
    assert runs(runs=7) == ([1.0] * 9, 0)  # three blocks of three
    assert len(runs(runs=1, min_seconds=0.1)[0]) == 27


def test_a_pace_is_a_time() -> None:
    assert 0 < host_worker._pace_ms() < 1000


@pytest.fixture
def launches(tmp_path: Path, monkeypatch):
    """A worker whose launches tell the paces given, one after another."""

    def told(*paces: float) -> Path:
        model = tmp_path / "model.tflite"
        model.write_bytes(artifact(network("resize-bilinear", "relu"), "float"))
        answers = [
            {
                "init_ms": 1.0, "first_ms": 1.0, "samples_ms": [10 * pace], "paces_ms": [pace],
                "disturbed_runs": 0, "peak_memory_mb": None, "memory_before_load_mb": None,
                "cpu_seconds": 0.0, "operations": None,
            }
            for pace in paces
        ]  # fmt: skip
        (tmp_path / "answers").mkdir()
        for number, answer in enumerate(answers):
            (tmp_path / "answers" / f"{number:03}").write_text(json.dumps(answer))
        script = tmp_path / "worker.py"
        script.write_text(
            "import os, pathlib, sys\n"
            "os.write(int(sys.argv[1]), b'\\n')\n"
            "sys.stdin.readline()\n"
            f"first = min(pathlib.Path({str(tmp_path / 'answers')!r}).iterdir())\n"
            "os.write(int(sys.argv[1]), first.read_bytes())\n"
            "first.unlink()\n"
        )
        monkeypatch.setattr(host_worker, "__file__", str(script))
        monkeypatch.setattr(host, "PACE", host._Pace())
        return model

    return told


def protocol(count: int) -> TimingProtocol:
    return TimingProtocol(launches=count, warmup=0, runs=1, threads=1, timeout_seconds=60)


def test_launches_on_a_slow_processor_are_repeated_once(launches) -> None:
    model = launches(1.0, 2.0, 3.0, 1.0, 2.5)
    found = HostDevice().measure(model, protocol(3))
    assert found.samples_ms == ((10.0,), (10.0,), (25.0,))  # the better of the two
    assert found.conditions["pace"] == {
        "best_ms": 1.0,
        "launches_ms": [1.0, 1.0, 2.5],
        "slow_launches": 1,
        "repeated_launches": 2,
        "repeated_runs": 0,
    }


def test_a_processor_that_stays_slow_is_its_own_measure(launches) -> None:
    model = launches(1.0, 2.0, 2.0, 2.0)
    assert HostDevice().measure(model, protocol(1)).conditions["pace"]["slow_launches"] == 0
    told = HostDevice().measure(model, protocol(1)).conditions["pace"]
    assert (told["best_ms"], told["slow_launches"], told["repeated_launches"]) == (1.0, 1, 1)
    told = HostDevice().measure(model, protocol(1)).conditions["pace"]
    assert (told["best_ms"], told["slow_launches"], told["repeated_launches"]) == (2.0, 0, 0)
