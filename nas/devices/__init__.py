"""Devices, which run artifacts and measure their latency, and the protocols that they follow.

A spec names a device: `host`, `adb:SERIAL` for a phone, `npu:CHIP` for a Snapdragon's NPU by its
compiler and simulator, or `paper:PHONE` for one of the paper's phones, which are modelled from
published tables. `gpu`, LiteRT's GPU in software, has no latency: `nas.devices.gpu.device` opens it
for placement, `nas.devices.outputs` for what it computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.errors import ConfigError, unknown

__all__ = ["Device", "Measurement", "Phone", "Placement", "TimingProtocol", "open_device"]


class Device(Protocol):
    """A device that runs `.tflite` files, or models runs of them, and tells their latencies."""

    @property
    def spec(self) -> str:
        """The name that `open_device` took."""
        ...

    def identity(self) -> dict[str, str]:
        """Tell what a measurement depends on beside the file, the spec and the protocol.

        Raises as `measure`.
        """
        ...

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time one artifact.

        Raises DeviceTransientError or DeviceStableError where the device can't.
        """
        ...


@runtime_checkable
class AnsweringDevice(Device, Protocol):
    """A device that needs something which may be missing: a phone, or the compiler of an NPU."""

    def answer(self) -> None:
        """Return at once where the device can be used now.

        Raises ConfigError, with the remedy, where something is missing or adb knows no such serial,
        DeviceError where a phone is there and can't be used.
        """
        ...


@runtime_checkable
class Phone(AnsweringDevice, Protocol):
    """A device that can be unplugged, and that is set aside when it keeps failing."""

    @property
    def failures_in_a_row(self) -> int:
        """How many measurements failed since the last one that did not."""
        ...

    @property
    def set_aside(self) -> bool:
        """Whether the phone fails so often that nothing more is asked of it."""
        ...

    def expect(self) -> None:
        """Take an absent phone for a pulled cable from now on, not for a wrong serial."""
        ...

    def readmit(self) -> None:
        """Ask a phone again that was set aside."""
        ...


def open_device(spec: str) -> Device:
    """Open the device that `spec` names.

    Raises ConfigError, with the valid names, where there is no such device; for `gpu`, too, which
    has no latency.
    """
    if spec.startswith("adb:"):
        from nas.devices.phone.spec import open_phone

        phone: Phone = open_phone(spec)
        return phone
    if spec.startswith("paper:"):
        from nas.devices.paper_phones.device import open_modelled

        return open_modelled(spec)
    if spec.startswith("npu:"):
        from nas.devices.npu.device import open_npu

        return open_npu(spec)
    if spec.partition(":")[0] == "gpu":
        from nas.devices.gpu.device import NO_LATENCY, open_gpu

        raise ConfigError(f"{open_gpu(spec).spec} {NO_LATENCY}")
    from nas.devices.host.device import HostDevice

    if spec == "host":
        return HostDevice()
    from nas.devices.npu.chips import CHIPS
    from nas.devices.paper_phones.device import SPECS

    npus = [chip.spec for chip in CHIPS.values()]
    raise unknown("device", spec, ["host", "adb:SERIAL", "gpu", *npus, *SPECS])
