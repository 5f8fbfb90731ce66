"""Devices that compute outputs: the protocol that they follow.

The host computes, phones with a tool that can, LiteRT's GPU (`gpu`) and Snapdragons' NPUs
(`npu:CHIP`) by simulators. `nas.devices.output_devices` opens one by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, final

import numpy as np

from nas.tflite.file import Tensor, TfliteFile
from nas.tflite.interpreter import Float32

Size = tuple[int, int]
Progress = Callable[[int], None]
"""Called with the number of pictures done."""
OutputsSource = Literal["measured", "simulated", "synthetic"]


@final
@dataclass(frozen=True)
class OutputRun:
    """One artifact on one device, ready to compute.

    `source` is "measured" where the device itself computes, "simulated" where a program stands in
    for it. `run` takes pictures (height, width, 3) from 0 to 1 and yields the outputs, not clipped,
    in their order.
    """

    source: OutputsSource
    conditions: dict[str, Any]
    run: Callable[[Sequence[Float32], Progress | None], Iterator[Float32]]


class OutputDevice(Protocol):
    """A device that computes an artifact's outputs for given pictures."""

    @property
    def spec(self) -> str:
        """The device's name."""
        ...

    def check_outputs(self) -> None:
        """Return at once where the device can compute now.

        Raises ConfigError, with the remedy, where something is missing or unknown, DeviceError
        where a phone can't be used.
        """
        ...

    def crop(self, size: Size) -> Size:
        """The size, (width, height), of the crops to compute for an artifact of `size`.

        It is `size` itself unless the device is slow.
        """
        ...

    def seconds_a_picture(self, artifact: Path) -> float | None:
        """About how long one picture takes; None where that is soon."""
        ...

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        """Make an artifact ready; a picture may take `cpu_seconds`.

        Raises as `check_outputs`, and DeviceStableError where the device can't run the artifact.
        """
        ...


def picture_ends(file: TfliteFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """The details of a file's only input and output that `stored_values` and `real_values` take."""
    return _details(file.inputs[0]), _details(file.outputs[0])


def _details(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    pair = (quantization.scales[0], quantization.zero_points[0]) if quantization else (0.0, 0)
    return {"dtype": np.dtype(tensor.dtype).type, "quantization": pair}
