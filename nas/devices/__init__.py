"""Devices: what runs an artifact, or stands in for what did.

A spec names one: `host`, `adb:SERIAL` for a phone, `npu:CHIP` for a Snapdragon's NPU by its
compiler and simulator, or `paper:PHONE` for one of the paper's phones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.errors import unknown

__all__ = ["Device", "Measurement", "Placement", "TimingProtocol", "open_device"]


class Device(Protocol):
    """Something that runs `.tflite` files and tells how long they took."""

    @property
    def spec(self) -> str:
        """The name that `open_device` took."""
        ...

    def identity(self) -> dict[str, str]:
        """What a measurement depends on beside the file, the spec and the protocol.

        Raises as `measure`.
        """
        ...

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time one artifact.

        Raises DeviceTransientError or DeviceStableError where the device can't.
        """
        ...


def open_device(spec: str) -> Device:
    """The device that `spec` names; ConfigError, with the valid ones, where there is none."""
    if spec.startswith("adb:"):
        from nas.devices.phone.spec import open_phone

        return open_phone(spec)
    if spec.startswith("paper:"):
        from nas.devices.paper_phones.device import open_modelled

        return open_modelled(spec)
    if spec.startswith("npu:"):
        from nas.devices.npu.device import open_npu

        return open_npu(spec)
    from nas.devices.host.device import HostDevice

    if spec == "host":
        return HostDevice()
    from nas.devices.npu.chips import CHIPS
    from nas.devices.paper_phones.device import SPECS

    npus = [chip.spec for chip in CHIPS.values()]
    raise unknown("device", spec, ["host", "adb:SERIAL", *npus, *SPECS])
