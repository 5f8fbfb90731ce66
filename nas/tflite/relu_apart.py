"""Takes a ReLU out of transposed convolutions, and names a file's input and output for tools.

TensorFlow's converter fuses a ReLU that follows a transposed convolution into it (version 4 of the
operation). LiteRT's GPU takes no such operation, and phones' older tools don't know it. Apart, the
two compute the same.
"""

from __future__ import annotations

import copy
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from nas.tflite.editing import operation_name, packed

SIGNATURE = "serving_default"
"""The name that LiteRT's own tools look for."""
_FUSED = {
    schema.ActivationFunctionType.RELU: schema.BuiltinOperator.RELU,
    schema.ActivationFunctionType.RELU6: schema.BuiltinOperator.RELU6,
    schema.ActivationFunctionType.RELU_N1_TO_1: schema.BuiltinOperator.RELU_N1_TO_1,
}
_INTEGERS = (schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT16)


def with_relu_apart(content: bytes) -> bytes:
    """Return a file whose transposed convolutions have no ReLU in them; the same one without any.

    A ReLU of its own follows instead. Between the two the scale is that of the ReLU's output, as it
    was inside, so integers stay what they were.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    changed = False
    for graph in model.subgraphs:
        operators = []
        for operation in graph.operators:
            operators.append(operation)
            options = operation.builtinOptions
            if operation_name(model, operation) != "TRANSPOSE_CONV":
                continue
            relu = _FUSED.get(options.fusedActivationFunction)
            if relu is None:
                continue
            options.fusedActivationFunction = schema.ActivationFunctionType.NONE
            operators.append(_relu_after(model, graph, operation, relu))
            changed = True
        graph.operators = operators
    if not changed:
        return content
    _lower_versions(model)
    return packed(model)


def with_signature(content: bytes) -> bytes:
    """Return a file that names its inputs and outputs by a signature; the same one if it has any.

    The names are "input" and "output", numbered where there are several.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if model.signatureDefs:
        return content
    main = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = _named(main, main.inputs, "input")
    signature.outputs = _named(main, main.outputs, "output")
    model.signatureDefs = [signature]
    return packed(model)


def _named(graph: Any, indices: Any, default: str) -> list[Any]:
    """Map names to tensors; a tool's names must differ from each other."""
    entries = []
    for number, index in enumerate(indices):
        entry = schema.TensorMapT()
        name = f"{default}_{number}" if len(indices) > 1 else default
        entry.name, entry.tensorIndex = name.encode(), int(index)
        entries.append(entry)
    return entries


def _relu_after(model: Any, graph: Any, operation: Any, relu: int) -> Any:
    """Make the ReLU after an operation, which then writes to a tensor of its own."""
    index = int(operation.outputs[0])
    between = copy.copy(graph.tensors[index])
    between.name = (between.name or b"") + b"/before_relu"
    graph.tensors.append(between)
    operation.outputs = [len(graph.tensors) - 1]
    after = schema.OperatorT()
    after.opcodeIndex = _code(model, relu)
    after.inputs, after.outputs = [len(graph.tensors) - 1], [index]
    return after


def _code(model: Any, builtin: int) -> int:
    """Return the number of an operation's code in the file, which is added where it has none."""
    for number, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return number
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _lower_versions(model: Any) -> None:
    """Give transposed convolutions, and ReLUs, the versions that they need now."""
    needed: dict[int, int] = {}
    for graph in model.subgraphs:
        for operation in graph.operators:
            name = operation_name(model, operation)
            kind = graph.tensors[int(operation.outputs[0])].type
            version = 2 if kind in _INTEGERS else 1
            if name == "RELU" and kind == schema.TensorType.INT16:
                version = 3
            if name == "TRANSPOSE_CONV" and _has_bias(operation):
                version = 3
            if name in ("TRANSPOSE_CONV", "RELU", "RELU6", "RELU_N1_TO_1"):
                number = operation.opcodeIndex
                needed[number] = max(version, needed.get(number, 1))
    for number, version in needed.items():
        code = model.operatorCodes[number]
        transposed = code.builtinCode == schema.BuiltinOperator.TRANSPOSE_CONV
        # Version 5 has another kind of bias, which stays.
        code.version = version if transposed and code.version == 4 else max(version, code.version)


def _has_bias(operation: Any) -> bool:
    return len(operation.inputs) > 3 and int(operation.inputs[3]) >= 0
