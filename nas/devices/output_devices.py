"""Opening a device that computes outputs, by its name."""

from __future__ import annotations

from nas.devices import open_device
from nas.devices.outputs import OutputDevice
from nas.errors import ConfigError


def open_output_device(spec: str) -> OutputDevice:
    """The device of that name; ConfigError where there is none, or it computes no outputs."""
    if spec == "host":
        from nas.devices.host.outputs import HostOutputs

        return HostOutputs()
    if spec.partition(":")[0] == "gpu":
        from nas.devices.gpu.device import open_gpu

        return open_gpu(spec)
    if spec.startswith("npu:"):
        from nas.devices.npu.outputs import NpuOutputs

        return NpuOutputs.named(spec)
    if spec.startswith("adb:"):
        from nas.devices.phone.picture_outputs import PhoneOutputs

        return PhoneOutputs(spec)
    open_device(spec)  # an unknown name is told as such
    raise ConfigError(
        f"device {spec}: nothing computes there; host, phones (adb:SERIAL), gpu and npu:CHIP give "
        "outputs"
    )
