"""Emulated phones on the real adb server, each test with caches and locks of its own.

A conftest.py or a test imports the fixtures that it wants: `adb_server`, `own_folders` (which is
used by every test then) and `start_phone`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices.adb.connection import Adb
from nas.devices.adb.server import AdbServer
from nas.devices.delegate import Delegate
from nas.devices.phone.device import AdbDevice
from nas.devices.phone.fitness import Limits
from nas.devices.phone.launch import PhoneOptions
from nas.devices.phone.spec import forget_phones, open_phone
from tests.emulated_phone.phone import EmulatedPhone
from tests.emulated_phone.profiles import PROFILES
from tests.emulated_phone.server import PrivateAdbServer

StartPhone = Callable[..., EmulatedPhone]


@pytest.fixture(scope="session")
def adb_server() -> Iterator[AdbServer]:
    """The real adb server on a private port."""
    with PrivateAdbServer() as server:
        yield AdbServer("127.0.0.1", server.port)


@pytest.fixture(autouse=True)
def own_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "adb_server" not in request.fixturenames:
        return
    forget_phones()
    server = request.getfixturevalue("adb_server")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))


@pytest.fixture
def start_phone(
    adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartPhone]:
    """A function that starts an emulated phone, connected; its arguments change the profile."""
    phones: list[EmulatedPhone] = []
    cache = tmp_path_factory.getbasetemp() / "emulated-phones"

    def start(profile: str = "modern", **changes: Any) -> EmulatedPhone:
        phone = EmulatedPhone(replace(PROFILES[profile], **changes), cache=cache)
        phones.append(phone)
        adb_server.connect(phone.address)
        return phone

    yield start
    for phone in phones:
        phone.stop()
        adb_server.client().disconnect(phone.address)


def adb_of(phone: EmulatedPhone, server: AdbServer) -> Adb:
    """The driver of an emulated phone."""
    return Adb(server, phone.address)


def device_of(phone: EmulatedPhone, server: AdbServer, **options: Any) -> AdbDevice:
    """The device of an emulated phone, with waits fit for a test; NNAPI where that is usual."""
    defaults: dict[str, Any] = {
        "limits": Limits(wait_seconds=3.0, poll_seconds=0.1),
        "backoff_seconds": 0.05,
        "interleave": False,
        "lock_wait_seconds": 10.0,
        "reconnect_seconds": 8.0,
    }
    if phone.profile.sdk < 35:
        defaults["delegate"] = Delegate("nnapi")  # named, so nothing is told about the choice
    told: list[str] = []
    device = AdbDevice(
        phone.address, PhoneOptions(**{**defaults, **options}), server, tell=told.append
    )
    device.told = told  # type: ignore[attr-defined]
    return device


def clean(phone: EmulatedPhone) -> bool:
    """Nothing on the phone beyond the cache, nothing running, NNAPI's log as it was."""
    allowed = ("benchmark_model", "portable-nas/")
    base = "data/local/tmp/"
    extra = [name for name in phone.files() if not name.removeprefix(base).startswith(allowed)] + [
        name for name in phone.files() if name.endswith(".part")
    ]
    vlog = phone.folder / "props/debug.nn.vlog"
    deadline = time.monotonic() + 300
    while phone.running() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not extra and not phone.running() and (not vlog.exists() or not vlog.read_text().strip())


def spec_of(phone: EmulatedPhone, **options: Any) -> str:
    """A phone's spec, its waits made fit for a test; `options` change its other options."""
    spec = f"adb:{phone.address}"
    device = open_phone(spec)
    defaults = {"limits": Limits(wait_seconds=3.0, poll_seconds=0.1), "backoff_seconds": 0.05}
    device.options = replace(device.options, **{**defaults, **options})
    return spec
