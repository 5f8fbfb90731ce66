"""Building small `.tflite` graphs with the format's own schema, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.system.files import write_atomically

SIZE = 16
"""The sides of a graph's picture, unless a shape is given."""
CHANNELS = 16
"""The channels of a graph's picture, unless a shape is given."""
SAME, VALID = 0, 1
"""Paddings: as many zeros as keep the size (over the stride), and none."""
_SCALE, _WEIGHT_SCALE = 0.05, 0.01
_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "PRELU": 1, "RESHAPE": 1}

Shape = tuple[int, ...]
Scales = npt.NDArray[np.float32]


class GraphBuilder:
    """Builds a graph of one data type, operation by operation; tensors are numbers."""

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
        self._codes: dict[tuple[str, int | None], int] = {}
        self._graph.inputs = []
        self.input = self.add_input(shape)

    def add_input(self, shape: Shape) -> int:
        """Add a tensor that is given from outside; returns its number."""
        tensor = self.activation(shape)
        self._graph.inputs.append(tensor)
        return tensor

    @property
    def count(self) -> int:
        """The number of operations so far."""
        return len(self._graph.operators)

    def shape(self, tensor: int) -> Shape:
        """Return a tensor's shape."""
        return tuple(self._graph.tensors[tensor].shape)

    def _tensor(self, shape: Shape, dtype: str, scale: float | Scales | None, axis: int = 0) -> Any:
        tensor: Any = self._schema.TensorT()
        tensor.name = f"tensor_{len(self._graph.tensors)}".encode()
        tensor.shape, tensor.buffer = list(shape), 0
        tensor.type = getattr(self._schema.TensorType, dtype.upper())
        if scale is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return tensor

    def activation(self, shape: Shape) -> int:
        """Add a tensor that is computed; returns its number."""
        self._tensor(shape, self._dtype, None if self._dtype == "float32" else _SCALE)
        return len(self._graph.tensors) - 1

    def constant(
        self, values: npt.NDArray[Any], scale: float | Scales | None = None, axis: int = 0
    ) -> int:
        """Add a tensor whose values the file holds; returns its number.

        Several scales are those of the channels, along the dimension `axis`.
        """
        tensor = self._tensor(values.shape, str(values.dtype), scale, axis)
        buffer: Any = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.buffer = len(self._model.buffers) - 1
        return len(self._graph.tensors) - 1

    def weights(self, shape: Shape) -> int:
        """Add constant weights of the graph's type; returns their tensor."""
        if self._dtype == "float32":
            return self.constant(np.full(shape, 0.02, np.float32))
        return self.constant(np.full(shape, 2, np.int8), _WEIGHT_SCALE)

    def bias(self, channels: int) -> int:
        """Add a constant bias of zeros; returns its tensor."""
        if self._dtype == "float32":
            return self.constant(np.zeros(channels, np.float32))
        kind = np.int64 if self._dtype == "int16" else np.int32
        return self.constant(np.zeros(channels, kind), _SCALE * _WEIGHT_SCALE)

    def options(self, name: str, **values: Any) -> Any:
        """Make an operation's attributes; by default stride and dilation are 1, padding is SAME."""
        options: Any = getattr(self._schema, f"{name}T")()
        defaults = {"padding": SAME, "strideH": 1, "strideW": 1}
        defaults |= {"dilationHFactor": 1, "dilationWFactor": 1}
        for key, value in {**defaults, **values}.items():
            if hasattr(options, key):
                setattr(options, key, value)
        return options

    def add(
        self,
        op: str,
        inputs: list[int],
        shape: Shape,
        options: Any = None,
        version: int | None = None,
    ) -> int:
        """Append an operation, of the type's usual version or of another; returns its output."""
        key = (op, version)
        if key not in self._codes:
            code: Any = self._schema.OperatorCodeT()
            code.builtinCode = getattr(self._schema.BuiltinOperator, op)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            usual = 1 if self._dtype == "float32" else _INT8_VERSIONS.get(op, 2)
            code.version = usual if version is None else version
            self._codes[key] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        operator: Any = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._codes[key], inputs
        output = self.activation(shape)
        operator.outputs = [output]
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self._graph.operators.append(operator)
        return output

    def require_version(self, op: str, version: int) -> None:
        """Set the version of an operation's kernel that the graph needs, for all of that kind."""
        for (name, _), code in self._codes.items():
            if name == op:
                self._model.operatorCodes[code].version = version

    def write(self, outputs: list[int], path: Path) -> Path:
        """Write the graph to a file, whole or not at all; returns `path`."""
        import flatbuffers

        self._graph.outputs = outputs
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        content = bytes(builder.Output())
        write_atomically(path, lambda file: file.write(content))
        return path
