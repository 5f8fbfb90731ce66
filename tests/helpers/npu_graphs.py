"""Small `.tflite` files for the NPU's tests, written without TensorFlow, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.devices.graph_builder import SAME, GraphBuilder, Shape
from nas.devices.npu.requirements import Machine
from nas.devices.probe_graphs import OPERATIONS

COMPLAINT = Machine.here().complaint
needs_extra = pytest.mark.skipif(COMPLAINT is not None, reason=f"npu: {COMPLAINT}")


class RandomBuilder(GraphBuilder):
    """Weights that tell one channel, row and column from another."""

    def __init__(self, dtype: str, shape: Shape, seed: int = 0) -> None:
        super().__init__(dtype, shape)
        self._random = np.random.default_rng(seed)

    def weights(self, shape: Shape) -> int:
        if self._dtype == "float32":
            return self.constant(self._random.normal(0, 0.1, shape).astype(np.float32))
        return self.constant(self._random.integers(-20, 21, shape, dtype=np.int8), 0.01)

    def bias(self, channels: int) -> int:
        if self._dtype == "float32":
            return self.constant(self._random.normal(0, 0.1, channels).astype(np.float32))
        values = self._random.integers(-200, 201, channels, dtype=np.int32)
        return self.constant(values, 0.05 * 0.01)


def write_operation(
    path: Path, op: str, dtype: str, shape: Shape = (1, 12, 16, 16), seed: int = 0
) -> Path:
    """A convolution, then the operation."""
    graph = RandomBuilder(dtype, shape, seed)
    tensor = OPERATIONS["CONV_2D"](graph, graph.input)
    return graph.write([OPERATIONS[op](graph, tensor)], path)


def write_convolution(path: Path, side: int, kernel: int, **options: Any) -> Path:
    """One float convolution 3 -> 8 on side x side; `options` as in the format."""
    graph = RandomBuilder("float32", (1, side, side, 3))
    stride = options.get("strideH", 1)
    after = -(-side // stride) if options.get("padding", 0) == 0 else (side - kernel) // stride + 1
    inputs = [graph.input, graph.weights((8, kernel, kernel, 3)), graph.bias(8)]
    tensor = graph.add(
        "CONV_2D", inputs, (1, after, after, 8), graph.options("Conv2DOptions", **options)
    )
    return graph.write([tensor], path)


def write_transposed(
    path: Path, dtype: str, height: int, width: int = 8, padding: int = SAME
) -> Path:
    """One transposed convolution 2x2 behind a convolution: with SAME refused on odd sides."""
    graph = RandomBuilder(dtype, (1, height, width, 16))
    x = OPERATIONS["CONV_2D"](graph, graph.input)
    shape = (1, 2 * height, 2 * width, 16)
    options = graph.options("TransposeConvOptions", padding=padding, strideH=2, strideW=2)
    inputs = [graph.constant(np.array(shape, np.int32)), graph.weights((16, 2, 2, 16)), x]
    return graph.write([graph.add("TRANSPOSE_CONV", inputs, shape, options)], path)
