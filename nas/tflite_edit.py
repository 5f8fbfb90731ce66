"""int16 files made bearable: the same file at another picture size, and in float32.

The runtime takes a minute and a half for one 1280x720 picture in int16 through a network that
takes a second or two in float32. So the gate runs an int16 file at the size of a crop, and quality
is scored on its float32 form, after that was shown to agree with the file on a crop. Both are made
from the file's own bytes: its weights, its scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConversionError

_CODE = {
    name: getattr(schema.BuiltinOperator, name)
    for name in ("RESHAPE", "TRANSPOSE", "TRANSPOSE_CONV", "RESIZE_BILINEAR", "QUANTIZE")
}
_STORED = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
# Where height and width stand in what depth-to-space is made of: the picture, (h, w, f, f * c) and
# (h, f, w, f * c).
_PICTURE, _BLOCKS, _WOVEN = (1, 2), (0, 1), (0, 2)


def at_size(content: bytes, height: int, width: int) -> bytes:
    """The file for pictures of another size: weights and scales untouched.

    For networks of convolutions, poolings by whole factors and resizings, as all of this project
    are. Raises ConversionError where a tensor's sides don't come out whole.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    _, *old, _ = (int(side) for side in main.tensors[main.inputs[0]].shape)
    new = (height, width)
    places = {int(main.inputs[0]): _PICTURE}
    resized = {int(main.inputs[0])}
    wanted: dict[int, list[int]] = {}
    for operation in main.operators:
        name = _name(model, operation)
        output = int(operation.outputs[0])
        source = next(int(i) for i in operation.inputs if int(i) in places)
        place = _place(name, places[source])
        places[output] = place
        resized.add(output)
        shape = _scaled(main.tensors[output], place, tuple(old), new)
        sizes = {"RESHAPE": (1, shape), "TRANSPOSE_CONV": (0, shape)}
        sizes |= {"RESIZE_BILINEAR": (1, shape[1:3])}
        if name in sizes:
            index, values = sizes[name]
            constant = int(operation.inputs[index])
            if wanted.setdefault(constant, values) != values:
                raise ConversionError(f"{name}: two operations share a size that differs now")
            if name == "RESHAPE" and operation.builtinOptions is not None:
                operation.builtinOptions.newShape = values
    for index, values in wanted.items():
        _store(model, main.tensors[index], np.asarray(values, np.int32))
    for index in resized:
        tensor = main.tensors[index]
        tensor.shape = _scaled(tensor, places[index], tuple(old), new)
        tensor.shapeSignature = None
    return _packed(model)


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
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next((name for name, value in _CODE.items() if value == number), "")


def _place(name: str, before: tuple[int, int]) -> tuple[int, int]:
    if name == "RESHAPE":
        return _BLOCKS if before == _PICTURE else _PICTURE
    return _WOVEN if name == "TRANSPOSE" else before


def _scaled(
    tensor: Any, place: tuple[int, int], old: tuple[int, ...], new: tuple[int, int]
) -> list[int]:
    shape = [int(side) for side in tensor.shape]
    for axis, before, after in zip(place, old, new, strict=True):
        side, rest = divmod(shape[axis] * after, before)
        if rest or side < 1:
            name = (tensor.name or b"").decode()
            raise ConversionError(
                f"{name!r} of shape {shape} has no whole size in a picture of {new[1]}x{new[0]} "
                f"instead of {old[1]}x{old[0]}"
            )
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

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
