"""Failures of devices as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.devices.failures import FAILURE_CLASSES, DeviceFailure
from nas.devices.logs import LogReport, decode_log, parse_log

LOGS = Path(__file__).parents[3] / "fixtures" / "device_logs"


def report(name: str, **options: Any) -> LogReport:
    (path,) = LOGS.glob(f"{name}*.txt")
    return parse_log(decode_log(path.read_bytes()), **options)


def facts(name: str) -> dict[str, Any]:
    return report(name).to_dict()


def test_failure_round_trip() -> None:
    failure = DeviceFailure("nnapi_error", "line", "ANEURALNETWORKS_BAD_DATA", "adding operation")
    assert DeviceFailure.from_dict(failure.to_dict()) == failure
    assert failure.failure_class in FAILURE_CLASSES
