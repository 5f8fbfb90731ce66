"""Reads `.tflite` files: operations, types, shapes and quantization, without TensorFlow.

The format only grows, so files of every version are read alike. Shapes are as in the file: (batch,
height, width, channels) mostly. A batch that is left open is 1. Inner shapes that the file does not
store, or leaves open with the batch, are those that LiteRT works out.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConfigError, ConversionError, one_line
from nas.system.hashing import content_key
from nas.tflite.shapes import Shape, allocated, given_shape, largest_picture, listed, stored_shape

_FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
_BITS = {"float64": 64, "int64": 64, "uint64": 64, "float32": 32, "int32": 32, "uint32": 32}
_BITS |= {"float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16, "int8": 8, "uint8": 8}
_BITS |= {"bool": 8, "int4": 4}


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPERATIONS = _names(schema.BuiltinOperator)
TYPES = {value: name.lower() for value, name in _names(schema.TensorType).items()}
_ENUMERATED_OPTIONS = {
    "padding": _names(schema.Padding),
    "fusedActivationFunction": _names(schema.ActivationFunctionType),
}


@final
@dataclass(frozen=True)
class Quantization:
    """Maps stored numbers to real ones, scale * (stored - zero_point); per slice along `axis` or
    not.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int

    @property
    def per_channel(self) -> bool:
        """Whether each slice along `axis` has a scale of its own."""
        return len(self.scales) > 1


@final
@dataclass(frozen=True)
class Tensor:
    """One tensor of a file; `dtype` is as in NumPy, and `constant` says that the file holds its
    values.

    A side of `shape` is -1 where the file leaves it open, and `shape` is () where neither the file
    nor LiteRT gives one.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: Quantization | None
    constant: bool

    @property
    def is_float(self) -> bool:
        """Whether the values are floating-point numbers."""
        return self.dtype in _FLOATS


@final
@dataclass(frozen=True)
class Operation:
    """One operation of a file: `index` is its place in the graph, `name` is as in "CONV_2D".

    An input is None where an optional one is absent. `options` are the operation's attributes
    (stride, padding, fused activation), sorted by name.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs that are present, then the outputs."""
        return (*(tensor for tensor in self.inputs if tensor is not None), *self.outputs)

    @property
    def weights(self) -> Tensor | None:
        """The kernel of a convolution or a matrix product; None for every other operation."""
        return self.inputs[1] if self.name in _CONV_MACS else None

    @property
    def fixed(self) -> bool:
        """Whether all shapes that a convolution's MACs depend on are known."""
        if self.name not in _CONV_MACS:
            return True
        tensors = (*self.inputs[: 3 if self.name == "TRANSPOSE_CONV" else 2], *self.outputs[:1])
        shapes = [tensor.shape for tensor in tensors if tensor is not None]
        return all(shape and min(shape) > 0 for shape in shapes)

    @property
    def conv_macs(self) -> int:
        """Multiply-accumulates of a convolution, without its bias; 0 for every other operation.

        Raises ConfigError where the file leaves a shape open.
        """
        if self.name not in _CONV_MACS:
            return 0
        if not self.fixed:
            raise ConfigError(
                f"{self}: its MACs depend on a shape that the file leaves open; "
                "export the model at a fixed height and width"
            )
        return _CONV_MACS[self.name](self)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.outputs[0].shape)) if self.outputs else "nothing"
        return f"operation {self.index} {self.name} -> {shape}"


def _conv_2d(operation: Operation) -> int:
    """N * Ho * Wo * Co * kh * kw * Ci; weights (Co, kh, kw, Ci), Ci a group's where grouped."""
    return math.prod(operation.outputs[0].shape) * math.prod(_shape(operation, 1)[1:])


def _depthwise(operation: Operation) -> int:
    """N * Ho * Wo * Co * kh * kw; weights (1, kh, kw, Co)."""
    return math.prod(operation.outputs[0].shape) * math.prod(_shape(operation, 1)[1:3])


def _transpose_conv(operation: Operation) -> int:
    """N * Hi * Wi * Ci * kh * kw * Co: a pixel of the *input*; weights (Co, kh, kw, Ci)."""
    return math.prod(_shape(operation, 2)) * math.prod(_shape(operation, 1)[:3])


_CONV_MACS = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
}


def _shape(operation: Operation, index: int) -> tuple[int, ...]:
    tensor = operation.inputs[index]
    return tensor.shape if tensor is not None else ()


@final
@dataclass(frozen=True)
class TfliteFile:
    """The main graph of a `.tflite` file, in the order in which it runs."""

    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def open_inputs(self) -> tuple[Tensor, ...]:
        """The inputs of which the file leaves a side open, beside the batch."""
        return tuple(tensor for tensor in self.inputs if any(side < 1 for side in tensor.shape))

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the largest picture that goes in; None where none is, or open."""
        sides = largest_picture(tensor.shape for tensor in self.inputs)
        return None if sides is None or self.open_inputs else (sides[1], sides[0])

    @property
    def conv_macs(self) -> int:
        """The sum of the operations' `conv_macs`, as `Graph.macs().conv`; raises as they do."""
        return sum(operation.conv_macs for operation in self.operations)

    @property
    def operation_counts(self) -> Counter[str]:
        """The number of operations of each name."""
        return Counter(operation.name for operation in self.operations)

    @property
    def float_islands(self) -> tuple[Operation, ...]:
        """Operations that read or write floating-point tensors, DEQUANTIZE and QUANTIZE too."""
        return tuple(op for op in self.operations if any(t.is_float for t in op.tensors))

    @cached_property
    def structure_key(self) -> str:
        """A key of operations, options, wiring, types and shapes, but of no weight and no scale.

        Files with equal keys do the same work: a latency belongs to the structure. Which constants
        happen to be shared (equal biases are stored once) makes no difference.
        """
        numbers: dict[int, int] = {}

        def described(tensor: Tensor | None) -> Any:
            if tensor is None:
                return None
            kind = "float"
            where: str | int = "constant"
            if tensor.quantization is not None:
                kind = "channel" if tensor.quantization.per_channel else "tensor"
            if not tensor.constant:
                where = numbers.setdefault(tensor.index, len(numbers))
            return [where, tensor.dtype, list(tensor.shape), kind]

        return content_key(
            {
                "inputs": [described(tensor) for tensor in self.inputs],
                "operations": [
                    {
                        "name": operation.name,
                        "options": dict(operation.options),
                        "inputs": [described(tensor) for tensor in operation.inputs],
                        "outputs": [described(tensor) for tensor in operation.outputs],
                    }
                    for operation in self.operations
                ],
                "outputs": [described(tensor) for tensor in self.outputs],
            }
        )


def read_tflite(path: Path) -> TfliteFile:
    """Return the main graph of the file at `path`.

    Raises ConfigError, naming the file, where it is missing, no `.tflite`, cut short or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error
    return parse_tflite(content, str(path))


def parse_tflite(content: bytes, name: str, subgraph: int = 0) -> TfliteFile:
    """Return a graph of a file's content, as `read_tflite` does; `name` is the file's in errors.

    `subgraph` picks another graph than the main one: compilers put their parts into some.
    """
    if len(content) < 8 or content[4:8] != b"TFL3":
        start = f"{len(content)} bytes" if len(content) < 8 else f"{content[4:8]!r}"
        raise ConfigError(
            f"{name} is no .tflite file: expected 'TFL3' after its first four bytes, found {start}"
        )
    try:
        return _parse(schema.ModelT.InitFromPackedBuf(content, 0), content, subgraph)
    except (
        struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError,
        MemoryError, RecursionError,
    ) as error:  # fmt: skip
        raise ConfigError(
            f"{name} is a damaged or truncated .tflite file ({len(content)} bytes): "
            f"{one_line(error)}"
        ) from error


def _parse(model: Any, content: bytes, subgraph: int = 0) -> TfliteFile:
    if not model.subgraphs:
        raise ValueError("it holds no graph")
    main = model.subgraphs[_checked(subgraph, len(model.subgraphs))]
    tensors = [_tensor(model, index, tensor) for index, tensor in enumerate(main.tensors)]
    inputs = [_checked(index, len(tensors)) for index in listed(main.inputs)]
    alone = len(inputs) == 1
    for index in inputs:
        tensors[index] = replace(tensors[index], shape=given_shape(main.tensors[index], alone))
    used = {i for row in main.operators or () for i in (*listed(row.inputs), *listed(row.outputs))}
    unknown = [tensors[i] for i in used if 0 <= i < len(tensors) and not tensors[i].constant]
    sized = subgraph == 0 and all(min(tensors[index].shape, default=1) >= 1 for index in inputs)
    if sized and any(min(tensor.shape, default=0) < 1 for tensor in unknown):
        tensors = _settled(tensors, content, {i: tensors[i].shape for i in inputs})
    operations = tuple(
        _operation(model, tensors, index, operation)
        for index, operation in enumerate(main.operators or ())
    )
    if not operations:
        raise ValueError("its graph has no operations")
    return TfliteFile(operations, _picked(tensors, main.inputs), _picked(tensors, main.outputs))


def _settled(tensors: list[Tensor], content: bytes, inputs: dict[int, Shape]) -> list[Tensor]:
    """Return the tensors with the shapes that LiteRT works out; an open batch is 1 where it
    refuses.
    """
    try:
        shapes = allocated(content, inputs)
    except ConversionError:  # operations of a vendor, for example
        return [
            replace(t, shape=(1, *t.shape[1:])) if t.shape[:1] and t.shape[0] < 1 else t
            for t in tensors
        ]
    return [replace(t, shape=shapes.get(t.index, t.shape)) for t in tensors]


def _operation(model: Any, tensors: list[Tensor], index: int, operation: Any) -> Operation:
    code = model.operatorCodes[_checked(operation.opcodeIndex, len(model.operatorCodes))]
    name = _OPERATIONS[max(code.builtinCode, code.deprecatedBuiltinCode)]
    if name == "CUSTOM":
        name = f"CUSTOM {(code.customCode or b'').decode()}"
    result = Operation(
        index=index,
        name=name,
        inputs=tuple(
            None if i == -1 else tensors[_checked(i, len(tensors))]
            for i in listed(operation.inputs)
        ),
        outputs=_picked(tensors, operation.outputs),
        options=_options(operation.builtinOptions),
    )
    if name in _CONV_MACS:
        weighed = result.inputs[1:3] if name == "TRANSPOSE_CONV" else result.inputs[1:2]
        needed = [*weighed, *result.outputs[:1]]
        ranks = {len(t.shape) for t in needed if t is not None and (t.shape or t.constant)}
        if not weighed or None in weighed or not result.outputs or not ranks <= {4}:
            raise ValueError(f"operation {index} {name} has no weights, or not four dimensions")
    return result


def _tensor(model: Any, index: int, tensor: Any) -> Tensor:
    shape = stored_shape(tensor)
    dtype = TYPES[tensor.type]
    data = model.buffers[_checked(tensor.buffer, len(model.buffers))].data
    size = 0 if data is None else len(data)
    expected = -(-math.prod(shape) * _BITS.get(dtype, 0) // 8)
    if size and tensor.sparsity is None and dtype in _BITS and size != expected:
        raise ValueError(
            f"tensor {index} needs {expected} bytes for {dtype} {shape}, but {size} are there"
        )
    return Tensor(
        index=index,
        name=(tensor.name or b"").decode(),
        dtype=dtype,
        shape=shape,
        quantization=_quantization(tensor.quantization),
        constant=size > 0,
    )


def _quantization(values: Any) -> Quantization | None:
    if values is None or values.scale is None or len(values.scale) == 0:
        return None
    zero_points = [] if values.zeroPoint is None else list(values.zeroPoint)
    if len(zero_points) not in (0, 1, len(values.scale)) or not np.isfinite(values.scale).all():
        raise ValueError("a tensor's scales and zero points don't fit together")
    return Quantization(
        scales=tuple(float(scale) for scale in values.scale),
        zero_points=tuple(int(point) for point in zero_points),
        axis=int(values.quantizedDimension),
    )


def _options(values: Any) -> tuple[tuple[str, Any], ...]:
    if values is None:
        return ()
    return tuple((name, _option(name, value)) for name, value in sorted(vars(values).items()))


def _option(name: str, value: Any) -> Any:
    if name in _ENUMERATED_OPTIONS and isinstance(value, int):
        return _ENUMERATED_OPTIONS[name][value]
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(type(value))


def _picked(tensors: list[Tensor], indices: npt.NDArray[np.int32] | None) -> tuple[Tensor, ...]:
    return tuple(tensors[_checked(i, len(tensors))] for i in listed(indices))


def _checked(index: int, count: int) -> int:
    if not 0 <= index < count:
        raise ValueError(f"an index of {index} points past {count} entries")
    return int(index)


def conv_macs(path: Path) -> int:
    """Return the multiply-accumulates of a file's convolutions; raises as `read_tflite`."""
    return read_tflite(path).conv_macs


def structure_key(path: Path) -> str:
    """Return a key that is equal for files that do the same work; raises as `read_tflite`."""
    return read_tflite(path).structure_key
