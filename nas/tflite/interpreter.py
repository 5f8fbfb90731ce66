"""Runs a `.tflite` in this process: pictures in, pictures out.

It serves quality, not latency: a device measures a latency, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.data.image_quality import UInt8Image, to_uint8
from nas.errors import ConversionError, DataError, one_line
from nas.system.native_logs import quiet_native_logs

Float32 = npt.NDArray[np.float32]


class Artifact:
    """One loaded artifact with a picture (height, width, 3) as input and as output.

    Values from 0 to 1 are float32, or int8 or int16 with the scale and zero point that the file
    holds. One instance serves one thread, and any number of pictures of its size. `name` stands for
    the file in messages where the artifact is given as bytes. Raises ConversionError, with the
    runtime's reason, where the runtime refuses the file, or the file does not take one picture and
    give one.
    """

    def __init__(
        self, artifact: Path | bytes, threads: int = 1, name: str = "the artifact"
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter

        source: dict[str, Any] = {"model_content": artifact}
        self._name = name
        if isinstance(artifact, Path):
            source, self._name = {"model_path": str(artifact)}, str(artifact)
        try:
            with quiet_native_logs():
                self._interpreter = Interpreter(**source, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"LiteRT refuses {self._name}: {one_line(error)}") from error
        self._input = self._only("input", self._interpreter.get_input_details())
        self._output = self._only("output", self._interpreter.get_output_details())

    @property
    def height(self) -> int:
        """The height of its pictures, in pixels."""
        return int(self._input["shape"][1])

    @property
    def width(self) -> int:
        """The width of its pictures, in pixels."""
        return int(self._input["shape"][2])

    def restore(self, image: UInt8Image) -> UInt8Image:
        """Return the restored picture (height, width, 3), clipped and rounded to uint8.

        Raises DataError where `image` is no uint8 picture of this artifact's size.
        """
        if image.dtype != np.uint8:
            raise DataError(f"{self._name} restores uint8 pictures, but {image.dtype} came")
        return to_uint8(self.run(image.astype(np.float32) / np.float32(255.0)))

    def run(self, image: Float32) -> Float32:
        """Return the output (height, width, 3) as real numbers, not clipped, for values from 0 to
        1.

        Raises DataError where `image` has another shape, ConversionError where the runtime fails.
        """
        shape = tuple(int(side) for side in self._input["shape"])
        if image.shape != shape[1:]:
            raise DataError(
                f"{self._name} takes pictures of {shape[2]}x{shape[1]} with {shape[3]} channels, "
                f"but an array of shape {image.shape} came"
            )
        try:
            self._interpreter.set_tensor(
                self._input["index"], stored_values(image[None], self._input)
            )
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ConversionError(f"LiteRT can't run {self._name}: {one_line(error)}") from error
        output: npt.NDArray[Any] = self._interpreter.get_tensor(self._output["index"])
        picture: Float32 = real_values(output, self._output)[0]
        return picture

    def _only(self, what: str, details: list[dict[str, Any]]) -> dict[str, Any]:
        shapes = [tuple(int(side) for side in row["shape"]) for row in details]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1 or shapes[0][3] != 3:
            raise ConversionError(
                f"{self._name}: expected one {what} of shape (1, height, width, 3), found {shapes}"
            )
        if details[0]["dtype"] not in (np.float32, np.int8, np.int16):
            dtype = np.dtype(details[0]["dtype"]).name
            raise ConversionError(
                f"{self._name}: its {what} is {dtype}, not float32, int8 or int16"
            )
        return details[0]


def stored_values(values: Float32, details: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Return real values as a tensor stores them.

    `details` are the tensor's as LiteRT gives them: its `dtype`, and `quantization` (scale, zero).
    """
    if details["dtype"] == np.float32:
        return np.ascontiguousarray(values, np.float32)
    scale, zero_point = details["quantization"]
    limits = np.iinfo(details["dtype"])
    rounded = np.rint(values / np.float32(scale)) + zero_point
    stored: npt.NDArray[Any] = np.clip(rounded, limits.min, limits.max).astype(details["dtype"])
    return stored


def real_values(stored: npt.NDArray[Any], details: Mapping[str, Any]) -> Float32:
    """Return the real numbers that a tensor's stored values stand for; `details` as in
    `stored_values`.
    """
    if details["dtype"] == np.float32:
        return stored
    scale, zero_point = details["quantization"]
    real: Float32 = (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real
