"""Several devices at once: an artifact on all of them side by side, and what became of each.

What a device said of a structure is kept, refusals too: nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nas.devices import Device, Measurement, Placement, TimingProtocol, open_device
from nas.errors import ConfigError, DeviceError, DeviceTransientError, RunError
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key
from nas.tflite.file import structure_key

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What became of an artifact on one device: a measurement, or the error instead of it.

    `key` names the file below the cache in which it is kept; None where it is not. `lost`: the
    device was set aside, because it fails with its reference model, too.
    """

    device: str
    measurement: Measurement | None
    error: DeviceError | None = None
    key: str | None = None
    lost: bool = False


class MeasureAll(Protocol):
    """`measure_everywhere`, or whoever has its answer: see `nas.execution.measurement_jobs`."""

    def __call__(
        self, artifact: Path, devices: Sequence[str], protocol: TimingProtocol, cache: Path
    ) -> list[Outcome]:
        """An outcome for each of `devices`, in their order."""
        ...


def physical(device: str) -> str:
    """What a device's spec names without its options: one phone measures one thing at a time."""
    return device.partition("?")[0]


def check_answers(
    required: Sequence[str], optional: Sequence[str], warn: Callable[[str], None]
) -> None:
    """See at once whether every device can be used; forget that one was set aside.

    Raises ConfigError on an unknown device or serial, DeviceError, with what to do, where a
    required phone can't be used now; `warn` is told of optional ones.
    """
    for spec in (*required, *optional):
        device = open_device(spec)
        readmit, answer = (getattr(device, name, None) for name in ("readmit", "answer"))
        if readmit is not None:  # set aside by an earlier search of this process
            readmit()
        if answer is None:
            continue
        try:
            answer()
        except (ConfigError, DeviceError) as error:
            if spec in required:
                raise
            warn(f"{spec} is optional, and can't be used now: {error}")


def measure_everywhere(
    artifact: Path, devices: Sequence[str], protocol: TimingProtocol, cache: Path
) -> list[Outcome]:
    """Measure on all devices side by side; one after another where they are one phone.

    Phones don't share anything, and the host's measurement has the machine alone by itself.
    Raises RunError where the cache can't be written, ConfigError where a device can't be used at
    all.
    """
    structure = structure_key(artifact)
    phones: dict[str, list[str]] = {}
    for device in devices:
        phones.setdefault(physical(device), []).append(device)

    def one_phone(specs: list[str]) -> list[Outcome]:
        return [_measure(artifact, structure, spec, protocol, cache) for spec in specs]

    with ThreadPoolExecutor(max(1, len(phones)), "device") as pool:
        found = {o.device: o for o in chain.from_iterable(pool.map(one_phone, phones.values()))}
    return [found[device] for device in devices]


def measurement_key(
    structure: str, device: str, protocol: TimingProtocol, identity: dict[str, str]
) -> str:
    """What a latency depends on: structure, device, its build, tool and settings, the method."""
    about = [identity] if identity else []
    return content_key([structure, device, protocol.to_dict(), *about])


def _measure(
    artifact: Path, structure: str, spec: str, protocol: TimingProtocol, cache: Path
) -> Outcome:
    device = open_device(spec)
    try:
        identity = _until_clear(device, device.identity)
        key = measurement_key(structure, spec, protocol, identity)
        path = cache / f"{key}.json"
        kept = _kept(path, spec, key)
        if kept is not None:
            return kept
        measurement = _until_clear(device, lambda: device.measure(artifact, protocol))
    except DeviceError as error:
        refused = _refusal(spec, error)
        if refused is None or _set_aside(device):  # a phone that refuses everything is not believed
            return Outcome(spec, None, error, lost=_set_aside(device))
        write_json(path, refused)
        return Outcome(spec, None, error, key)
    write_json(path, measurement.to_dict())
    return Outcome(spec, measurement, key=key)


def _set_aside(device: Device) -> bool:
    return bool(getattr(device, "set_aside", False))


def _until_clear(device: Device, action: Callable[[], Result]) -> Result:
    """Ask again while a phone is away, until it answers or is set aside.

    The phone retries by itself and counts; what ends here is about the file, or for good.
    """
    expect = getattr(device, "expect", None)
    if expect is not None:
        expect()
    while True:
        try:
            return action()
        except DeviceTransientError:
            away = getattr(device, "failures_in_a_row", 0)
            if not away or _set_aside(device):
                raise


def _refusal(spec: str, error: DeviceError) -> dict[str, Any] | None:
    """A phone's lasting refusal as a document; None for everything else."""
    from nas.devices.failures import PhoneStableError

    if not isinstance(error, PhoneStableError):
        return None
    return {
        "device": spec,
        "latency_ms": None,
        "placement": [vars(row) for row in error.placement],
        "failure": error.failure.to_dict(),
        "message": str(error),
        "serial": error.evidence.serial,
    }


def as_document(outcome: Outcome) -> dict[str, Any] | None:
    """An outcome that is kept, as JSON types; None for one that is not."""
    if outcome.key is None:
        return None
    if outcome.error is not None:
        return _refusal(outcome.device, outcome.error)
    return outcome.measurement.to_dict() if outcome.measurement else None


def of_document(values: dict[str, Any], spec: str, key: str) -> Outcome:
    """The outcome that `as_document` wrote; raises KeyError or TypeError on anything else."""
    from nas.devices.failures import Evidence, Failure, PhoneStableError

    if values["failure"] is None:
        return Outcome(spec, Measurement.from_dict(values), key=key)
    failure = Failure.from_dict(values["failure"])
    error = PhoneStableError(values["message"], failure, Evidence(values["serial"]))
    error.placement = tuple(Placement(**row) for row in values["placement"])
    return Outcome(spec, None, error, key)


def _kept(path: Path, spec: str, key: str) -> Outcome | None:
    if not path.exists():
        return None
    try:
        return of_document(read_json(path), spec, key)
    except (RunError, KeyError, TypeError):
        path.unlink(missing_ok=True)  # damaged: measured again, which costs seconds
        return None
