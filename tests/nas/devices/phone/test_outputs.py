"""A phone's outputs: cables pulled in the middle, and what a killed process left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.data import Pair
from nas.devices import open_device
from nas.devices.adb.server import AdbServer
from nas.devices.fidelity import measure_fidelity
from nas.devices.phone.benchmark_tool import CACHE_FOLDER
from nas.devices.phone.lock import phone_lock
from nas.tflite.expected_output import file_output
from tests.emulated_phone import models
from tests.helpers.phones import StartPhone, adb_of, clean

SIDE = 32


@pytest.fixture
def unet(tmp_path: Path) -> Path:
    return models.small_unet(tmp_path / "unet.tflite", SIDE)


def pictures(count: int, side: int = SIDE) -> list[Pair]:
    generator = np.random.default_rng(1)
    shape = (count, 2, side, side, 3)
    values = generator.integers(0, 256, shape).astype(np.uint8)
    return [Pair(str(n), blurred, sharp) for n, (blurred, sharp) in enumerate(values)]


def test_a_cable_pulled_in_the_middle_is_met_again(start_phone: StartPhone, unet: Path) -> None:
    phone = start_phone()
    phone.inject("unplug", "output_filepath.*1.out", seconds=0.3)
    spec = f"adb:{phone.address}"
    device: Any = open_device(spec)
    device.tell = lambda text: None
    found = measure_fidelity(unet, spec, pictures(2), file_output(unet, unet), threads=1)
    assert len(found.pictures) == 2
    assert not list(phone.faults.glob("*.json"))
    assert clean(phone)


def test_what_a_killed_process_left_is_removed_by_the_next(
    start_phone: StartPhone, adb_server: AdbServer
) -> None:
    phone = start_phone()
    left = phone.path(f"{CACHE_FOLDER}/pictures/0.in")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x" * 100)
    with phone_lock(adb_of(phone, adb_server), CACHE_FOLDER, 1.0):
        assert not left.parent.exists()
