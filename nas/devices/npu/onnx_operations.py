"""Each operation of a `.tflite` file as nodes of ONNX that compute the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nas.devices.npu.onnx_tensors import FILE, TO_FIRST, OnnxTensors
from nas.errors import ConversionError
from nas.tflite.file import Operation, Tensor

_RANGES = {"RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
_LOWEST = {"int8": -128, "uint8": 0, "int16": -32768}


@final
@dataclass(frozen=True)
class Step:
    """One operation on its way from a file into `tensors`' ONNX graph."""

    operation: Operation
    tensors: OnnxTensors

    def option(self, name: str, default: Any = None) -> Any:
        """One of the operation's attributes."""
        return dict(self.operation.options).get(name, default)

    def input(self, number: int) -> Tensor:
        """An input; ConversionError where the file leaves it out."""
        inputs = self.operation.inputs
        tensor = inputs[number] if number < len(inputs) else None
        if tensor is None:
            raise ConversionError(f"{self.operation}: input {number} is missing")
        return tensor

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self.operation.outputs[0]

    def value(self, number: int = 0) -> str:
        """The real values of an input."""
        return self.tensors.value(self.input(number))

    def write(self, kind: str, inputs: list[str], **attributes: Any) -> None:
        """Add a node that makes the output."""
        self.tensors.write(kind, inputs, self.output, **attributes)

    def write_activated(self, kind: str, inputs: list[str], **attributes: Any) -> None:
        """As `write`, followed by the activation that the file fused into the operation.

        In integers the activation is an operation of its own between the same two scales: what the
        compiler would make of a fused one is another program (int16: nine times as slow).
        """
        activation = self.option("fusedActivationFunction") or "NONE"
        if activation == "NONE" or (activation == "RELU" and _never_negative(self.output)):
            return self.write(kind, inputs, **attributes)
        value = self.tensors.graph.add(kind, inputs, **attributes)
        if self.output.quantization is not None:
            value = self.tensors.rounded(value, self.output)
        if activation == "RELU":
            return self.write("Relu", [value])
        if activation not in _RANGES:
            raise ConversionError(f"{self.operation}: the activation {activation} is not known")
        return self.write("Clip", [value, *self.floats(*_RANGES[activation])])

    def floats(self, *values: float) -> list[str]:
        """Constants of one value each."""
        return [self.tensors.graph.constant(np.float32(value)) for value in values]

    def integers(self, values: Any) -> str:
        """A constant of int64."""
        return self.tensors.graph.constant(np.asarray(values, np.int64))

    def bias(self, number: int) -> list[str]:
        """The bias, or nothing where the file has none."""
        inputs = self.operation.inputs
        tensor = inputs[number] if number < len(inputs) else None
        return [] if tensor is None else [self.tensors.constant(tensor)]


def _never_negative(tensor: Tensor) -> bool:
    """Whether the integers of a tensor can't stand for less than 0."""
    quantization = tensor.quantization
    if quantization is None or not quantization.zero_points:
        return False
    return quantization.zero_points[0] == _LOWEST.get(tensor.dtype)


def _strides(step: Step) -> tuple[int, int]:
    return (int(step.option("strideH")), int(step.option("strideW")))


def _pads(
    step: Step, window: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> list[int]:
    """Zeros before and after height and width; of an odd number, one more comes after."""
    if step.option("padding") == "VALID":
        return [0, 0, 0, 0]
    totals = [
        max((-(-side // stride) - 1) * stride + (size - 1) * dilation + 1 - side, 0)
        for side, size, stride, dilation in zip(
            step.input(0).shape[1:3], window, strides, dilations, strict=True
        )
    ]
    return _halved(totals)


def _halved(totals: list[int]) -> list[int]:
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _convolution(step: Step) -> None:
    weights, channels = step.input(1), step.input(0).shape[3]
    depthwise = step.operation.name == "DEPTHWISE_CONV_2D"
    window = (weights.shape[1], weights.shape[2])
    strides = _strides(step)
    dilations = (int(step.option("dilationHFactor", 1)), int(step.option("dilationWFactor", 1)))
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    step.write_activated(
        "Conv",
        [step.value(0), step.tensors.constant(weights, order), *step.bias(2)],
        kernel_shape=window,
        strides=strides,
        dilations=dilations,
        group=channels if depthwise else channels // weights.shape[3],
        pads=_pads(step, window, strides, dilations),
    )


def _transposed_convolution(step: Step) -> None:
    """Weights (output channels, height, width, input channels); the picture is the third input."""
    weights, strides = step.input(1), _strides(step)
    window = (weights.shape[1], weights.shape[2])
    cut = [
        (before - 1) * stride + size - after
        for before, after, stride, size in zip(
            step.input(2).shape[1:3], step.output.shape[1:3], strides, window, strict=True
        )
    ]
    more = {"output_padding": [max(-side, 0) for side in cut]} if min(cut) < 0 else {}
    step.write_activated(
        "ConvTranspose",
        [step.value(2), step.tensors.constant(weights, (3, 0, 1, 2)), *step.bias(3)],
        kernel_shape=window,
        strides=strides,
        pads=_halved([max(side, 0) for side in cut]),
        **more,
    )


def _fully_connected(step: Step) -> None:
    """Weights (outputs, inputs); the picture before it is flattened as the file has it."""
    source = step.tensors.value(step.input(0), FILE)
    rows = [-1, step.input(1).shape[1]]
    if step.input(0).shape != tuple(rows) and len(step.input(0).shape) != 2:
        source = step.tensors.graph.add("Reshape", [source, step.integers(rows)])
    inputs = [source, step.tensors.constant(step.input(1)), *step.bias(2)]
    step.write_activated("Gemm", inputs, transB=1)


def _pooling(step: Step) -> None:
    window = (int(step.option("filterHeight")), int(step.option("filterWidth")))
    strides = _strides(step)
    average = step.operation.name == "AVERAGE_POOL_2D"
    step.write_activated(
        "AveragePool" if average else "MaxPool",
        [step.value(0)],
        kernel_shape=window,
        strides=strides,
        pads=_pads(step, window, strides, (1, 1)),
        **({"count_include_pad": 0} if average else {}),
    )


def _resize(step: Step) -> None:
    half, corners = step.option("halfPixelCenters"), step.option("alignCorners")
    nearest = step.operation.name == "RESIZE_NEAREST_NEIGHBOR"
    mode = "half_pixel" if half else "align_corners" if corners else "asymmetric"
    rounding = "round_prefer_ceil" if half or corners else "floor"
    before, after = step.input(0).shape[1:3], step.output.shape[1:3]
    factors = [1.0, 1.0, *(new / old for old, new in zip(before, after, strict=True))]
    step.write(
        "Resize",
        [step.value(0), "", step.tensors.graph.constant(np.array(factors, np.float32))],
        mode="nearest" if nearest else "linear",
        coordinate_transformation_mode=mode,
        **({"nearest_mode": rounding} if nearest else {}),
    )


def _depth_to_space(step: Step) -> None:
    step.write("DepthToSpace", [step.value()], blocksize=step.option("blockSize"), mode="DCR")


def _space_to_depth(step: Step) -> None:
    step.write("SpaceToDepth", [step.value()], blocksize=step.option("blockSize"))


def _prelu(step: Step) -> None:
    step.write("PRelu", [step.value(0), step.tensors.slopes(step.input(1))])


def _leaky_relu(step: Step) -> None:
    """In integers as a PReLU of one slope: a LeakyRelu of signed integers is refused."""
    slope = float(step.option("alpha"))
    if step.output.quantization is None:
        return step.write("LeakyRelu", [step.value()], alpha=slope)
    graph, kind = step.tensors.graph, step.output.dtype
    largest = np.iinfo(kind).max
    stored = graph.constant(np.full((1, 1, 1), largest, kind))
    scale = graph.constant(np.float32(slope / largest))
    zero = graph.constant(np.array(0, kind))
    return step.write("PRelu", [step.value(), graph.add("DequantizeLinear", [stored, scale, zero])])


def _clipped(step: Step) -> None:
    step.write("Clip", [step.value(), *step.floats(*_RANGES[step.operation.name])])


def _gelu(step: Step) -> None:
    step.write("Gelu", [step.value()], approximate="tanh" if step.option("approximate") else "none")


def _softmax(step: Step) -> None:
    step.write("Softmax", [step.value()], axis=1 if len(step.output.shape) == 4 else -1)


def _squared_difference(step: Step) -> None:
    difference = step.tensors.graph.add("Sub", [step.value(0), step.value(1)])
    step.write("Mul", [difference, difference])


def _rsqrt(step: Step) -> None:
    root = step.tensors.graph.add("Sqrt", [step.value()])
    step.write("Reciprocal", [root])


def _mean(step: Step) -> None:
    step.write(
        "ReduceMean",
        [step.value(0), step.integers(_axes(step, step.input(0), step.input(1)))],
        keepdims=int(step.option("keepDims")),
    )


def _axes(step: Step, picture: Tensor, axes: Tensor) -> list[int]:
    """Dimensions of the file, as those of the ONNX graph."""
    rank = len(picture.shape)
    dimensions = [int(axis) % rank for axis in step.tensors.stored(axes).ravel()]
    return [TO_FIRST.index(axis) for axis in dimensions] if rank == 4 else dimensions


def _concatenation(step: Step) -> None:
    rank = len(step.output.shape)
    axis = int(step.option("axis")) % rank
    values = [step.value(number) for number in range(len(step.operation.inputs))]
    step.write_activated("Concat", values, axis=TO_FIRST.index(axis) if rank == 4 else axis)


def _split(step: Step) -> None:
    (axis,) = _axes(step, step.input(1), step.input(0))
    outputs = step.operation.outputs
    graph = step.tensors.graph
    parts = [f"{step.operation.name}_{step.operation.index}_{n}" for n in range(len(outputs))]
    graph.add("Split", [step.value(1)], parts, axis=axis, num_outputs=len(parts))
    for part, tensor in zip(parts, outputs, strict=True):
        if tensor.quantization is None:
            graph.add("Identity", [part], [step.tensors.name(tensor)])
        else:
            step.tensors.encode(part, tensor)


def _slice(step: Step) -> None:
    """SLICE: from where, and how much of it (-1: the rest)."""
    starts, sizes = (_by_dimension(step, number) for number in (1, 2))
    sides = step.tensors.shape(step.input(0))
    ends = [
        side if size < 0 else start + size
        for start, size, side in zip(starts, sizes, sides, strict=True)
    ]
    _write_slice(step, starts, ends, [1] * len(starts))


def _strided_slice(step: Step) -> None:
    """STRIDED_SLICE of whole dimensions: x[:, a:b, c:d:2, :]."""
    masks = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
    if any(step.option(mask) for mask in masks):
        raise ConversionError(f"{step.operation}: a slice that drops or adds dimensions")
    starts, ends, strides = (_by_dimension(step, number) for number in (1, 2, 3))
    sides = step.tensors.shape(step.input(0))
    order = TO_FIRST if len(sides) == 4 else tuple(range(len(sides)))
    for place, axis in enumerate(order):
        if step.option("beginMask") >> axis & 1:
            starts[place] = 0
        if step.option("endMask") >> axis & 1:
            ends[place] = sides[place]
    _write_slice(step, starts, ends, strides)


def _by_dimension(step: Step, number: int) -> list[int]:
    values = [int(value) for value in step.tensors.stored(step.input(number)).ravel()]
    return [values[axis] for axis in TO_FIRST] if len(values) == 4 else values


def _write_slice(step: Step, starts: list[int], ends: list[int], strides: list[int]) -> None:
    bounds = [starts, ends, list(range(len(starts))), strides]
    step.write("Slice", [step.value(0), *map(step.integers, bounds)])


def _pad(step: Step) -> None:
    around = step.tensors.stored(step.input(1))
    around = around[list(TO_FIRST)] if len(around) == 4 else around
    mirror = step.operation.name == "MIRROR_PAD"
    if mirror and step.option("mode") not in (0, None):
        raise ConversionError(f"{step.operation}: only REFLECT is known")
    amounts = step.integers([*around[:, 0], *around[:, 1]])
    step.write("Pad", [step.value(0), amounts], mode="reflect" if mirror else "constant")


def _reshape(step: Step) -> None:
    source, shape = step.tensors.value(step.input(0), FILE), step.integers(step.output.shape)
    step.tensors.write("Reshape", [source, shape], step.output, FILE)


def _transpose(step: Step) -> None:
    order = [int(axis) for axis in step.tensors.stored(step.input(1))]
    source = step.tensors.value(step.input(0), FILE)
    step.tensors.write("Transpose", [source], step.output, FILE, perm=order)


def _quantize(step: Step) -> None:
    step.tensors.encode(step.value(0), step.output)


def _dequantize(step: Step) -> None:
    step.write("Identity", [step.value(0)])


def _plain(kind: str) -> Callable[[Step], None]:
    """One node with the operation's inputs, in their order, and nothing else to say."""

    def write(step: Step) -> None:
        values = [step.value(number) for number in range(len(step.operation.inputs))]
        step.write_activated(kind, values)

    return write


OPERATIONS: dict[str, Callable[[Step], None]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "TRANSPOSE_CONV": _transposed_convolution,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pooling,
    "AVERAGE_POOL_2D": _pooling,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "PRELU": _prelu,
    "LEAKY_RELU": _leaky_relu,
    "GELU": _gelu,
    "SOFTMAX": _softmax,
    "SQUARED_DIFFERENCE": _squared_difference,
    "RSQRT": _rsqrt,
    "MEAN": _mean,
    "CONCATENATION": _concatenation,
    "SPLIT": _split,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "PAD": _pad,
    "MIRROR_PAD": _pad,
    "RESHAPE": _reshape,
    "TRANSPOSE": _transpose,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    **dict.fromkeys(_RANGES, _clipped),
    **{
        name: _plain(kind)
        for name, kind in {
            "RELU": "Relu",
            "TANH": "Tanh",
            "LOGISTIC": "Sigmoid",
            "HARD_SWISH": "HardSwish",
            "ADD": "Add",
            "SUB": "Sub",
            "MUL": "Mul",
            "DIV": "Div",
            "MINIMUM": "Min",
            "MAXIMUM": "Max",
            "SQRT": "Sqrt",
        }.items()
    },
}
"""By the operation's name in the file."""
