"""Micro-benchmarks: `.tflite` files of one operation, or of a joint, at the sizes of a term.

Written with the format's own schema, without TensorFlow: milliseconds each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.devices.graph_builder import SAME, VALID, GraphBuilder, Scales
from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.networks.folding import folded
from nas.networks.graph import Conv, Graph, TransposeConv
from nas.predictor.terms import Term, terms_of
from nas.tflite.operations import PICTURE, of_graph

DTYPES = ("float32", "int8", "int16")
_SCALE, _WEIGHT_SCALE = 0.05, 0.01  # as the builder's
_RELU = 1


def _scales(channels: int) -> Scales:
    return np.linspace(0.5, 1, channels, dtype=np.float32) * np.float32(_WEIGHT_SCALE)


@final
class _Graph(GraphBuilder):
    """A builder of graphs, with weights and operations as converted files have them.

    Weights are random, and those of integers have a scale for each channel. Where all weights and
    scales of a file are equal, an NPU's compiler makes another program (40 % slower, for one
    network).
    """

    def __init__(self, term: Term) -> None:
        super().__init__(term.dtype, (1, *term.given, term.channels[0]))
        self.dtype = term.dtype
        self._random = np.random.default_rng(0)

    def weights(self, shape: tuple[int, ...], axis: int = 0) -> int:
        """Add random constant weights; `axis` is the dimension of a convolution's channels."""
        if self.dtype == "float32":
            return self.constant(self._random.normal(0, 0.1, shape).astype(np.float32))
        values = self._random.integers(-127, 128, shape, dtype=np.int8)
        if len(shape) != 4:
            return self.constant(values, _WEIGHT_SCALE)
        return self.constant(values, _scales(shape[axis]), axis)

    def bias(self, channels: int) -> int:
        """Add a constant bias of zeros, with the scales of the products."""
        if self.dtype == "float32":
            return super().bias(channels)
        kind = np.int64 if self.dtype == "int16" else np.int32
        return self.constant(np.zeros(channels, kind), _SCALE * _scales(channels))

    def slopes(self, channels: int) -> int:
        """Add constant slopes of a PReLU, one a channel."""
        if self.dtype == "int16":
            return self.constant(np.full((1, 1, channels), 20, np.int16), _SCALE)
        return self.weights((1, 1, channels))


def write_micrograph(term: Term, path: Path, relu: bool = False) -> Path:
    """Write the file of one operation; with `relu` a convolution has the activation fused.

    Where the term says what stands before it, so does the file: the up-sampling, the concatenation
    with a skip of as many channels as are left, and for a convolution that, too.

    Raises ConfigError where no file is known for the operation.
    """
    _check(term)
    graph = _Graph(term)
    inputs = [graph.input]
    inputs += [graph.add_input((1, *term.given, channels)) for channels in term.channels[1:]]
    graph.write([_WRITERS[term.op](graph, term, inputs, relu)], path)
    return path


def write_joint(joint: tuple[Term, ...], path: Path) -> Path:
    """Write a file of an up-sampling, the concatenation with a skip, and maybe a convolution.

    Raises as `write_micrograph`.
    """
    for term in joint:
        _check(term)
    graph = _Graph(joint[0])
    tensor = graph.input
    for term in joint:
        inputs = [tensor]
        inputs += [graph.add_input((1, *term.given, channels)) for channels in term.channels[1:]]
        tensor = _WRITERS[term.op](graph, term, inputs, True)
    graph.write([tensor], path)
    return path


def _check(term: Term) -> None:
    if term.op not in _WRITERS or term.dtype not in DTYPES:
        raise ConfigError(
            f"no micro-benchmark is known for {term.op} in {term.dtype}; known: "
            f"{', '.join(sorted(_WRITERS))} in {', '.join(DTYPES)}"
        )


def _kernel(term: Term) -> tuple[int, int]:
    side = math.isqrt(term.area)
    return (side, side) if side * side == term.area else (1, term.area)


def _stride(term: Term) -> int:
    return max(1, round(term.given[0] / term.made[0]))


def _conv(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    stride = _stride(term)
    options = g.options(
        "Conv2DOptions", strideH=stride, strideW=stride, fusedActivationFunction=_RELU * relu
    )
    weights = g.weights((term.cout, *_kernel(term), term.cin))
    return g.add("CONV_2D", [inputs[0], weights, g.bias(term.cout)], _made(term), options)


def _depthwise(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    options = g.options(
        "DepthwiseConv2DOptions", strideH=1, strideW=1, depthMultiplier=1,
        fusedActivationFunction=_RELU * relu,
    )  # fmt: skip
    operands = [inputs[0], g.weights((1, *_kernel(term), term.cout), 3), g.bias(term.cout)]
    return g.add("DEPTHWISE_CONV_2D", operands, _made(term), options)


def _leaky_relu(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    return g.add("LEAKY_RELU", [inputs[0]], _made(term), g.options("LeakyReluOptions", alpha=0.1))


def _made(term: Term) -> tuple[int, ...]:
    return (1, *term.made, term.cout)


def _transpose(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    factor = term.made[0] // term.given[0]
    padding = VALID if _kernel(term) == (factor, factor) else SAME  # as in networks
    options = g.options("TransposeConvOptions", padding=padding, strideH=factor, strideW=factor)
    shape = g.constant(np.array(_made(term), np.int32))
    weights = g.weights((term.cout, *_kernel(term), term.cin))
    operands = [shape, weights, inputs[0], g.bias(term.cout)]
    return g.add("TRANSPOSE_CONV", operands, _made(term), options)


def _concat(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    return g.add("CONCATENATION", inputs, _made(term), g.options("ConcatenationOptions", axis=3))


def _two(op: str, options: str) -> Callable[[_Graph, Term, list[int], bool], int]:
    def write(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
        return g.add(op, (inputs * 2)[:2], _made(term), g.options(options))

    return write


def _pool(op: str) -> Callable[[_Graph, Term, list[int], bool], int]:
    def write(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
        factor = _stride(term)
        side = factor if factor > 1 else 3  # only the average of 3x3 keeps the size
        padding = VALID if factor > 1 else SAME
        options = g.options(
            "Pool2DOptions", padding=padding, strideH=factor, strideW=factor,
            filterHeight=side, filterWidth=side,
        )  # fmt: skip
        return g.add(op, [inputs[0]], _made(term), options)

    return write


def _resize(op: str, options: str) -> Callable[[_Graph, Term, list[int], bool], int]:
    def write(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
        size = g.constant(np.array(term.made, np.int32))
        values = g.options(options, halfPixelCenters=True, alignCorners=False)
        return g.add(op, [inputs[0], size], _made(term), values)

    return write


def _depth_to_space(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    factor = term.made[0] // term.given[0]
    if g.dtype == "int16":  # as `nas.compression.quantization.int16_form` spells it
        height, width = term.given
        return _woven(g, inputs[0], (height, width, factor, factor * term.cout), term)
    options = g.options("DepthToSpaceOptions", blockSize=factor)
    return g.add("DEPTH_TO_SPACE", [inputs[0]], _made(term), options)


def _space_to_depth(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    factor = term.given[0] // term.made[0]
    if g.dtype == "int16":
        height, width = term.made
        return _woven(g, inputs[0], (height, factor, width, factor * term.channels[0]), term)
    options = g.options("SpaceToDepthOptions", blockSize=factor)
    return g.add("SPACE_TO_DEPTH", [inputs[0]], _made(term), options)


def _woven(g: _Graph, source: int, shape: tuple[int, ...], term: Term) -> int:
    def reshaped(tensor: int, to: tuple[int, ...]) -> int:
        wanted = g.constant(np.array(to, np.int32))
        return g.add("RESHAPE", [tensor, wanted], to, g.options("ReshapeOptions", newShape=to))

    order = g.constant(np.array([0, 2, 1, 3], np.int32))
    turned = (shape[0], shape[2], shape[1], shape[3])
    rows = g.add("TRANSPOSE", [reshaped(source, shape), order], turned)
    return reshaped(rows, _made(term))


def _prelu(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    x, shape = inputs[0], _made(term)
    if g.dtype != "int16":
        return g.add("PRELU", [x, g.slopes(term.cout)], shape)
    product, total = g.options("MulOptions"), g.options("AddOptions")
    plain = g.add("MUL", [x, g.slopes(term.cout)], shape, product)
    positive = g.add("MUL", [g.add("RELU", [x], shape), g.slopes(term.cout)], shape, product)
    return g.add("ADD", [plain, positive], shape, total)


def _plain(op: str) -> Callable[[_Graph, Term, list[int], bool], int]:
    def write(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
        return g.add(op, [inputs[0]], _made(term))

    return write


def _pad(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    low = [(made - given) // 2 for made, given in zip(term.made, term.given, strict=True)]
    high = [made - given - one for made, given, one in zip(term.made, term.given, low, strict=True)]
    around = np.array([[0, 0], [low[0], high[0]], [low[1], high[1]], [0, 0]], np.int32)
    return g.add("PAD", [inputs[0], g.constant(around)], _made(term), g.options("PadOptions"))


def _scale(g: _Graph, term: Term, inputs: list[int], relu: bool) -> int:
    if g.dtype == "float32":
        factor = g.constant(np.array([0.17], np.float32))
    else:
        kind = np.int16 if g.dtype == "int16" else np.int8
        factor = g.constant(np.array([100], kind), _SCALE)
    return g.add("MUL", [inputs[0], factor], _made(term), g.options("MulOptions"))


_WRITERS: dict[str, Callable[[Any, Term, list[int], bool], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose,
    "CONCATENATION": _concat,
    "ADD": _two("ADD", "AddOptions"),
    "SUB": _two("SUB", "SubOptions"),
    "MUL": _scale,
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "RESIZE_BILINEAR": _resize("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "PRELU": _prelu,
    "LEAKY_RELU": _leaky_relu,
    "TANH": _plain("TANH"),
    "PAD": _pad,
}
OPERATIONS = tuple(_WRITERS)
"""TFLite's names of the operations that have micro-benchmarks."""


def write_network(graph: Graph, size: tuple[int, int], precision: Precision, path: Path) -> Path:
    """Write a whole network's file at a picture `size` (width, height), with random weights.

    Its operations, types and shapes are those of the converted file; its scales are made up. Raises
    ConfigError where the network can't take the size, or has a layer that has no operation here.
    """
    operations = of_graph(graph, size, precision)
    terms = terms_of(operations)
    for term in terms:
        _check(term)
    layers = folded(graph).layers
    fused = iter([x.activation == "relu" for x in layers if isinstance(x, (Conv, TransposeConv))])
    file = _Graph(terms[0])
    made: list[int] = []
    for step, term in zip(operations.steps, terms, strict=True):
        inputs = [file.input if n == PICTURE else made[n] for n in step.sources]
        relu = next(fused) if term.op in ("CONV_2D", "TRANSPOSE_CONV") else False
        made.append(_WRITERS[term.op](file, term, inputs, relu))
    file.write([made[-1]], path)
    return path


def write_chain(term: Term, path: Path, count: int) -> Path:
    """Write a file of `count` equal operations in a row, each of which keeps the shape."""
    graph = _Graph(term)
    tensor = graph.input
    for _ in range(count):
        tensor = _WRITERS[term.op](graph, term, [tensor], False)
    graph.write([tensor], path)
    return path
