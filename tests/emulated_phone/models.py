"""Small `.tflite` files of known structure, written with the flatbuffer schema: no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Builder:
    """A float32 graph, one operation after another; tensors are named by their operation."""

    def __init__(self, height: int = 16, width: int = 16, channels: int = 3) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = b"portable-nas test model"
        self._model.operatorCodes = []
        self._empty = schema.BufferT()
        self._model.buffers = [self._empty]
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.name = b"main"
        self._model.subgraphs = [self._graph]
        self._codes: dict[int, int] = {}
        self._random = np.random.default_rng(0)
        self.input = self._tensor("input", (1, height, width, channels))
        self._graph.inputs = [self.input]

    def _tensor(self, name: str, shape: tuple[int, ...], data: Any = None) -> int:
        tensor = self._schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = [int(size) for size in shape]
        kind = self._schema.TensorType.FLOAT32
        tensor.buffer = 0
        if data is not None:
            kind = {"int32": self._schema.TensorType.INT32}.get(str(data.dtype), kind)
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        tensor.type = kind
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def _add(self, op: str, inputs: list[int], shape: tuple[int, ...], options: Any) -> int:
        code = getattr(self._schema.BuiltinOperator, op)
        if code not in self._codes:
            entry = self._schema.OperatorCodeT()
            entry.builtinCode = code
            entry.deprecatedBuiltinCode = min(code, 127)
            entry.version = 1
            self._codes[code] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._codes[code]
        operator.inputs = inputs
        output = self._tensor(f"{op.lower()}_{len(self._graph.operators)}", shape)
        operator.outputs = [output]
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, name)
        operator.builtinOptions = options
        self._graph.operators.append(operator)
        return output

    def conv(self, source: int, channels: int, kernel: int = 3) -> int:
        """Add a convolution with SAME padding and stride 1; returns its output."""
        batch, height, width, depth = self.shape(source)
        weights = self._random.normal(0, 0.1, (channels, kernel, kernel, depth))
        options = self._schema.Conv2DOptionsT()
        options.padding = self._schema.Padding.SAME
        options.strideH = options.strideW = 1
        options.dilationHFactor = options.dilationWFactor = 1
        inputs = [
            source,
            self._tensor("w", weights.shape, weights.astype(np.float32)),
            self._tensor("b", (channels,), np.zeros(channels, np.float32)),
        ]
        return self._add("CONV_2D", inputs, (batch, height, width, channels), options)

    def transpose_conv(self, source: int, channels: int, kernel: int = 2, stride: int = 2) -> int:
        """Add a transposed convolution with SAME padding; returns its output."""
        batch, height, width, depth = self.shape(source)
        shape = (batch, height * stride, width * stride, channels)
        weights = self._random.normal(0, 0.1, (channels, kernel, kernel, depth))
        options = self._schema.TransposeConvOptionsT()
        options.padding = self._schema.Padding.SAME
        options.strideH = options.strideW = stride
        inputs = [
            self._tensor("s", (4,), np.array(shape, np.int32)),
            self._tensor("w", weights.shape, weights.astype(np.float32)),
            source,
        ]
        return self._add("TRANSPOSE_CONV", inputs, shape, options)

    def max_pool(self, source: int, factor: int = 2) -> int:
        """Add a maximum pooling whose kernel equals its stride; returns its output."""
        batch, height, width, depth = self.shape(source)
        options = self._schema.Pool2DOptionsT()
        options.padding = self._schema.Padding.VALID
        options.strideH = options.strideW = factor
        options.filterHeight = options.filterWidth = factor
        shape = (batch, height // factor, width // factor, depth)
        return self._add("MAX_POOL_2D", [source], shape, options)

    def concat(self, *sources: int) -> int:
        """Add a concatenation of channels; returns its output."""
        options = self._schema.ConcatenationOptionsT()
        options.axis = 3
        shape = self.shape(sources[0])
        depth = sum(self.shape(source)[3] for source in sources)
        return self._add("CONCATENATION", list(sources), (*shape[:3], depth), options)

    def add(self, first: int, second: int) -> int:
        """Add an element-wise sum; returns its output."""
        return self._add("ADD", [first, second], self.shape(first), self._schema.AddOptionsT())

    def depth_to_space(self, source: int, factor: int = 2) -> int:
        """Add an operation that turns channels into pixels; returns its output."""
        batch, height, width, depth = self.shape(source)
        options = self._schema.DepthToSpaceOptionsT()
        options.blockSize = factor
        shape = (batch, height * factor, width * factor, depth // factor**2)
        return self._add("DEPTH_TO_SPACE", [source], shape, options)

    def to_int16(self) -> None:
        """Make every tensor one of 16-bit integers of one scale."""
        for tensor in self._graph.tensors:
            tensor.type = self._schema.TensorType.INT16
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale = [2.0**-15]
            tensor.quantization.zeroPoint = [0]
        for code in self._model.operatorCodes:
            code.version = 3

    def write(self, output: int, path: Path) -> Path:
        """Write the file, with `output` as the graph's only output."""
        import flatbuffers

        self._graph.outputs = [output]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def small_unet(path: Path, size: int = 16, width: int = 4) -> Path:
    """Write a U-Net of one level with a transposed convolution: CONV, POOL, CONV, TRANSPOSE_CONV,
    CONCATENATION, CONV, CONV.
    """
    graph = Builder(size, size)
    top = graph.conv(graph.input, width)
    low = graph.conv(graph.max_pool(top), width)
    joined = graph.concat(graph.transpose_conv(low, width), top)
    return graph.write(graph.conv(graph.conv(joined, width), 3), path)


def plain(path: Path, layers: int = 2, width: int = 4, size: int = 16) -> Path:
    """Write a network of convolutions only."""
    graph = Builder(size, size)
    tensor = graph.input
    for _ in range(layers):
        tensor = graph.conv(tensor, width)
    return graph.write(tensor, path)


def back_projection(path: Path) -> Path:
    """Write a transposed convolution whose kernel is larger than its stride, as in DBPN."""
    graph = Builder(16, 16)
    return graph.write(graph.transpose_conv(graph.conv(graph.input, 4), 3, 8, 4), path)


def int16_pool(path: Path) -> Path:
    """Write a pooling of 16-bit integers, which TFLite's own kernels run and XNNPACK refuses."""
    graph = Builder(16, 16)
    output = graph.max_pool(graph.input)
    graph.to_int16()
    return graph.write(output, path)
