"""A search on a cluster whose node announces the phone on its adb; the driver never talks to it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluators import Latency
from nas.devices.adb.server import AdbServer
from nas.devices.measurement import TimingProtocol
from nas.errors import ConfigError
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.phones import StartPhone
from tests.helpers.small_study import MadeUp, small_study

PROTOCOL = TimingProtocol(launches=1, runs=5, warmup=1, timeout_seconds=120)


@pytest.fixture
def node(start_phone: StartPhone, adb_server: AdbServer) -> Iterator[tuple[str, EmulatedPhone]]:
    """The address of a cluster of one node, started as a person does, and the phone on it."""
    phone = start_phone()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from nas.cli.app import main; main()", "node"]
    command += ["--port", str(port), "--cores", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.endswith(f"cores: 1, phones: {phone.address}\n"), first
    yield first.split()[2].rstrip(";"), phone
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=120)


def _study(*devices: str) -> Any:
    return small_study(
        devices=devices, evaluators=(MadeUp(), Latency(PROTOCOL)), sampler="random",
        objectives=("psnr_db", "latency_ms"),
    )  # fmt: skip


@pytest.mark.slow
def test_a_phone_of_a_node(
    node: tuple[str, EmulatedPhone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, phone = node
    device = f"adb:{phone.address}?delegate=cpu"
    with pytest.raises(
        ConfigError, match=f"the cluster has no phone:nobody; it has phone:{phone.address}. `nas "
    ):
        search(_study(device, "adb:nobody"), tmp_path / "none", 2, 1, ray=address)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")  # of this process alone: nobody is there
    search(_study(device), tmp_path / "run", 2, 1, ray=address)
    run = RunFolder(tmp_path / "run")
    for number in range(2):
        result = run.read_result(number)
        assert result is not None
        assert result.state == "complete", result.failure
        assert result.value(f"latency_ms[{device}]") > 0
        lines = (run.trial(number) / "log.jsonl").read_text().splitlines()
        given = [row for row in map(json.loads, lines) if row["event"] == "given"]
        (measured,) = [row for row in given if row["place"] == device]
        assert measured["worker"].startswith(f"adb:{phone.address}")
        assert f"pid {os.getpid()}" not in measured["where"]
