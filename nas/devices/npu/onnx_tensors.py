"""Tensors of a `.tflite` graph as values of an ONNX graph: the same integers, scales and zeros.

An operation reads its inputs through a DequantizeLinear each and writes through a QuantizeLinear,
which is how a compiler recognizes an operation in integers. Tensors of four dimensions are (batch,
channels, height, width) inside, as ONNX has its convolutions, and (batch, height, width, channels)
at the ends, as in the file.
"""

from __future__ import annotations

from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.devices.npu.onnx_graph import OnnxGraph
from nas.tflite.file import Quantization, Tensor, TfliteFile

Layout = Literal["channels first", "as in the file"]
FIRST: Layout = "channels first"
FILE: Layout = "as in the file"
TO_FIRST = (0, 3, 1, 2)
TO_FILE = (0, 2, 3, 1)
_LARGEST = np.iinfo(np.int32)


@final
class OnnxTensors:
    """Which value of an ONNX graph is which tensor of a file's graph, in which layout."""

    def __init__(self, file: TfliteFile, constants: dict[int, npt.NDArray[Any]]) -> None:
        self.graph = OnnxGraph()
        self._constants = constants
        self._names: dict[tuple[int, Layout], str] = {}
        self._outputs = {tensor.index: f"output{n}" for n, tensor in enumerate(file.outputs)}
        for n, tensor in enumerate(file.inputs):
            self._names[tensor.index, FILE] = f"input{n}"

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """A tensor's sides inside the ONNX graph."""
        if len(tensor.shape) != 4:
            return tensor.shape
        return tuple(tensor.shape[axis] for axis in TO_FIRST)

    def stored(self, tensor: Tensor) -> npt.NDArray[Any]:
        """A constant's values as the file stores them; ValueError where it has none."""
        if tensor.index not in self._constants:
            raise ValueError(f"tensor {tensor.index} ({tensor.name!r}) is not constant")
        return self._constants[tensor.index]

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether the file holds the tensor's values."""
        return tensor.index in self._constants

    def value(self, tensor: Tensor, layout: Layout = FIRST) -> str:
        """The name of a tensor's real values, in a layout; each call adds what decodes them."""
        layout = layout if len(tensor.shape) == 4 else FILE
        if self.is_constant(tensor):
            return self._operand(tensor, layout)
        if not self.is_written(tensor, layout):
            self.transpose(tensor, layout)
        return self._decoded(self._names[tensor.index, layout], tensor)

    def is_written(self, tensor: Tensor, layout: Layout) -> bool:
        """Whether a tensor is there in a layout."""
        return (tensor.index, layout if len(tensor.shape) == 4 else FILE) in self._names

    def transpose(self, tensor: Tensor, layout: Layout) -> None:
        """Write a tensor in a layout, from the other one."""
        other = FILE if layout == FIRST else FIRST
        permutation = TO_FIRST if layout == FIRST else TO_FILE
        source = self._decoded(self._names[tensor.index, other], tensor)
        self.write("Transpose", [source], tensor, layout, perm=permutation)

    def write(
        self,
        kind: str,
        inputs: list[str],
        tensor: Tensor,
        layout: Layout = FIRST,
        **attributes: Any,
    ) -> None:
        """Add a node whose output is `tensor`, encoded as the file has it."""
        if tensor.quantization is None:
            self.graph.add(kind, inputs, [self.name(tensor, layout)], **attributes)
        else:
            self.encode(self.graph.add(kind, inputs, **attributes), tensor, layout)

    def encode(self, value: str, tensor: Tensor, layout: Layout = FIRST) -> None:
        """Make `value`, real numbers, the quantized `tensor`."""
        inputs = [value, *self.parameters(tensor)]
        self.graph.add("QuantizeLinear", inputs, [self.name(tensor, layout)])

    def rounded(self, value: str, tensor: Tensor) -> str:
        """`value` through the integers of `tensor` and back."""
        parameters = self.parameters(tensor)
        stored = self.graph.add("QuantizeLinear", [value, *parameters])
        return self.graph.add("DequantizeLinear", [stored, *self.parameters(tensor)])

    def name(self, tensor: Tensor, layout: Layout = FIRST) -> str:
        """The name under which a tensor is written now: an output's own, in the file's layout."""
        layout = layout if len(tensor.shape) == 4 else FILE
        inside = f"tensor{tensor.index}" + ("" if layout == FILE else "_channels_first")
        name = self._outputs.get(tensor.index, inside) if layout == FILE else inside
        self._names[tensor.index, layout] = name
        return name

    def parameters(self, tensor: Tensor) -> list[str]:
        """The constants that hold an activation's scale and zero point."""
        quantization = _of(tensor)
        scale = np.float32(quantization.scales[0])
        zero = np.array(_zero_points(quantization)[0], tensor.dtype)
        return [self.graph.constant(scale), self.graph.constant(zero)]

    def constant(self, tensor: Tensor, permutation: tuple[int, ...] | None = None) -> str:
        """A constant's real values with its dimensions in another order.

        Integers stay as they are stored, behind a DequantizeLinear, along the dimension that has a
        scale for each of its slices; int64 (biases of int16 files) becomes int32.
        """
        values = self.stored(tensor)
        if permutation is not None:
            values = values.transpose(permutation)
        return self._decoded_constant(values, tensor, permutation)

    def slopes(self, tensor: Tensor) -> str:
        """A PReLU's slopes (1, 1, channels) as (channels, 1, 1)."""
        return self._decoded_constant(self.stored(tensor).reshape(-1, 1, 1), tensor, None)

    def _operand(self, tensor: Tensor, layout: Layout) -> str:
        """A constant beside activations of four dimensions: channels are last in the file."""
        values = self.stored(tensor)
        if values.ndim in (1, 3):
            values = values.reshape((1,) * (4 - values.ndim) + values.shape)
        elif layout == FILE:
            return self._decoded_constant(values, tensor, None)
        return self._decoded_constant(values.transpose(TO_FIRST), tensor, None)

    def _decoded_constant(
        self, values: npt.NDArray[Any], tensor: Tensor, permutation: tuple[int, ...] | None
    ) -> str:
        quantization = tensor.quantization
        if quantization is None:
            return self.graph.constant(values)
        if values.dtype == np.int64:
            values = values.clip(_LARGEST.min, _LARGEST.max).astype(np.int32)
        zeros = np.array(_zero_points(quantization), values.dtype)
        scales = np.array(quantization.scales, np.float32)
        stored = self.graph.constant(values)
        if not quantization.per_channel:
            constants = [self.graph.constant(scales[0]), self.graph.constant(zeros[0])]
            return self.graph.add("DequantizeLinear", [stored, *constants])
        axis = quantization.axis if permutation is None else permutation.index(quantization.axis)
        constants = [self.graph.constant(scales), self.graph.constant(zeros)]
        return self.graph.add("DequantizeLinear", [stored, *constants], axis=axis)

    def _decoded(self, name: str, tensor: Tensor) -> str:
        if tensor.quantization is None:
            return name
        return self.graph.add("DequantizeLinear", [name, *self.parameters(tensor)])


def _of(tensor: Tensor) -> Quantization:
    if tensor.quantization is None:
        raise ValueError(f"tensor {tensor.index} ({tensor.name!r}) has no scale")
    return tensor.quantization


def _zero_points(quantization: Quantization) -> tuple[int, ...]:
    return quantization.zero_points or (0,) * len(quantization.scales)
