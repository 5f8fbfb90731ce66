"""Models on an emulated phone: how many stay, and which."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.control_model import control_model
from nas.devices.measurement import TimingProtocol
from nas.devices.phone import model_cache
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.model_cache import model_name
from tests.emulated_phone import models
from tests.emulated_phone.phone import TOOL_PATH, EmulatedPhone
from tests.helpers.phones import StartPhone, clean, device_of

PROTOCOL = TimingProtocol(launches=1, runs=5, warmup=1, threads=4, timeout_seconds=20)


def _models(phone: EmulatedPhone) -> set[str]:
    return {path.name for path in phone.path(CACHE_FOLDER).glob("*.tflite")}


def _age(phone: EmulatedPhone, path: Path, hours: int) -> None:
    there = phone.path(f"{CACHE_FOLDER}/{model_name(path)}")
    when = there.stat().st_mtime - hours * 3600
    os.utime(there, (when, when))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [models.plain(tmp_path / f"{n}.tflite", n, 4) for n in (1, 2, 3, 4)]


def test_the_longest_unused_models_go(
    start_phone: StartPhone,
    adb_server: AdbServer,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phone = start_phone()
    given = (("", phone.path(TOOL_PATH)),)
    device = device_of(phone, adb_server, interleave=True, binaries=given)
    for path in files[:3]:
        device.measure(path, PROTOCOL)
    stays = phone.path(f"{CACHE_FOLDER}/a b;$(touch hurt).tflite")
    stays.write_bytes(b"not ours")
    assert _models(phone) - {stays.name} == {
        model_name(path) for path in (*files[:3], control_model())
    }
    for hours, path in ((4, control_model()), (3, files[0]), (2, files[1]), (1, files[2])):
        _age(phone, path, hours)
    device.measure(files[0], PROTOCOL)  # the oldest is used again
    monkeypatch.setattr(model_cache, "MAX_FILES", 2)
    device.measure(files[3], PROTOCOL)
    expected = {model_name(path) for path in (files[0], files[3], control_model())}
    assert _models(phone) == expected | {stays.name}
    assert device.measure(files[1], PROTOCOL).latency_ms > 0  # sent again
    assert any(path.name.endswith("benchmark_model") for path in stays.parent.iterdir())
    assert not list(phone.root.rglob("hurt"))
    assert clean(phone)


def test_so_many_bytes_of_models_stay(
    start_phone: StartPhone,
    adb_server: AdbServer,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phone = start_phone()
    device = device_of(phone, adb_server)
    for hours, path in ((3, files[0]), (2, files[1]), (1, files[2])):
        device.measure(path, PROTOCOL)
        _age(phone, path, hours)
    kept = files[2].stat().st_size + files[0].stat().st_size
    monkeypatch.setattr(model_cache, "MAX_BYTES", kept)
    device.measure(files[0], PROTOCOL)  # used now, so it is not the oldest any more
    assert _models(phone) == {model_name(files[0]), model_name(files[2])}
