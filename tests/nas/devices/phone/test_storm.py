"""A storm of faults: whatever happens, a measurement ends as a result or as a typed failure.

The whole storm takes minutes: `pytest -m slow tests/nas/devices/test_phone_storm.py`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from nas.devices.adb.server import AdbServer
from nas.devices.failures import PhoneError
from nas.devices.measurement import TimingProtocol
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.lock import phone_lock
from tests.emulated_phone import models, placing
from tests.emulated_phone.adbd import Service
from tests.emulated_phone.network import read
from tests.emulated_phone.phone import EmulatedPhone
from tests.helpers.phones import StartPhone, adb_of, device_of

PROTOCOL = TimingProtocol(launches=1, runs=5, warmup=1, timeout_seconds=4)
PROBE_SECONDS = 4.0
# Kind, how long, how often among the faults.
FAULTS = [
    ("unplug", 0.2, 4),
    ("reboot", 0.2, 2),
    ("close", 0.0, 8),
    ("hang", 0.5, 4),
    ("hang", 60.0, 1),
    ("dribble", 0.5, 2),
    ("cut", 0.0, 4),
    ("crash", 0.0, 2),
    ("oom", 0.0, 1),
    ("garbage", 0.0, 2),
    ("tool-hang", 60.0, 1),
    ("driver-crash", 0.0, 2),
    ("op-failed", 0.0, 1),
]


def make_stormy(phone: EmulatedPhone, share: float, seed: int) -> None:
    """From now on a `share` of the phone's services meets a fault."""
    generator, lock = random.Random(seed), threading.Lock()
    opened = phone.open
    weights = [weight for _, _, weight in FAULTS]

    def stormy(name: str) -> Service | None:
        with lock:
            if generator.random() < share:
                kind, seconds, _ = generator.choices(FAULTS, weights)[0]
                match = generator.choice(["stream", "transport"]) if kind == "cut" else ""
                if kind in ("unplug", "reboot"):
                    match = "."  # at this service, not at the next look of the phone's own watch
                phone.inject(kind, match=match, seconds=seconds)
        return opened(name)

    phone.open = stormy  # type: ignore[method-assign]


def storm(
    phone: EmulatedPhone, server: AdbServer, files: list[Path], count: int, seed: int
) -> tuple[Counter[str], list[str]]:
    """How `count` measurements ended, and what is wrong with any of them."""
    device = device_of(phone, server, set_aside_after=10**9, lock_wait_seconds=20)
    expected = {}
    for path in files:
        network = read(path.read_bytes())
        plan = placing.plan_nnapi(phone.profile, network, reference=False)
        expected[path] = placing.modelled_ms(phone.profile, network, plan)
    make_stormy(phone, 0.1, seed)
    generator, ended, wrong = random.Random(seed), Counter[str](), []
    for _ in range(count):
        path, started = generator.choice(files), time.monotonic()
        try:
            found = device.measure(path, PROTOCOL)
        except PhoneError as error:
            ended[error.failure.failure_class] += 1
        else:
            ended["result"] += 1
            if abs(found.latency_ms / expected[path] - 1) > 0.05:
                wrong.append(f"{path.name}: {found.latency_ms} ms, expected {expected[path]}")
        if time.monotonic() - started > 200:
            wrong.append(f"{path.name} took {time.monotonic() - started:.0f} s")
    return ended, wrong


def run_storm(
    phones: list[EmulatedPhone], server: AdbServer, folder: Path, count: int
) -> Counter[str]:
    files = [models.plain(folder / f"{n}.tflite", width=4 + n) for n in range(3)]
    files.append(models.small_unet(folder / "unet.tflite"))
    results: list[tuple[Counter[str], list[str]]] = []
    threads = [
        threading.Thread(
            target=lambda p=phone, n=number: results.append(
                storm(p, server, files, count // len(phones), n)
            )
        )
        for number, phone in enumerate(phones)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(phones)  # no thread died of an untyped failure
    assert [text for _, wrong in results for text in wrong] == []
    for phone in phones:
        calm(phone, server)
    total = sum((ended for ended, _ in results), Counter())
    assert sum(total.values()) == count
    return total


def calm(phone: EmulatedPhone, server: AdbServer) -> None:
    """Nothing is left on the phone beyond the cache: no lock, no file, no process."""
    phone.open = type(phone).open.__get__(phone)  # type: ignore[method-assign]
    for fault in phone.faults.glob("*.json"):
        fault.unlink(missing_ok=True)
    assert server.reconnect_if_away(phone.address, 20)
    with phone_lock(adb_of(phone, server), CACHE_FOLDER, 5.0):
        pass
    base = "data/local/tmp/"
    names = [name.removeprefix(base) for name in phone.files()]
    assert [n for n in names if not n.startswith(("benchmark_model", "portable-nas/"))] == []
    assert [n for n in names if n.endswith(".part")] == []
    deadline = time.monotonic() + 60
    while phone.running() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert phone.running() == []


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.devices.adb.connection._GRACE_SECONDS", 0.5)
    monkeypatch.setattr("nas.devices.phone.session.PROBE_TIMEOUT_SECONDS", PROBE_SECONDS)


@pytest.mark.slow
def test_a_thousand_measurements_with_faults_in_a_tenth_of_the_calls(
    start_phone: StartPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    phones = [start_phone() for _ in range(4)]
    total = run_storm(phones, adb_server, tmp_path, 1000)
    print(dict(total))
    assert total["result"] > 300
