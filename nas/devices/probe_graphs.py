"""Probe graphs, which show the operations that a phone accelerates, and after which others.

Each graph is a row of segments: a convolution, then the neighbour, then the operation in question.
One launch places all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.devices.graph_builder import CHANNELS, SIZE, VALID, GraphBuilder

TYPES = ("float32", "int8")
"""The data types that phones are asked about."""


@dataclass(frozen=True)
class Question:
    """One question of a graph: is its operation `index`, an `op`, accelerated after `after`?"""

    index: int
    op: str
    after: str


def _conv(g: GraphBuilder, x: int) -> int:
    depth = g.shape(x)[3]
    inputs = [x, g.weights((CHANNELS, 3, 3, depth)), g.bias(CHANNELS)]
    return g.add("CONV_2D", inputs, (*g.shape(x)[:3], CHANNELS), g.options("Conv2DOptions"))


def _depthwise(g: GraphBuilder, x: int) -> int:
    depth = g.shape(x)[3]
    options = g.options("DepthwiseConv2DOptions", depthMultiplier=1)
    inputs = [x, g.weights((1, 3, 3, depth)), g.bias(depth)]
    return g.add("DEPTHWISE_CONV_2D", inputs, g.shape(x), options)


def _transpose(g: GraphBuilder, x: int, fused: int = 0, version: int | None = None) -> int:
    _, height, width, depth = g.shape(x)
    shape = (1, 2 * height, 2 * width, CHANNELS)
    options = g.options(
        "TransposeConvOptions", padding=VALID, strideH=2, strideW=2, fusedActivationFunction=fused
    )
    inputs = [g.constant(np.array(shape, np.int32)), g.weights((CHANNELS, 2, 2, depth)), x]
    return g.add("TRANSPOSE_CONV", inputs, shape, options, version)


def _transpose_with_relu(g: GraphBuilder, x: int) -> int:
    """Add the form that converters make of a transposed convolution and a ReLU."""
    return _transpose(g, x, fused=1, version=4)


def _concat(g: GraphBuilder, x: int) -> int:
    shape = (*g.shape(x)[:3], 2 * g.shape(x)[3])
    other = _conv_like(g, x)
    return g.add("CONCATENATION", [x, other], shape, g.options("ConcatenationOptions", axis=3))


def _conv_like(g: GraphBuilder, x: int) -> int:
    """Add a convolution, for an operation's second operand."""
    depth = g.shape(x)[3]
    inputs = [x, g.weights((depth, 1, 1, depth)), g.bias(depth)]
    return g.add("CONV_2D", inputs, g.shape(x), g.options("Conv2DOptions"))


def _two(op: str, options: str) -> Callable[[GraphBuilder, int], int]:
    def build(g: GraphBuilder, x: int) -> int:
        return g.add(op, [x, _conv_like(g, x)], g.shape(x), g.options(options))

    return build


def _pool(op: str) -> Callable[[GraphBuilder, int], int]:
    def build(g: GraphBuilder, x: int) -> int:
        _, height, width, depth = g.shape(x)
        options = g.options(
            "Pool2DOptions", padding=VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2
        )
        return g.add(op, [x], (1, height // 2, width // 2, depth), options)

    return build


def _resize(op: str, options: str) -> Callable[[GraphBuilder, int], int]:
    def build(g: GraphBuilder, x: int) -> int:
        _, height, width, depth = g.shape(x)
        size = g.constant(np.array([2 * height, 2 * width], np.int32))
        values = g.options(options, halfPixelCenters=True, alignCorners=False)
        return g.add(op, [x, size], (1, 2 * height, 2 * width, depth), values)

    return build


def _depth_to_space(g: GraphBuilder, x: int) -> int:
    _, height, width, depth = g.shape(x)
    options = g.options("DepthToSpaceOptions", blockSize=2)
    return g.add("DEPTH_TO_SPACE", [x], (1, 2 * height, 2 * width, depth // 4), options)


def _space_to_depth(g: GraphBuilder, x: int) -> int:
    _, height, width, depth = g.shape(x)
    options = g.options("SpaceToDepthOptions", blockSize=2)
    return g.add("SPACE_TO_DEPTH", [x], (1, height // 2, width // 2, 4 * depth), options)


def _prelu(g: GraphBuilder, x: int) -> int:
    return g.add("PRELU", [x, g.weights((1, 1, g.shape(x)[3]))], g.shape(x))


def _relu(g: GraphBuilder, x: int) -> int:
    return g.add("RELU", [x], g.shape(x))


OPERATIONS: dict[str, Callable[[GraphBuilder, int], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose,
    "TRANSPOSE_CONV+RELU": _transpose_with_relu,
    "CONCATENATION": _concat,
    "ADD": _two("ADD", "AddOptions"),
    "MUL": _two("MUL", "MulOptions"),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "RESIZE_BILINEAR": _resize("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "PRELU": _prelu,
    "RELU": _relu,
}
"""The operations in question, by TFLite's names; `A+RELU` is an A with a ReLU fused into it."""
NEIGHBOURS = (
    "CONV_2D",
    "CONCATENATION",
    "TRANSPOSE_CONV",
    "DEPTH_TO_SPACE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "ADD",
    "MUL",
    "MAX_POOL_2D",
    "PRELU",
    "TRANSPOSE_CONV>CONCATENATION",
    "RESIZE_BILINEAR>CONCATENATION",
)
"""Operations right before the one in question; CONV_2D stands for "nothing special".

A chain `A>B` is B after A: the joints of a U-Net, where the paper's fallbacks are.
"""


NO_INT16 = ("PRELU", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
"""Operations that int16 files spell in others (`nas.compression.quantization.int16_form`)."""
_HALVING = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "SPACE_TO_DEPTH")
_DOUBLING = ("TRANSPOSE_CONV", "DEPTH_TO_SPACE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")


def possible(dtype: str, after: str) -> tuple[str, ...]:
    """The operations that files of a type have behind another: int16 has no PRELU, for example."""
    missing = NO_INT16 if dtype == "int16" else ()
    if set(after.split(">")) & set(missing):
        return ()
    return tuple(op for op in OPERATIONS if op not in missing)


def fits(op: str, after: str, size: tuple[int, int]) -> bool:
    """Return whether `op` can stand after `after` in a probe for pictures of (width, height).

    Moving pixels to channels needs even sides. Other operations drop a last pixel.
    """
    for step in (*after.split(">"), op):
        if step == "SPACE_TO_DEPTH" and (size[0] % 2 or size[1] % 2):
            return False
        if step in _HALVING:
            size = (size[0] // 2, size[1] // 2)
        elif step in _DOUBLING:
            size = (2 * size[0], 2 * size[1])
    return True


def write_probe(
    path: Path,
    dtype: str,
    after: str,
    ops: tuple[str, ...],
    size: tuple[int, int] = (SIZE, SIZE),
) -> tuple[Question, ...]:
    """Write a graph with a segment for each of `ops` after `after`; returns its questions.

    It takes pictures of `size` (width, height).
    """
    graph = GraphBuilder(dtype, (1, size[1], size[0], CHANNELS))
    questions, outputs = [], []
    for op in ops:
        tensor = _conv(graph, graph.input)
        for step in after.split(">"):
            tensor = OPERATIONS[step](graph, tensor)
        tensor = OPERATIONS[op](graph, tensor)
        questions.append(Question(graph.count - 1, op, after))
        outputs.append(tensor)
    graph.write(outputs, path)
    return tuple(questions)
