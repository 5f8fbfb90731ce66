"""The ONNX form of a `.tflite` computes what LiteRT computes from the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nas.devices.probe_graphs import OPERATIONS
from nas.errors import ConfigError, ConversionError
from nas.training.schedule import PAPER
from search_spaces import UNet
from tests.helpers.npu_graphs import (
    RandomBuilder,
    needs_extra,
    write_convolution,
    write_operation,
)

pytestmark = needs_extra


def by_litert(content: bytes, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    output: npt.NDArray[Any] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return output


def by_onnx(content: bytes, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """By ONNX Runtime's own kernels, node by node, without its fusions."""
    import onnxruntime

    from nas.devices.npu.onnx_translation import translated

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        translated(content, "test"), options, providers=["CPUExecutionProvider"]
    )
    output: npt.NDArray[Any] = session.run(None, {"input0": picture})[0]
    return output


def picture_for(content: bytes) -> npt.NDArray[Any]:
    from nas.tflite.file import parse_tflite

    (tensor,) = parse_tflite(content, "test").inputs
    values = np.random.default_rng(1).random(tensor.shape, dtype=np.float32)
    if tensor.dtype == "float32":
        return values
    if tensor.dtype == "int16":
        return (values * 32767).astype(np.int16)
    return (values * 255 - 128).astype(np.int8)


def assert_same(content: bytes, steps: int) -> None:
    """To the last bits in float, within a few of the file's own steps in integers."""
    picture = picture_for(content)
    expected, found = by_litert(content, picture), by_onnx(content, picture)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert len(np.unique(expected)) > 10
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    if expected.dtype == np.float32:
        assert difference.max() < 1e-5 * max(1, np.abs(expected).max())
    else:
        assert difference.max() <= steps
        assert difference.mean() < 0.5


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("op", OPERATIONS)
def test_an_operation(tmp_path: Path, op: str, dtype: str) -> None:
    assert_same(write_operation(tmp_path / "m.tflite", op, dtype).read_bytes(), 8)


@pytest.mark.parametrize(
    ("side", "kernel", "options"),
    [
        (9, 3, {"strideH": 2, "strideW": 2}),
        (8, 3, {"strideH": 2, "strideW": 2}),
        (9, 3, {"padding": 1}),
        (9, 3, {"dilationHFactor": 2, "dilationWFactor": 2}),
        (7, 2, {}),
        (8, 5, {"fusedActivationFunction": 1}),
        (8, 3, {"fusedActivationFunction": 3}),
    ],
)
def test_the_paddings_and_activations_of_a_convolution(
    tmp_path: Path, side: int, kernel: int, options: dict[str, int]
) -> None:
    path = write_convolution(tmp_path / "m.tflite", side, kernel, **options)
    assert_same(path.read_bytes(), 1)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_transposed_convolutions_of_other_sizes(tmp_path: Path, kernel: int) -> None:
    graph = RandomBuilder("float32", (1, 5, 6, 4))
    shape = (1, 10, 12, 8)
    options = graph.options("TransposeConvOptions", strideH=2, strideW=2)
    size = graph.constant(np.array(shape, np.int32))
    inputs = [size, graph.weights((8, kernel, kernel, 4)), graph.input, graph.bias(8)]
    tensor = graph.add("TRANSPOSE_CONV", inputs, shape, options)
    assert_same(graph.write([tensor], tmp_path / "m.tflite").read_bytes(), 1)


@pytest.mark.parametrize("precision", ["float", "int8-ptq", "int16-ptq"])
@pytest.mark.parametrize(
    ("upsampling", "activation"),
    [("resize-bilinear", "relu"), ("transpose-conv", "prelu"), ("depth-to-space", "prelu")],
)
def test_a_network_as_it_is_exported(upsampling: Any, activation: Any, precision: Any) -> None:
    from nas.compression.convert import convert_untrained

    network = UNet(upsampling, activation, (4, 8), 1, 3, True)
    assert_same(convert_untrained(network.graph(), 32, 24, precision, PAPER), 4)


def test_what_has_no_translation_is_named(tmp_path: Path) -> None:
    from nas.devices.npu.onnx_translation import translated

    graph = RandomBuilder("float32", (1, 4, 4, 3))
    path = graph.write([graph.add("FLOOR", [graph.input], (1, 4, 4, 3))], tmp_path / "m.tflite")
    words = "m: operation 0 FLOOR -> 1x4x4x3 has no translation to ONNX"
    with pytest.raises(ConversionError, match=words):
        translated(path.read_bytes(), "m")
    with pytest.raises(ConfigError, match=r"m is no \.tflite file"):
        translated(b"something else", "m")


def _indices(graph: RandomBuilder, *values: Any) -> int:
    return graph.constant(np.array(values, np.int32))


def _leaky(g: RandomBuilder, x: int) -> list[int]:
    return [g.add("LEAKY_RELU", [x], g.shape(x), g.options("LeakyReluOptions", alpha=0.2))]


def _mean(g: RandomBuilder, x: int) -> list[int]:
    """Of each channel, times the picture."""
    options = g.options("ReducerOptions", keepDims=True)
    mean = g.add("MEAN", [x, _indices(g, 1, 2)], (1, 1, 1, g.shape(x)[3]), options)
    return [g.add("MUL", [x, mean], g.shape(x), g.options("MulOptions"))]


def _mean_of_channels(g: RandomBuilder, x: int) -> list[int]:
    options = g.options("ReducerOptions", keepDims=True)
    shape = (*g.shape(x)[:3], 1)
    mean = g.add("MEAN", [x, _indices(g, 3)], shape, options)
    return [g.add("SUB", [x, mean], g.shape(x), g.options("SubOptions"))]


def _halves(g: RandomBuilder, x: int) -> list[int]:
    """The first half of the channels, by its odd columns: x[:, 2:-1, 1::2, :8]."""
    _, height, width, _ = g.shape(x)
    bounds = [_indices(g, 0, 2, 1, 0), _indices(g, 0, height - 1, 0, 8), _indices(g, 1, 1, 2, 1)]
    options = g.options("StridedSliceOptions", beginMask=0b1001, endMask=0b0101)
    return [g.add("STRIDED_SLICE", [x, *bounds], (1, height - 3, width // 2, 8), options)]


def _slice(g: RandomBuilder, x: int) -> list[int]:
    _, height, width, _ = g.shape(x)
    bounds = [_indices(g, 0, 1, 2, 3), _indices(g, -1, height - 2, -1, 5)]
    options = g.options("SliceOptions")
    return [g.add("SLICE", [x, *bounds], (1, height - 2, width - 2, 5), options)]


def _woven(g: RandomBuilder, x: int) -> list[int]:
    """What depth-to-space is in int16: a reshaping, a transposition, a reshaping."""
    _, height, width, _ = g.shape(x)
    shapes = ((height, width, 2, 8), (height, 2, width, 8), (1, 2 * height, width, 8))
    blocks = g.add("RESHAPE", [x, _indices(g, *shapes[0])], shapes[0], g.options("ReshapeOptions"))
    order = _indices(g, 0, 2, 1, 3)
    woven = g.add("TRANSPOSE", [blocks, order], shapes[1], g.options("TransposeOptions"))
    return [
        g.add("RESHAPE", [woven, _indices(g, *shapes[2])], shapes[2], g.options("ReshapeOptions"))
    ]


def _padded(g: RandomBuilder, x: int) -> list[int]:
    _, height, width, channels = g.shape(x)
    around = g.constant(np.array([[0, 0], [1, 2], [0, 3], [0, 0]], np.int32))
    return [
        g.add("PAD", [x, around], (1, height + 3, width + 3, channels), g.options("PadOptions"))
    ]


def _times_channels(g: RandomBuilder, x: int) -> list[int]:
    channels = g.shape(x)[3]
    return [g.add("MUL", [x, g.weights((channels,))], g.shape(x), g.options("MulOptions"))]


def _twice_out(g: RandomBuilder, x: int) -> list[int]:
    """A tensor that is an output and is read on."""
    return [g.add("RELU", [x], g.shape(x)), x]


MORE = (
    _leaky, _mean, _mean_of_channels, _halves, _slice, _woven, _padded, _times_channels, _twice_out,
)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("build", MORE, ids=lambda build: build.__name__)
def test_operations_behind_a_convolution(tmp_path: Path, build: Any, dtype: str) -> None:
    graph = RandomBuilder(dtype, (1, 12, 16, 16))
    outputs = build(graph, OPERATIONS["CONV_2D"](graph, graph.input))
    assert_same(graph.write(outputs, tmp_path / "m.tflite").read_bytes(), 2)
