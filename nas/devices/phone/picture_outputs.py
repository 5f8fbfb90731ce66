"""What a phone computes: the outputs of the benchmark tool, of pictures that are sent there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.devices.measurement import TimingProtocol
from nas.devices.outputs import OutputRun, Progress, Size, picture_ends
from nas.devices.phone.benchmark_tool import check_outputs
from nas.devices.phone.spec import open_phone
from nas.devices.phone.tool_settings import computed_in
from nas.devices.placement import accelerated_mac_share, fallbacks
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Float32, real_values, stored_values


@final
@dataclass(frozen=True)
class PhoneOutputs:
    """A phone as a device that computes outputs."""

    spec: str

    def check_outputs(self) -> None:
        """Raise at once where the phone or its tool can't.

        ConfigError for an unknown serial or a tool that can't, DeviceError where the phone can't be
        used now.
        """
        phone = open_phone(self.spec)
        phone.answer()
        check_outputs(phone.tool())

    def crop(self, size: Size) -> Size:
        """The artifact's own size."""
        return size

    def seconds_a_picture(self, artifact: Path) -> float | None:
        """Unknown, and soon."""
        return None

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        """Place an artifact on the phone; raises as `AdbDevice.measure`.

        A launch may take `cpu_seconds` by the clock. A failure of the artifact is raised with the
        first outputs.
        """
        protocol = TimingProtocol(1, 0, 1, 0.0, threads, cpu_seconds)
        phone, file = open_phone(self.spec), read_tflite(artifact)
        tool = phone.tool()
        placement, _ = phone.place(artifact)
        conditions = {
            "phone": phone.info().to_dict(),
            "delegate": str(phone.options.delegate),
            "method": phone.options.method,
            "precision": computed_in(tool, phone.options.delegate, phone.options.precision),
            "half_precision_allowed": tool.knows("allow_fp16")
            and phone.options.delegate.kind == "nnapi"
            and phone.options.precision != "fp32",
            "tool": {"path": tool.path, "sha256": tool.sha256},
            "accelerated_mac_share": accelerated_mac_share(artifact, placement),
            "fallbacks": fallbacks(placement),
            "threads": threads,
        }
        source, target = picture_ends(file)

        def run(frames: Sequence[Float32], progress: Progress | None) -> Iterator[Float32]:
            inputs = [stored_values(frame[None], source).tobytes() for frame in frames]
            for number, data in enumerate(phone.outputs(artifact, inputs, protocol), 1):
                stored: npt.NDArray[Any] = np.frombuffer(data, target["dtype"])
                yield real_values(stored.reshape(file.outputs[0].shape), target)[0]
                if progress is not None:
                    progress(number)

        synthetic = phone.info().source == "synthetic"
        return OutputRun("synthetic" if synthetic else "measured", conditions, run)
