"""`nas check` with made-up measurements of a device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import nas.cli.check as check
from nas.cli.app import app
from nas.devices.measurement import Measurement
from nas.errors import BusyMachineError, ConfigError, SlowerError
from tests.helpers.envelope import data_of, error_of


class Bench:
    """What `nas check` measures: latencies in ms by model, and who disturbed them."""

    def __init__(self) -> None:
        self.ms = {"a": 10.0, "b": 20.0}
        self.disturbed: str | None = None

    def measure(self, device: str, file: Path, timing: object) -> Measurement:
        middle = self.ms[file.parent.name]
        samples = tuple((middle * factor,) for factor in (0.99, 1.0, 1.01))
        conditions = {"disturbed": self.disturbed} if self.disturbed else {}
        return Measurement(device, "measured", samples, 1.0, 1.0, None, (), conditions)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    made = Bench()
    monkeypatch.setattr(check, "_measure", made.measure)
    for name in made.ms:
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.tflite").write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return made


def run(*arguments: str):
    return CliRunner().invoke(app, ["check", "models", "--baseline", "speed.json", *arguments])


def test_a_baseline_is_kept_and_compared_with(bench: Bench, tmp_path: Path) -> None:
    missing = run()
    assert isinstance(missing.exception, ConfigError)
    assert "keep one with --write" in str(missing.exception)
    written = data_of(run("--write", "--json").stdout, "check")
    assert written["written"] is True
    assert [row["verdict"] for row in written["models"]] == ["new", "new"]
    kept = json.loads((tmp_path / "speed.json").read_text())
    assert kept["models"]["a"]["latency_ms"] == 10.0
    same = run("--json")
    assert same.exit_code == 0
    assert data_of(same.stdout, "check")["passed"] is True
    bench.ms["a"], bench.ms["b"] = 12.0, 15.0
    slower = run("--json")
    assert isinstance(slower.exception, SlowerError)
    assert slower.exception.exit_code == 9
    assert "a: slower, 10 to 12 ms, +20 %" in str(slower.exception)
    found = data_of(slower.stdout, "check")
    assert found["passed"] is False
    assert [row["verdict"] for row in found["models"]] == ["slower", "faster"]
    assert "slower  a: slower, 10 to 12 ms, +20 %" in run().stdout
    assert run("--tolerance", "0.3").exit_code == 0


def test_a_busy_machine_gives_no_verdict(bench: Bench) -> None:
    run("--write")
    bench.ms["a"], bench.disturbed = 12.0, "others used 1.3 cores"
    told = run()
    assert isinstance(told.exception, BusyMachineError)
    assert "others used 1.3 cores" in str(told.exception)


def test_a_baseline_is_of_one_device_and_number_of_threads(bench: Bench) -> None:
    run("--write")
    other = run("--device", "paper:pixel-4", "--json")
    assert "is the baseline of host, not of paper:pixel-4" in str(other.exception)
    assert error_of(other.stdout, "check")["exit_code"] == 2
    assert "timed with 2 threads, not 4" in str(run("--threads", "4").exception)


def test_a_model_that_is_gone_is_named(bench: Bench, tmp_path: Path) -> None:
    run("--write")
    (tmp_path / "models" / "b" / "model.tflite").unlink()
    told = run()
    assert told.exit_code == 0
    assert "in the baseline, but not measured: b" in told.stderr
