"""A small network of plain convolutions: every phone runs it, so it tells the phone's own state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs

from nas.files import write_atomically

SIZE = 128
WIDTHS = (16, 16, 3)


def cache_folder() -> Path:
    """Where what is learnt about phones is kept: `$NAS_CACHE_DIR`, or the user's cache."""
    given = os.environ.get("NAS_CACHE_DIR")
    return Path(given) if given else platformdirs.user_cache_path("portable-nas")


def reference_model() -> Path:
    """The reference network's file, written once into the user's cache.

    Convolutions 3x3 with ReLU of 16, 16 and 3 channels on 128x128x3, float32, constant weights.
    """
    path = cache_folder() / "reference-1.tflite"
    if not path.exists():
        content = _flatbuffer()
        write_atomically(path, lambda file: file.write(content))
    return path


def _flatbuffer() -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT()
    model.version, model.description = 3, b"portable-nas reference"
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    model.operatorCodes, model.buffers = [code], [schema.BufferT()]
    graph: Any = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = b"main", [], []
    model.subgraphs = [graph]
    source = _tensor(model, "input", (1, SIZE, SIZE, 3))
    graph.inputs = [source]
    depth = 3
    for number, width in enumerate(WIDTHS):
        inputs = [
            source,
            _tensor(model, f"weights_{number}", (width, 3, 3, depth), 0.05),
            _tensor(model, f"bias_{number}", (width,), 0.0),
        ]
        source, depth = _tensor(model, f"conv_{number}", (1, SIZE, SIZE, width)), width
        graph.operators.append(_convolution(inputs, source))
    graph.outputs = [source]
    builder = flatbuffers.Builder(1 << 15)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(model: Any, name: str, shape: tuple[int, ...], value: float | None = None) -> int:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    tensor: Any = schema.TensorT()
    tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), schema.TensorType.FLOAT32
    tensor.buffer = 0
    if value is not None:
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(np.full(shape, value, np.float32).tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    graph = model.subgraphs[0]
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _convolution(inputs: list[int], output: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    options: Any = schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU
    operator: Any = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = inputs, [output]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = options
    return operator
