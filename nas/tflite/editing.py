"""int16 files made bearable: wider ranges, the same file at another picture size, and in float32.

The runtime takes a minute and a half for one 1280x720 picture in int16 through a network that
takes a second or two in float32. So the gate runs an int16 file at the size of a crop, and quality
is scored on its float32 form, after that was shown to agree with the file on a crop. Both are made
from the file's own bytes: its weights, its scales.
"""

from __future__ import annotations

import copy
import math
from typing import Any, final

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConversionError

_NAMES: dict[int, str] = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)
}
_STORED = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
# One scale for all that goes in and out. Concatenation, too: int16 files have no other.
_ONE_SCALE = (
    "CONCATENATION",
    "RESHAPE",
    "TRANSPOSE",
    "PAD",
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
)
_BIAS = {"CONV_2D": 2, "TRANSPOSE_CONV": 3}  # its place, and that of the data: 0 and 2
_DATA = {"CONV_2D": 0, "TRANSPOSE_CONV": 2}
# Where height and width stand in what depth-to-space and its reverse are made of: the picture,
# (h, w, f, f * c) and (h, f, w, f * c).
_PICTURE, _BLOCKS, _WOVEN = (1, 2), (0, 1), (0, 2)


def at_size(content: bytes, height: int, width: int) -> bytes:
    """The file for pictures of another size: weights and scales untouched.

    For networks of convolutions, poolings, resizings and paddings, as all of this project are.
    Raises ConversionError where a tensor's sides don't come out whole.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    tensors = main.tensors
    picture = int(main.inputs[0])
    sizes = _Sizes(tuple(int(side) for side in tensors[picture].shape[1:3]), (height, width))
    places, sides = {picture: _PICTURE}, {picture: (height, width)}
    wanted: dict[int, list[Any]] = {}
    for operation in main.operators:
        name = _name(model, operation)
        output = int(operation.outputs[0])
        sources = [int(i) for i in operation.inputs if int(i) in places]
        source = sources[0]
        if any(sides[other] != sides[source] for other in sources):
            raise ConversionError(f"{name}: its inputs differ in size at {width}x{height}")
        places[output] = _place(name, tensors[source], tensors[output], places[source])
        before = _sides(tensors[source], places[source])
        after = sizes.after(operation, name, tensors, before, sides[source], places[output])
        sides[output] = after
        shape = _with_sides(tensors[output], places[output], after)
        constants: dict[str, tuple[int, list[Any]]] = {
            "RESHAPE": (1, shape),
            "TRANSPOSE_CONV": (0, shape),
            "RESIZE_BILINEAR": (1, list(after)),
            "RESIZE_NEAREST_NEIGHBOR": (1, list(after)),
            "PAD": (1, _around(sides[source], after)),
        }
        if name in constants:
            index, values = constants[name]
            constant = int(operation.inputs[index])
            if wanted.setdefault(constant, values) != values:  # shared so far
                operation.inputs = [int(i) for i in operation.inputs]
                operation.inputs[index] = len(tensors)
                wanted[len(tensors)] = values
                tensors.append(copy.copy(tensors[constant]))
            if name == "RESHAPE" and operation.builtinOptions is not None:
                operation.builtinOptions.newShape = values
    for index, values in wanted.items():
        kind = _STORED[tensors[index].type]
        _store(model, tensors[index], np.asarray(values, kind))
    for index, place in places.items():
        tensors[index].shape = _with_sides(tensors[index], place, sides[index])
        tensors[index].shapeSignature = None
    return _packed(model)


@final
class _Sizes:
    """Sides of tensors, where pictures of the size `old` become `new`: (height, width) each."""

    def __init__(self, old: tuple[int, ...], new: tuple[int, int]) -> None:
        self._old, self._new = old, new

    def after(
        self,
        operation: Any,
        name: str,
        tensors: Any,
        before: tuple[int, ...],
        now: tuple[int, int],
        place: tuple[int, int],
    ) -> tuple[int, int]:
        """An operation's output's new sides; its input's are `now` and were `before`."""
        tensor = tensors[int(operation.outputs[0])]
        was = _sides(tensor, place)
        window = _window(operation, name, tensors)
        result = []
        for axis in (0, 1):
            if window is not None:
                side = (now[axis] - window[0][axis]) // window[1][axis] + 1
                rest = 0
            elif name in ("PAD", "RESIZE_NEAREST_NEIGHBOR"):
                side, rest = self._part(was[axis], axis)
            else:
                side, rest = divmod(was[axis] * now[axis], before[axis])
            if rest or side < 1:
                raise ConversionError(
                    f"{(tensor.name or b'').decode()!r} of shape {[int(n) for n in tensor.shape]} "
                    f"has no whole size in a picture of {self._new[1]}x{self._new[0]} instead of "
                    f"{self._old[1]}x{self._old[0]}"
                )
            result.append(side)
        return (result[0], result[1])

    def _part(self, was: int, axis: int) -> tuple[int, int]:
        """The picture's side over a power of two, rounded up, as it was; and 0 where it was so."""
        divisor = 2 ** round(math.log2(self._old[axis] / was))
        return -(-self._new[axis] // divisor), was + -self._old[axis] // divisor


def _window(
    operation: Any, name: str, tensors: Any
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Window and stride, (height, width) each, where windows that don't fit are left out."""
    options = operation.builtinOptions
    if getattr(options, "padding", None) != schema.Padding.VALID or name == "TRANSPOSE_CONV":
        return None
    if name == "CONV_2D":
        _, height, width, _ = (int(side) for side in tensors[int(operation.inputs[1])].shape)
    else:
        height, width = int(options.filterHeight), int(options.filterWidth)
    stride = (int(options.strideH), int(options.strideW))
    return None if (height, width) == stride else ((height, width), stride)


def _around(before: tuple[int, int], after: tuple[int, int]) -> list[list[int]]:
    """Zeros on both sides of each dimension, as `nas.networks.layers.ZeroPad`."""
    missing = [0, *(new - old for old, new in zip(before, after, strict=True)), 0]
    return [[total // 2, total - total // 2] for total in missing]


def with_headroom(content: bytes, factor: float) -> bytes:
    """An int16 file whose activations may be `factor` times what the calibration has seen.

    Each goes wider, biases with it, but for the pictures that go in and what is bounded by itself.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    wider = _unbounded(model, main)
    for operation in main.operators:
        name = _name(model, operation)
        if name in _BIAS and int(operation.inputs[_DATA[name]]) in wider:
            place = _BIAS[name]
            if len(operation.inputs) <= place or int(operation.inputs[place]) < 0:
                continue  # a bias of nothing but 0 is left out
            bias = main.tensors[int(operation.inputs[place])]
            stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int64)
            _store(model, bias, np.rint(stored / factor).astype(np.int64))
            bias.quantization.scale = [float(scale) * factor for scale in bias.quantization.scale]
    for index in wider:
        quantization = main.tensors[index].quantization
        quantization.scale = [float(scale) * factor for scale in quantization.scale]
    return _packed(model)


def _unbounded(model: Any, main: Any) -> set[int]:
    """The int16 activations that nothing but the calibration bounds."""
    made = {int(index) for operation in main.operators for index in operation.outputs}
    of_one_scale, bounded = [], {int(index) for index in main.inputs}
    for operation in main.operators:
        name = _name(model, operation)
        outputs = [int(index) for index in operation.outputs]
        if name in _ONE_SCALE:
            data = {int(index) for index in operation.inputs if int(index) in made | bounded}
            of_one_scale.append({*data, *outputs})
        elif name == "TANH":
            bounded.update(outputs)
    for _ in of_one_scale:  # as often as the longest chain, at most
        for together in of_one_scale:
            if together & bounded:
                bounded |= together
    kind = schema.TensorType.INT16
    return {index for index in made - bounded if main.tensors[index].type == kind}


def in_float(content: bytes) -> bytes:
    """A quantized file's operations and weights in float32: what it loses by its weights alone."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    aliases: dict[int, int] = {}
    operators = []
    for operation in main.operators:
        inputs = [aliases.get(int(index), int(index)) for index in operation.inputs]
        operation.inputs = inputs
        if _name(model, operation) == "QUANTIZE":  # from one scale to another: nothing in float32
            aliases[int(operation.outputs[0])] = inputs[0]
            continue
        if hasattr(operation.builtinOptions, "quantizedBiasType"):
            operation.builtinOptions.quantizedBiasType = schema.TensorType.FLOAT32
        operators.append(operation)
    main.operators = operators
    main.outputs = [aliases.get(int(index), int(index)) for index in main.outputs]
    for signature in model.signatureDefs or ():
        for output in signature.outputs:
            output.tensorIndex = aliases.get(int(output.tensorIndex), int(output.tensorIndex))
    for tensor in main.tensors:
        quantization = tensor.quantization
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            continue
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            stored = np.frombuffer(bytes(data), _STORED[tensor.type]).reshape(tensor.shape)
            _store(model, tensor, _real(stored, quantization))
        tensor.type = schema.TensorType.FLOAT32
        tensor.quantization = None
    return _packed(model)


def _name(model: Any, operation: Any) -> str:
    code = model.operatorCodes[operation.opcodeIndex]
    return _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")


def _place(name: str, source: Any, output: Any, before: tuple[int, int]) -> tuple[int, int]:
    """Where height and width stand in an operation's output."""
    if name == "TRANSPOSE":
        return _WOVEN if before == _BLOCKS else _BLOCKS
    if name != "RESHAPE":
        return before
    if before != _PICTURE:
        return _PICTURE
    return _BLOCKS if _sides(source, _PICTURE) == _sides(output, _BLOCKS) else _WOVEN


def _sides(tensor: Any, place: tuple[int, int]) -> tuple[int, int]:
    return (int(tensor.shape[place[0]]), int(tensor.shape[place[1]]))


def _with_sides(tensor: Any, place: tuple[int, int], sides: tuple[int, int]) -> list[int]:
    shape = [int(side) for side in tensor.shape]
    for axis, side in zip(place, sides, strict=True):
        shape[axis] = side
    return shape


def _real(stored: npt.NDArray[Any], quantization: Any) -> npt.NDArray[np.float32]:
    shape = [1] * stored.ndim
    if len(quantization.scale) > 1:
        shape[quantization.quantizedDimension] = len(quantization.scale)
    scale = np.asarray(quantization.scale, np.float64).reshape(shape)
    zero = np.asarray(quantization.zeroPoint, np.float64).reshape(shape)
    real: npt.NDArray[np.float32] = ((stored - zero) * scale).astype(np.float32)
    return real


def _store(model: Any, tensor: Any, values: npt.NDArray[Any]) -> None:
    """Give the tensor a buffer of its own: the converter lets equal ones share one."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def _packed(model: Any) -> bytes:
    import flatbuffers

    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in used:  # what `_store` left behind
            buffer.data = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
