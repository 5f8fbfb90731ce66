"""The emulated phone itself: started by hand, and in agreement with the host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.adb.wire import AdbEntry
from nas.devices.host.device import HostDevice
from nas.devices.logs import parse_log
from nas.devices.measurement import TimingProtocol
from tests.emulated_phone import models, network
from tests.emulated_phone.__main__ import main
from tests.emulated_phone.tool import statistics_line
from tests.helpers.phones import StartPhone, device_of

ROOT = Path(__file__).parents[3]


def test_the_documented_command_starts_phones_and_ends_them() -> None:
    command = [sys.executable, "-m", "tests.emulated_phone", "start", "modern", "pixel4-like"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().removeprefix("export ANDROID_ADB_SERVER_PORT="))
    phones = [json.loads(process.stdout.readline()) for _ in range(2)]
    server = AdbServer("127.0.0.1", port)
    entries = server.entries()
    assert all(AdbEntry(phone["serial"], "device") in entries for phone in phones)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    assert not any(os.path.exists(phone["folder"]) for phone in phones)
    assert not server.answers()


def test_models_and_faults_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.tflite")) == [
        "dbpn-like.tflite",
        "plain.tflite",
        "unet.tflite",
    ]
    assert main(["fault", str(tmp_path), "unplug", "--seconds", "2"]) == 0
    (fault,) = (tmp_path / "faults").glob("*.json")
    assert json.loads(fault.read_text())["seconds"] == 2.0
    assert main(["profiles"]) == 0
    assert "mate30-like" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unknown profile 'nokia'"):
        main(["start", "nokia"])


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("samples", [[], [1.5], [2.0, 2.0], [1.0, 2.0, 4.0, 1.25]])
def test_what_the_stand_in_prints_is_read_back(samples: list[float], modern: bool) -> None:
    block = parse_log(statistics_line(samples, modern)).benchmark.blocks[0]
    assert block.count == len(samples)
    if samples:
        assert block.mean_ms == pytest.approx(sum(samples) / len(samples), rel=1e-4)
        assert (block.min_ms, block.max_ms) == (min(samples), max(samples))
    if modern and len(samples) == 4:
        assert block.median_ms == 1.625


def test_two_readers_of_one_format_agree(tmp_path: Path) -> None:
    from nas.tflite.file import read_tflite

    path = models.small_unet(tmp_path / "unet.tflite", 1024, 64)  # beyond 32 bits
    assert read_tflite(path).conv_macs > 2**33
    own, ours = network.read(path.read_bytes()), read_tflite(path)
    assert [step.op for step in own.steps] == [step.name for step in ours.operations]
    assert [step.macs for step in own.steps] == [step.conv_macs for step in ours.operations]


@pytest.mark.slow
def test_the_stand_in_and_the_host_agree(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    """The same file, really timed by both in turns; the fastest launches, as others work here."""
    path = models.plain(tmp_path / "plain.tflite", 4, 16, 256)
    protocol = TimingProtocol(launches=3, runs=20, threads=1)
    phone = device_of(start_phone("host-speed"), adb_server, blocks=1)
    rounds = [(phone.measure(path, protocol), HostDevice().measure(path, protocol))]
    rounds += [(phone.measure(path, protocol), HostDevice().measure(path, protocol))]
    tool, host = (min(min(m.launch_medians_ms) for m in side) for side in zip(*rounds, strict=True))
    assert rounds[0][0].source == "synthetic"
    assert tool == pytest.approx(host, rel=0.15)
