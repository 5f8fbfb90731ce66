"""Runs and launches on a processor that is slow for a while are done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.devices import TimingProtocol
from nas.devices.host import device as host
from nas.devices.host import worker as host_worker
from nas.devices.host.device import HostDevice
from nas.devices.host.pace import Pace
from tests.helpers.artifacts import artifact, network


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
        monkeypatch.setattr(host, "PACE", Pace())
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
