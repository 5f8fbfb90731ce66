"""Outcomes on several devices at once, and the cache that keeps them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nas.devices import Measurement, Phone, TimingProtocol, open_device
from nas.devices.failures import PhoneSetAsideError, PhoneStableError
from nas.devices.fleet import check_answers, measure_everywhere
from nas.devices.npu.requirements import Machine
from nas.devices.phone import device as phone_device
from nas.devices.phone.benchmark_tool import Tool, have_tool
from nas.devices.phone.spec import forget_phones
from nas.errors import ConfigError
from tests.emulated_phone import models
from tests.helpers.phones import StartPhone, spec_of

PROTOCOL = TimingProtocol(launches=1, runs=10, warmup=1, threads=4, timeout_seconds=20)


def _another_tool(*arguments: Any) -> Tool:
    return replace(have_tool(*arguments), sha256="another")


def test_the_cache_knows_the_phones_tool_and_keeps_refusals(
    start_phone: StartPhone, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = start_phone()
    spec = spec_of(phone)
    (first,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    phone.unplug()  # what was measured needs no phone
    (again,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    assert again == first
    assert first.measurement is not None
    forget_phones()
    spec_of(phone)
    monkeypatch.setattr(phone_device, "have_tool", _another_tool)
    phone.plug()
    (other,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    assert other.key != first.key
    phone.inject("crash")
    refusing = models.small_unet(tmp_path / "unet.tflite")
    (refused,) = measure_everywhere(refusing, [spec], PROTOCOL, tmp_path / "cache")
    assert isinstance(refused.error, PhoneStableError)
    (kept,) = measure_everywhere(refusing, [spec], PROTOCOL, tmp_path / "cache")
    assert (kept.key, str(kept.error)) == (refused.key, str(refused.error))
    assert isinstance(kept.error, PhoneStableError)
    assert kept.error.failure == refused.error.failure


def test_a_phone_that_refuses_everything_leaves_nothing_in_the_cache(
    start_phone: StartPhone, plain: Path, tmp_path: Path
) -> None:
    phone = start_phone()
    phone.inject("crash", times=1000)
    spec = spec_of(phone)
    (outcome,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    assert isinstance(outcome.error, PhoneSetAsideError)
    assert outcome.lost
    assert not list((tmp_path / "cache").glob("*.json"))
    for fault in phone.faults.glob("*.json"):
        fault.unlink()
    device = open_device(spec)
    assert isinstance(device, Phone)
    device.readmit()
    (again,) = measure_everywhere(plain, [spec], PROTOCOL, tmp_path / "cache")
    assert again.measurement is not None


def test_phones_are_asked_side_by_side_and_one_phone_in_turn(
    monkeypatch: pytest.MonkeyPatch, plain: Path, tmp_path: Path
) -> None:
    busy: dict[str, int] = {}
    most: list[int] = []
    together = threading.Barrier(3, timeout=120)
    lock = threading.Lock()

    @dataclass(frozen=True)
    class Slow:
        spec: str

        def identity(self) -> dict[str, str]:
            return {"build": "1"}

        def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
            phone = self.spec.partition("?")[0]
            with lock:
                busy[phone] = busy.get(phone, 0) + 1
                assert busy[phone] == 1
                most.append(sum(busy.values()))
            if phone == self.spec:
                together.wait()
            with lock:
                busy[phone] -= 1
            return _measurement(self.spec, 1.0)

    monkeypatch.setattr("nas.devices.fleet.open_device", Slow)
    specs = ["adb:a", "adb:a?delegate=gpu", "adb:b", "adb:c"]
    outcomes = measure_everywhere(plain, specs, PROTOCOL, tmp_path / "cache")
    assert [outcome.device for outcome in outcomes] == specs
    assert max(most) == 3


def _measurement(device: str, latency_ms: float, source: str = "measured") -> Measurement:
    return Measurement(device, source, ((latency_ms,),), 1.0, 1.0, None, ())


def test_a_search_without_the_npus_compiler_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(Machine.here(), packages={"onnx": "1.20"})
    monkeypatch.setattr(Machine, "here", lambda: without)
    with pytest.raises(ConfigError, match="the extra `npu` is not installed"):
        check_answers(["npu:sm8650"], [], pytest.fail)
    warnings: list[str] = []
    check_answers(["host"], ["npu:sm8650"], warnings.append)
    (warning,) = warnings
    assert warning.startswith("npu:sm8650 is optional, and can't be used now: ")
