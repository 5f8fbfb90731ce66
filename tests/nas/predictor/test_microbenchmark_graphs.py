"""Micro-benchmarks: every file runs, and is the operation that it stands for."""

from pathlib import Path

import numpy as np
import pytest

from nas.devices.limited_process import Limits
from nas.devices.npu.chips import ESTIMATED_AS
from nas.devices.npu.compilation import compiled
from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.predictor.microbenchmark_graphs import (
    DTYPES,
    OPERATIONS,
    write_chain,
    write_joint,
    write_micrograph,
    write_network,
)
from nas.predictor.terms import Term
from nas.tflite.constants import constants
from nas.tflite.file import read_tflite
from nas.tflite.operations import of_file, of_graph
from search_spaces import UNet
from search_spaces.unet import UPSAMPLINGS, Activation, Upsampling
from tests.helpers.artifacts import SIDE, artifact, network
from tests.helpers.npu_graphs import needs_extra

TERMS = (
    Term("CONV_2D", "float32", (16, 12), (12,), (16, 12), 8, 9),
    Term("CONV_2D", "float32", (16, 12), (12,), (8, 6), 8, 25),
    Term("DEPTHWISE_CONV_2D", "float32", (8, 6), (12,), (8, 6), 12, 9),
    Term("LEAKY_RELU", "float32", (8, 6), (4,), (8, 6), 4),
    Term("TRANSPOSE_CONV", "float32", (8, 6), (12,), (16, 12), 8, 4),
    Term("CONCATENATION", "float32", (8, 6), (12, 4), (8, 6), 16),
    Term("ADD", "float32", (8, 6), (4, 4), (8, 6), 4),
    Term("SUB", "float32", (8, 6), (4, 4), (8, 6), 4),
    Term("MUL", "float32", (8, 6), (4,), (8, 6), 4),
    Term("MAX_POOL_2D", "float32", (8, 6), (4,), (4, 3), 4),
    Term("AVERAGE_POOL_2D", "float32", (8, 6), (4,), (8, 6), 4),
    Term("RESIZE_BILINEAR", "float32", (8, 6), (4,), (16, 12), 4),
    Term("RESIZE_NEAREST_NEIGHBOR", "float32", (8, 6), (4,), (16, 12), 4),
    Term("DEPTH_TO_SPACE", "float32", (8, 6), (16,), (16, 12), 4),
    Term("SPACE_TO_DEPTH", "float32", (8, 6), (4,), (4, 3), 16),
    Term("PRELU", "float32", (8, 6), (4,), (8, 6), 4),
    Term("TANH", "float32", (8, 6), (4,), (8, 6), 4),
    Term("PAD", "float32", (8, 6), (4,), (9, 7), 4),
)


def _run(path: Path) -> tuple[int, ...]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return tuple(interpreter.get_output_details()[0]["shape"].tolist())


def test_there_is_a_file_for_every_operation_of_a_graph() -> None:
    assert {term.op for term in TERMS} == set(OPERATIONS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_file_runs_and_has_the_shape_and_the_macs(dtype: str, tmp_path: Path) -> None:
    for term in TERMS:
        if (term.op, dtype) == ("TANH", "int16"):
            continue  # its kernel takes scales that are powers of two only
        wanted = term._replace(dtype=dtype)
        path = write_micrograph(wanted, tmp_path / "one.tflite")
        assert _run(path) == (1, *term.made, term.cout), term
        file = read_tflite(path)
        assert file.conv_macs == term.macs
        assert {t.dtype for t in file.inputs} == {dtype}
        if dtype != "int16":  # which spells some in other words
            assert [operation.name for operation in file.operations] == [term.op]


def test_transposed_convolutions_are_padded_as_in_networks(tmp_path: Path) -> None:
    for area, padding in ((4, "VALID"), (16, "SAME")):
        term = Term("TRANSPOSE_CONV", "int8", (8, 6), (12,), (16, 12), 8, area)
        file = read_tflite(write_micrograph(term, tmp_path / "t.tflite"))
        assert dict(file.operations[0].options)["padding"] == padding


def test_integer_weights_differ_and_have_a_scale_a_channel_as_in_converted_files(
    tmp_path: Path,
) -> None:
    for term in (TERMS[0], Term("DEPTHWISE_CONV_2D", "int8", (8, 6), (3,), (8, 6), 3, 9)):
        path = write_micrograph(term._replace(dtype="int8"), tmp_path / "w.tflite")
        weights = read_tflite(path).operations[0].weights
        assert weights is not None
        assert weights.quantization is not None
        assert len(weights.quantization.scales) == term.cout
        assert len(np.unique(constants(path.read_bytes())[weights.index])) > 15


@pytest.mark.parametrize("precision", ["float", "int8-ptq", "int16-ptq"])
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_whole_network_has_the_operations_of_its_graph_and_runs(
    upsampling: Upsampling, precision: Precision, tmp_path: Path
) -> None:
    graph = UNet(upsampling, "prelu", (4, 8), 1, 3, True).graph()
    path = write_network(graph, (16, 8), precision, tmp_path / "n.tflite")
    assert _run(path) == (1, 8, 16, 3)
    file = read_tflite(path)
    assert of_file(file).structure == of_graph(graph, (16, 8), precision).structure
    assert file.conv_macs == graph.macs(8, 16).conv


def test_relu_is_fused_where_it_is_asked_for(tmp_path: Path) -> None:
    for relu, said in ((True, "RELU"), (False, "NONE")):
        file = read_tflite(write_micrograph(TERMS[0], tmp_path / "r.tflite", relu))
        assert dict(file.operations[0].options)["fusedActivationFunction"] == said


def test_a_joint_is_its_operations_in_a_row(tmp_path: Path) -> None:
    up = Term("DEPTH_TO_SPACE", "int8", (8, 6), (16,), (16, 12), 4)
    concat = Term("CONCATENATION", "int8", (16, 12), (4, 8), (16, 12), 12, 1, "DEPTH_TO_SPACE")
    conv = Term("CONV_2D", "int8", (16, 12), (12,), (16, 12), 8, 9, "DEPTH_TO_SPACE")
    path = write_joint((up, concat, conv), tmp_path / "j.tflite")
    assert _run(path) == (1, 16, 12, 8)
    file = read_tflite(path)
    assert [operation.name for operation in file.operations] == [up.op, concat.op, conv.op]
    assert _run(write_joint((up, concat), tmp_path / "k.tflite")) == (1, 16, 12, 12)


def test_a_chain_has_so_many_operations(tmp_path: Path) -> None:
    term = Term("CONV_2D", "int8", (8, 8), (16,), (8, 8), 16, 1)
    assert len(read_tflite(write_chain(term, tmp_path / "c.tflite", 5)).operations) == 5


def test_what_has_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no micro-benchmark is known for SOFTMAX in float32"):
        write_micrograph(TERMS[0]._replace(op="SOFTMAX"), tmp_path / "x.tflite")


@needs_extra
@pytest.mark.parametrize(
    ("upsampling", "activation", "precision"),
    [("transpose-conv", "relu", "int8-ptq"), ("resize-bilinear", "prelu", "float")],
)
def test_an_npus_simulator_can_not_tell_a_written_network_from_a_converted_one(
    upsampling: Upsampling,
    activation: Activation,
    precision: Precision,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "locks"))
    architecture = network(upsampling, activation)
    written = write_network(architecture.graph(), (SIDE, SIDE), precision, tmp_path / "w.tflite")
    converted = tmp_path / "c.tflite"
    converted.write_bytes(artifact(architecture, precision))
    cycles = []
    for file in (written, converted):
        estimate = compiled(file, ESTIMATED_AS, "test", Limits(60)).estimate
        assert estimate is not None
        cycles.append(estimate.cycles)
    assert cycles[0] == pytest.approx(cycles[1], rel=0.01)
