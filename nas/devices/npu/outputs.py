"""What a Snapdragon's NPU computes, by the compiler's own functional simulator. It is slow.

The compiled network itself runs, in integers or fp16 as on the chip. Whether every bit is the
chip's is not known: Qualcomm documents that fp16 differs between two of its chips.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.devices.failures import Evidence
from nas.devices.limited_process import Limits, counted, run
from nas.devices.npu import compile_worker, requirements
from nas.devices.npu.chips import Chip, chip_named
from nas.devices.npu.compilation import refused
from nas.devices.npu.device import NpuDevice
from nas.devices.npu.failures import ended_error, npu_error
from nas.devices.npu.placement import placed
from nas.devices.outputs import OutputRun, Progress, Size, picture_ends
from nas.errors import ConversionError, RunError
from nas.system.files import read_json
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Float32, real_values, stored_values

CROP_SIDE = 128
"""The sides of the crops that are computed where nobody gives others."""
MACS_A_SECOND = 0.3e9
"""About what the simulator computes in a second of one core."""
_PRECISIONS = {"float32": "fp16", "int8": "int8", "int16": "int16"}
Stored = npt.NDArray[Any]


@final
@dataclass(frozen=True)
class NpuOutputs:
    """A chip's NPU as a device that computes outputs."""

    chip: Chip

    @classmethod
    def named(cls, spec: str) -> NpuOutputs:
        """Open `npu:CHIP`; ConfigError, with the nearest one, where there is no such chip."""
        return cls(chip_named(spec))

    @property
    def spec(self) -> str:
        """The device's name."""
        return self.chip.spec

    def check_outputs(self) -> None:
        """Raise ConfigError, with the remedy, where the extra `npu` can't be used here."""
        requirements.check()

    def crop(self, size: Size) -> Size:
        """At most `CROP_SIDE` in width and height: a whole picture would take minutes to hours."""
        return (min(size[0], CROP_SIDE), min(size[1], CROP_SIDE))

    def seconds_a_picture(self, artifact: Path) -> float | None:
        """By its MACs; without compiling, which takes seconds more."""
        return read_tflite(artifact).conv_macs / MACS_A_SECOND

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        """Place a file and say how to compute; a picture may take `cpu_seconds`.

        Raises ConfigError as `check_outputs`, NpuError where the NPU does not take the network
        whole or the compiler refuses it, NpuTransientError where the machine was too busy.
        """
        self.check_outputs()
        file = read_tflite(artifact)
        placement = placed(artifact, self.chip, self.spec, Limits(cpu_seconds))
        if not placement.whole:
            raise NpuDevice(self.chip).not_whole(placement)
        source, target = picture_ends(file)

        def compute(frames: Sequence[Float32], progress: Progress | None) -> Iterator[Float32]:
            inputs: list[Stored] = [stored_values(frame[None], source) for frame in frames]
            limits = Limits(cpu_seconds * max(1, len(inputs)))
            for stored in _computed(artifact, self.chip, inputs, limits, progress):
                yield real_values(stored, target)[0]

        conditions = {
            "precision": _PRECISIONS[file.inputs[0].dtype],
            "chip": self.chip.title,
            "hexagon": self.chip.hexagon,
            "by": "the compiler's functional simulator",
            "packages": requirements.versions(),
            "accelerated_mac_share": placement.accelerated_mac_share,
        }
        return OutputRun("simulated", conditions, compute)


def _computed(
    artifact: Path,
    chip: Chip,
    inputs: Sequence[Stored],
    limits: Limits,
    progress: Callable[[int], None] | None,
) -> list[Stored]:
    """Compile a file for a chip and run it on `inputs`; raises as `NpuOutputs.open_outputs`."""
    from nas.devices.npu.onnx_translation import translated

    with tempfile.TemporaryDirectory(prefix="nas-npu-") as name:
        folder = Path(name)
        model = folder / "model.onnx"
        try:
            model.write_bytes(translated(artifact.read_bytes(), str(artifact)))
        except ConversionError as error:
            raise npu_error(chip.spec, "not_simulated", str(error)) from error
        for number, values in enumerate(inputs):
            np.save(folder / f"input-{number}.npy", values)
        script: list[str | Path] = [sys.executable, "-P", compile_worker.__file__]
        script += [model, str(chip.number), folder]
        watch = counted(folder, progress) if progress is not None else None
        ended = run([*script, str(len(inputs))], folder, limits, {}, watch)
        try:
            complaint = read_json(folder / compile_worker.ANSWER)["error"]
        except RunError as missing:
            raise ended_error(chip.spec, "computation", ended, limits) from missing
        if complaint is not None:
            evidence = Evidence(chip.spec, "computation", ended.code, stdout=ended.text[-20_000:])
            raise refused(chip.spec, complaint, ended.text, evidence)
        return [np.load(folder / f"output-{number}.npy") for number in range(len(inputs))]
