"""Measurements of one artifact on several devices at once, and the cache of their outcomes.

Measurements and refusals are kept by the artifact's structure, so no device is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nas.devices import (
    AnsweringDevice,
    Device,
    Measurement,
    Phone,
    Placement,
    TimingProtocol,
    open_device,
)
from nas.devices.failures import DeviceFailure, Evidence, PhoneError, PhoneStableError
from nas.errors import ConfigError, DeviceError, DeviceTransientError, RunError
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key
from nas.tflite.file import structure_key

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What became of an artifact on one device: a measurement, or the error instead of it.

    `key` names the file below the cache in which the outcome is kept; None where it is not kept.
    `lost`: the device was set aside, because it fails with its control model, too.
    """

    device: str
    measurement: Measurement | None
    error: DeviceError | None = None
    key: str | None = None
    lost: bool = False

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Where each operation ran, or was planned before a failure; empty where nothing tells."""
        if self.measurement is not None:
            return self.measurement.placement
        return self.error.placement if isinstance(self.error, PhoneError) else ()

    def to_dict(self) -> dict[str, Any] | None:
        """Return the outcome as JSON types; None for one that is not kept."""
        if self.key is None:
            return None
        if isinstance(self.error, PhoneStableError):
            return _refusal(self.device, self.error)
        return self.measurement.to_dict() if self.measurement else None

    @classmethod
    def from_dict(cls, values: dict[str, Any], device: str, key: str) -> Outcome:
        """Read the outcome that `to_dict` wrote; raises KeyError or TypeError on anything else."""
        if values["failure"] is None:
            return cls(device, Measurement.from_dict(values), key=key)
        failure = DeviceFailure.from_dict(values["failure"])
        error = PhoneStableError(values["message"], failure, Evidence(values["serial"]))
        error.placement = tuple(Placement(**row) for row in values["placement"])
        error.conditions = values.get("conditions") or {}
        return cls(device, None, error, key)


class MeasureAll(Protocol):
    """`measure_everywhere`, or a function that has its outcomes from other processes."""

    def __call__(
        self, artifact: Path, devices: Sequence[str], protocol: TimingProtocol, cache: Path
    ) -> list[Outcome]:
        """Return an outcome for each of `devices`, in their order."""
        ...


def physical(device: str) -> str:
    """Return a device's spec without its options: one phone measures one thing at a time."""
    return device.partition("?")[0]


def check_answers(
    required: Sequence[str], optional: Sequence[str], warn: Callable[[str], None]
) -> None:
    """Check that every device can be used, and readmit phones that were set aside.

    Raises ConfigError on an unknown device or serial, or with the remedy where a required NPU's
    compiler is missing, DeviceError, with what to do, where a required phone can't be used now;
    `warn` is called with a sentence for each optional one.
    """
    for spec in (*required, *optional):
        device = open_device(spec)
        if not isinstance(device, AnsweringDevice):
            continue
        if isinstance(device, Phone):
            device.readmit()  # an earlier search of this process may have set it aside
        try:
            device.answer()
        except (ConfigError, DeviceError) as error:
            if spec in required:
                raise
            warn(f"{spec} is optional, and can't be used now: {error}")


def measure_everywhere(
    artifact: Path, devices: Sequence[str], protocol: TimingProtocol, cache: Path
) -> list[Outcome]:
    """Measure on all devices side by side; one after another where they are one phone.

    Phones share nothing, and a measurement on the host gets the machine to itself. Returns an
    outcome for each of `devices`, in their order. Raises RunError where the cache can't be written,
    ConfigError where a device can't be used at all.
    """
    structure = structure_key(artifact)
    phones: dict[str, list[str]] = {}
    for device in devices:
        phones.setdefault(physical(device), []).append(device)

    def on_one_phone(specs: list[str]) -> list[Outcome]:
        return [_measure(artifact, structure, spec, protocol, cache) for spec in specs]

    with ThreadPoolExecutor(max(1, len(phones)), "device") as pool:
        rows = chain.from_iterable(pool.map(on_one_phone, phones.values()))
        outcomes = {outcome.device: outcome for outcome in rows}
    return [outcomes[device] for device in devices]


def measurement_key(
    structure: str, device: str, protocol: TimingProtocol, identity: dict[str, str]
) -> str:
    """Hash what a latency depends on: structure, device, its build, tool and settings, protocol."""
    last = [identity] if identity else []
    return content_key([structure, device, protocol.to_dict(), *last])


def _measure(
    artifact: Path, structure: str, spec: str, protocol: TimingProtocol, cache: Path
) -> Outcome:
    device = open_device(spec)
    try:
        identity = _until_clear(device, device.identity)
        key = measurement_key(structure, spec, protocol, identity)
        path = cache / f"{key}.json"
        cached = _cached(path, spec, key)
        if cached is not None:
            return cached
        measurement = _until_clear(device, lambda: device.measure(artifact, protocol))
    except DeviceError as error:
        lost = isinstance(device, Phone) and device.set_aside
        if lost or not isinstance(error, PhoneStableError):
            return Outcome(spec, None, error, lost=lost)  # a lost phone's refusal is not believed
        write_json(path, _refusal(spec, error))
        return Outcome(spec, None, error, key)
    write_json(path, measurement.to_dict())
    return Outcome(spec, measurement, key=key)


def _until_clear(device: Device, action: Callable[[], Result]) -> Result:
    """Repeat `action` while a phone is away, until the phone answers or is set aside.

    The phone itself retries and counts its failures. An error that is not counted is about the
    artifact, or lasts.
    """
    if not isinstance(device, Phone):
        return action()
    device.expect()
    while True:
        try:
            return action()
        except DeviceTransientError:
            if not device.failures_in_a_row or device.set_aside:
                raise


def _refusal(device: str, error: PhoneStableError) -> dict[str, Any]:
    """Return a phone's lasting refusal as the document that is kept."""
    kept = {"serial": error.evidence.serial, "conditions": error.conditions}
    return error.to_dict(device) | kept


def _cached(path: Path, device: str, key: str) -> Outcome | None:
    if not path.exists():
        return None
    try:
        return Outcome.from_dict(read_json(path), device, key)
    except (RunError, KeyError, TypeError):
        path.unlink(missing_ok=True)  # damaged: measured again, which costs seconds
        return None
