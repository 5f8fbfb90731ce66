"""Makes int16 files bearable: gives them wider ranges, and the same file in float32.

The runtime takes a minute and a half for one 1280x720 picture in int16 through a network that takes
a second or two in float32. So the gate runs an int16 file at the size of a crop (see
`nas.tflite.resizing`), and quality is scored on its float32 form, after that was shown to agree
with the file on a crop. Both are made from the file's own bytes: its weights, its scales.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

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
# The places of the bias and of the data among the inputs.
_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3}
_DATA = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "TRANSPOSE_CONV": 2}


def with_headroom(content: bytes, factor: float) -> bytes:
    """Return an int16 file whose activations may be `factor` times those that the calibration saw.

    Each activation's range becomes wider, and biases with it, except for the pictures that go in
    and for outputs that are bounded by themselves.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    wider = _unbounded(model, main)
    for operation in main.operators:
        name = operation_name(model, operation)
        if name in _BIAS and int(operation.inputs[_DATA[name]]) in wider:
            place = _BIAS[name]
            if len(operation.inputs) <= place or int(operation.inputs[place]) < 0:
                continue  # a bias of nothing but 0 is left out
            bias = main.tensors[int(operation.inputs[place])]
            stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int64)
            put_values(model, bias, np.rint(stored / factor).astype(np.int64))
            bias.quantization.scale = [float(scale) * factor for scale in bias.quantization.scale]
    for index in wider:
        quantization = main.tensors[index].quantization
        quantization.scale = [float(scale) * factor for scale in quantization.scale]
    return packed(model)


def _unbounded(model: Any, main: Any) -> set[int]:
    """Return the int16 activations that nothing but the calibration bounds."""
    computed = {int(index) for operation in main.operators for index in operation.outputs}
    of_one_scale, bounded = [], {int(index) for index in main.inputs}
    for operation in main.operators:
        name = operation_name(model, operation)
        outputs = [int(index) for index in operation.outputs]
        if name in _ONE_SCALE:
            data = {int(index) for index in operation.inputs if int(index) in computed | bounded}
            of_one_scale.append({*data, *outputs})
        elif name == "TANH":
            bounded.update(outputs)
    for _ in of_one_scale:  # as often as the longest chain, at most
        for together in of_one_scale:
            if together & bounded:
                bounded |= together
    kind = schema.TensorType.INT16
    return {index for index in computed - bounded if main.tensors[index].type == kind}


def in_float(content: bytes) -> bytes:
    """Return a quantized file's operations in float32, with the weights that its integers stand
    for.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    aliases: dict[int, int] = {}
    operators = []
    for operation in main.operators:
        inputs = [aliases.get(int(index), int(index)) for index in operation.inputs]
        operation.inputs = inputs
        if (
            operation_name(model, operation) == "QUANTIZE"
        ):  # from one scale to another: nothing in float32
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
            put_values(model, tensor, _real(stored, quantization))
        tensor.type = schema.TensorType.FLOAT32
        tensor.quantization = None
    return packed(model)


def operation_name(model: Any, operation: Any) -> str:
    """Return an operation's name: "CUSTOM" for one that is not the format's, "" for an
    unknown one.
    """
    code = model.operatorCodes[operation.opcodeIndex]
    return _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")


def _real(stored: npt.NDArray[Any], quantization: Any) -> npt.NDArray[np.float32]:
    shape = [1] * stored.ndim
    if len(quantization.scale) > 1:
        shape[quantization.quantizedDimension] = len(quantization.scale)
    scale = np.asarray(quantization.scale, np.float64).reshape(shape)
    zero = np.asarray(quantization.zeroPoint, np.float64).reshape(shape)
    real: npt.NDArray[np.float32] = ((stored - zero) * scale).astype(np.float32)
    return real


def put_values(model: Any, tensor: Any, values: npt.NDArray[Any]) -> None:
    """Give the tensor a buffer of its own with these values: the converter lets equal ones share
    one.
    """
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def packed(model: Any) -> bytes:
    """Return the file of a model that the format's reader has read."""
    import flatbuffers

    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in used:  # what `put_values` left behind
            buffer.data = None
    builder = _aligning(flatbuffers.Builder)(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@cache
def _aligning(base: Any) -> Any:
    """Make a builder that puts weights where the format wants them, at multiples of 16 bytes.

    The Python builder would not, and runtimes that read a file in place then copy the weights.
    """

    class Aligning(base):  # type: ignore[misc]
        def CreateNumpyVector(self, values: npt.NDArray[Any]) -> Any:  # noqa: N802
            if values.dtype != np.uint8:
                return super().CreateNumpyVector(values)
            self.StartVector(1, values.size, 16)
            self.head = self.Head() - values.size
            self.Bytes[self.Head() : self.Head() + values.size] = values.tobytes()
            self.vectorNumElems = values.size
            return self.EndVector()

    return Aligning
