"""Small `.tflite` graphs that ask a phone which operations it accelerates, and after which.

Written with the format's own schema: no TensorFlow. Each graph is a row of segments: a convolution,
then the neighbour, then the operation in question; one launch places all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.system.files import write_atomically

TYPES = ("float32", "int8")
SIZE = 16
CHANNELS = 16
_SCALE, _WEIGHT_SCALE = 0.05, 0.01

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """One question of a graph: is operation `index` (an `op`) accelerated after `after`?"""

    index: int
    op: str
    after: str


class Builder:
    """A graph of one type, operation by operation; tensors are numbers."""

    def __init__(self, dtype: str, shape: Shape = (1, SIZE, SIZE, CHANNELS)) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._dtype = dtype
        self._model: Any = schema.ModelT()
        self._model.version, self._model.description = 3, b"portable-nas probe"
        self._model.operatorCodes, self._model.buffers = [], [schema.BufferT()]
        self._graph: Any = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = b"main", [], []
        self._model.subgraphs = [self._graph]
        self._codes: dict[str, int] = {}
        self._graph.inputs = []
        self.input = self.add_input(shape)

    def add_input(self, shape: Shape) -> int:
        """One more tensor that is given from outside."""
        tensor = self.activation(shape)
        self._graph.inputs.append(tensor)
        return tensor

    @property
    def count(self) -> int:
        """How many operations there are so far."""
        return len(self._graph.operators)

    def shape(self, tensor: int) -> Shape:
        """A tensor's shape."""
        return tuple(self._graph.tensors[tensor].shape)

    def _tensor(self, shape: Shape, dtype: str, scale: float | None) -> Any:
        tensor: Any = self._schema.TensorT()
        tensor.name = f"tensor_{len(self._graph.tensors)}".encode()
        tensor.shape, tensor.buffer = list(shape), 0
        tensor.type = getattr(self._schema.TensorType, dtype.upper())
        if scale is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([scale], np.float32)
            tensor.quantization.zeroPoint = np.array([0], np.int64)
        self._graph.tensors.append(tensor)
        return tensor

    def activation(self, shape: Shape) -> int:
        """A tensor that is computed."""
        self._tensor(shape, self._dtype, None if self._dtype == "float32" else _SCALE)
        return len(self._graph.tensors) - 1

    def constant(self, values: npt.NDArray[Any], scale: float | None = None) -> int:
        """A tensor whose values the file holds."""
        tensor = self._tensor(values.shape, str(values.dtype), scale)
        buffer: Any = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.buffer = len(self._model.buffers) - 1
        return len(self._graph.tensors) - 1

    def weights(self, shape: Shape) -> int:
        """Constant weights of the graph's type."""
        if self._dtype == "float32":
            return self.constant(np.full(shape, 0.02, np.float32))
        return self.constant(np.full(shape, 2, np.int8), _WEIGHT_SCALE)

    def bias(self, channels: int) -> int:
        """A constant bias of zeros."""
        if self._dtype == "float32":
            return self.constant(np.zeros(channels, np.float32))
        return self.constant(np.zeros(channels, np.int32), _SCALE * _WEIGHT_SCALE)

    def options(self, name: str, **values: Any) -> Any:
        """An operation's attributes; stride and dilation are 1, padding SAME, unless told."""
        found: Any = getattr(self._schema, f"{name}T")()
        defaults = {"padding": 0, "strideH": 1, "strideW": 1}
        defaults |= {"dilationHFactor": 1, "dilationWFactor": 1}
        for key, value in {**defaults, **values}.items():
            if hasattr(found, key):
                setattr(found, key, value)
        return found

    def add(self, op: str, inputs: list[int], shape: Shape, options: Any = None) -> int:
        """Append an operation; its output."""
        if op not in self._codes:
            code: Any = self._schema.OperatorCodeT()
            code.builtinCode = getattr(self._schema.BuiltinOperator, op)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = 1 if self._dtype == "float32" else _INT8_VERSIONS.get(op, 2)
            self._codes[op] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        operator: Any = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._codes[op], inputs
        output = self.activation(shape)
        operator.outputs = [output]
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self._graph.operators.append(operator)
        return output

    def write(self, outputs: list[int], path: Path) -> Path:
        """The file, whole or absent."""
        import flatbuffers

        self._graph.outputs = outputs
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        content = bytes(builder.Output())
        write_atomically(path, lambda file: file.write(content))
        return path


_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "PRELU": 1, "RESHAPE": 1}


def _conv(g: Builder, x: int) -> int:
    depth = g.shape(x)[3]
    inputs = [x, g.weights((CHANNELS, 3, 3, depth)), g.bias(CHANNELS)]
    return g.add("CONV_2D", inputs, (*g.shape(x)[:3], CHANNELS), g.options("Conv2DOptions"))


def _depthwise(g: Builder, x: int) -> int:
    depth = g.shape(x)[3]
    options = g.options("DepthwiseConv2DOptions", depthMultiplier=1)
    inputs = [x, g.weights((1, 3, 3, depth)), g.bias(depth)]
    return g.add("DEPTHWISE_CONV_2D", inputs, g.shape(x), options)


def _transpose(g: Builder, x: int) -> int:
    _, height, width, depth = g.shape(x)
    shape = (1, 2 * height, 2 * width, CHANNELS)
    options = g.options("TransposeConvOptions", strideH=2, strideW=2)
    inputs = [g.constant(np.array(shape, np.int32)), g.weights((CHANNELS, 2, 2, depth)), x]
    return g.add("TRANSPOSE_CONV", inputs, shape, options)


def _concat(g: Builder, x: int) -> int:
    shape = (*g.shape(x)[:3], 2 * g.shape(x)[3])
    other = _conv_like(g, x)
    return g.add("CONCATENATION", [x, other], shape, g.options("ConcatenationOptions", axis=3))


def _conv_like(g: Builder, x: int) -> int:
    """A second operand that is computed, too."""
    depth = g.shape(x)[3]
    inputs = [x, g.weights((depth, 1, 1, depth)), g.bias(depth)]
    return g.add("CONV_2D", inputs, g.shape(x), g.options("Conv2DOptions"))


def _two(op: str, options: str) -> Callable[[Builder, int], int]:
    def build(g: Builder, x: int) -> int:
        return g.add(op, [x, _conv_like(g, x)], g.shape(x), g.options(options))

    return build


def _pool(op: str) -> Callable[[Builder, int], int]:
    def build(g: Builder, x: int) -> int:
        _, height, width, depth = g.shape(x)
        options = g.options(
            "Pool2DOptions", padding=1, strideH=2, strideW=2, filterHeight=2, filterWidth=2
        )
        return g.add(op, [x], (1, height // 2, width // 2, depth), options)

    return build


def _resize(op: str, options: str) -> Callable[[Builder, int], int]:
    def build(g: Builder, x: int) -> int:
        _, height, width, depth = g.shape(x)
        size = g.constant(np.array([2 * height, 2 * width], np.int32))
        values = g.options(options, halfPixelCenters=True, alignCorners=False)
        return g.add(op, [x, size], (1, 2 * height, 2 * width, depth), values)

    return build


def _depth_to_space(g: Builder, x: int) -> int:
    _, height, width, depth = g.shape(x)
    options = g.options("DepthToSpaceOptions", blockSize=2)
    return g.add("DEPTH_TO_SPACE", [x], (1, 2 * height, 2 * width, depth // 4), options)


def _space_to_depth(g: Builder, x: int) -> int:
    _, height, width, depth = g.shape(x)
    options = g.options("SpaceToDepthOptions", blockSize=2)
    return g.add("SPACE_TO_DEPTH", [x], (1, height // 2, width // 2, 4 * depth), options)


def _prelu(g: Builder, x: int) -> int:
    return g.add("PRELU", [x, g.weights((1, 1, g.shape(x)[3]))], g.shape(x))


def _relu(g: Builder, x: int) -> int:
    return g.add("RELU", [x], g.shape(x))


OPERATIONS: dict[str, Callable[[Builder, int], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose,
    "CONCATENATION": _concat,
    "ADD": _two("ADD", "AddOptions"),
    "MUL": _two("MUL", "MulOptions"),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "RESIZE_BILINEAR": _resize("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "PRELU": _prelu,
    "RELU": _relu,
}
"""The operations that are asked about, as TFLite names them."""
NEIGHBOURS = (
    "CONV_2D",
    "CONCATENATION",
    "TRANSPOSE_CONV",
    "DEPTH_TO_SPACE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "ADD",
    "MUL",
    "MAX_POOL_2D",
    "PRELU",
    "TRANSPOSE_CONV>CONCATENATION",
    "RESIZE_BILINEAR>CONCATENATION",
)
"""What may stand right before the operation; CONV_2D stands for "nothing special".

A chain `A>B` is B after A: the joints of a U-Net, where the paper's fallbacks are.
"""


def write_probe(path: Path, dtype: str, after: str, ops: tuple[str, ...]) -> tuple[Question, ...]:
    """A graph with a segment for each of `ops`, each after an `after`; which operation is which."""
    graph = Builder(dtype)
    asked, outputs = [], []
    for op in ops:
        tensor = _conv(graph, graph.input)
        for step in after.split(">"):
            tensor = OPERATIONS[step](graph, tensor)
        tensor = OPERATIONS[op](graph, tensor)
        asked.append(Question(graph.count - 1, op, after))
        outputs.append(tensor)
    graph.write(outputs, path)
    return tuple(asked)
