"""A ReLU out of a transposed convolution, and a signature: LiteRT runs both forms alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from nas.devices.graph_builder import GraphBuilder
from nas.tflite.editing import packed
from nas.tflite.relu_apart import SIGNATURE, with_relu_apart, with_signature

RELU, RELU6 = 1, 3


def transposed(path: Path, dtype: str, fused: int) -> bytes:
    """A transposed convolution with a bias, and a function fused into it, as of the converter."""
    graph = GraphBuilder(dtype, (1, 8, 6, 4))
    shape = (1, 16, 12, 5)
    options = graph.options(
        "TransposeConvOptions", strideH=2, strideW=2, fusedActivationFunction=fused
    )
    values = np.random.default_rng(0).normal(0, 1, (5, 2, 2, 4))
    if dtype == "float32":
        weights = graph.constant(values.astype(np.float32))
    else:
        weights = graph.constant(np.clip(values * 40, -127, 127).astype(np.int8), 0.02)
    size = graph.constant(np.array(shape, np.int32))
    inputs = [size, weights, graph.input, graph.bias(5)]
    output = graph.add("TRANSPOSE_CONV", inputs, shape, options)
    graph.write([output], path)
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    model.operatorCodes[0].version = 4
    return packed(model)


def ran(content: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    random = np.random.default_rng(1)
    values = random.normal(0, 1, detail["shape"]).astype(np.float32)
    if detail["dtype"] == np.int8:
        values = random.integers(-128, 128, detail["shape"]).astype(np.int8)
    interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    result: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result


def codes(content: bytes) -> dict[str, int]:
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return {names[code.builtinCode]: code.version for code in model.operatorCodes}


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize(("fused", "name"), [(RELU, "RELU"), (RELU6, "RELU6")])
def test_both_forms_compute_the_same(tmp_path: Path, dtype: str, fused: int, name: str) -> None:
    content = transposed(tmp_path / "m.tflite", dtype, fused)
    assert codes(content) == {"TRANSPOSE_CONV": 4}
    apart = with_relu_apart(content)
    assert codes(apart) == {"TRANSPOSE_CONV": 3, name: 2 if dtype == "int8" else 1}
    expected = ran(content)
    assert len(np.unique(expected)) > 10
    np.testing.assert_array_equal(ran(apart), expected)
    assert with_relu_apart(apart) == apart


def test_a_file_without_one_stays_as_it_is(tmp_path: Path) -> None:
    content = transposed(tmp_path / "m.tflite", "float32", 0)
    assert with_relu_apart(content) is content


def test_a_signature_that_litert_runs(tmp_path: Path) -> None:
    content = transposed(tmp_path / "m.tflite", "float32", RELU)
    signed = with_signature(content)
    interpreter = Interpreter(model_content=signed)
    assert interpreter.get_signature_list() == {
        SIGNATURE: {"inputs": ["input"], "outputs": ["output"]}
    }
    run = interpreter.get_signature_runner(SIGNATURE)
    values = np.random.default_rng(1).normal(0, 1, (1, 8, 6, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(input=values)["output"], ran(content))
    assert with_signature(signed) is signed


def test_the_signature_survives_taking_a_relu_out(tmp_path: Path) -> None:
    apart = with_relu_apart(with_signature(transposed(tmp_path / "m.tflite", "float32", RELU)))
    interpreter = Interpreter(model_content=apart)
    assert list(interpreter.get_signature_list()) == [SIGNATURE]


def test_weights_stand_where_the_format_wants_them(tmp_path: Path) -> None:
    content = with_signature(transposed(tmp_path / "m.tflite", "float32", RELU))
    weights = np.random.default_rng(0).normal(0, 1, (5, 2, 2, 4)).astype(np.float32).tobytes()
    assert content.index(weights) % 16 == 0
