"""A real phone, where there is one: `NAS_PHONE=SERIAL pytest -m phone`.

Options of the phone go behind the serial: `NAS_PHONE='SERIAL?delegate=gpu&binary=PATH'`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.devices import TimingProtocol, open_device

PROTOCOL = TimingProtocol(launches=3, warmup=1, runs=5, threads=4)


@pytest.mark.phone
def test_a_small_model_on_a_real_phone(plain: Path) -> None:
    serial = os.environ.get("NAS_PHONE")
    if not serial:
        pytest.skip("NAS_PHONE=SERIAL names the phone; `nas devices` lists serials")
    found = open_device(f"adb:{serial}").measure(plain, PROTOCOL)
    assert found.source == "measured"
    assert found.latency_ms > 0
    assert found.count >= PROTOCOL.launches * PROTOCOL.runs
    assert len(found.samples_ms) == PROTOCOL.launches
    assert {"phone", "tool", "delegate", "before", "after", "steady"} <= set(found.conditions)
    print(f"\n{found.latency_ms:.2f} ms; {found.conditions}")  # seen with -s
