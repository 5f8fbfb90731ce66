"""Graphs that are built operation by operation run, and compute what their constants say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.devices.graph_builder import GraphBuilder
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Artifact


def test_a_convolution_sums_up_its_constant_weights(tmp_path: Path) -> None:
    graph = GraphBuilder("float32", (1, 4, 6, 3))
    kernel = graph.weights((3, 1, 1, 3))
    options = graph.options("Conv2DOptions")
    output = graph.add("CONV_2D", [graph.input, kernel, graph.bias(3)], (1, 4, 6, 3), options)
    assert (graph.count, graph.shape(output)) == (1, (1, 4, 6, 3))
    path = graph.write([output], tmp_path / "conv.tflite")
    found = Artifact(path).run(np.full((4, 6, 3), 0.5, np.float32))
    np.testing.assert_allclose(found, np.full((4, 6, 3), 3 * 0.5 * 0.02), rtol=1e-6)


def test_one_operation_code_serves_all_operations_of_a_kind(tmp_path: Path) -> None:
    graph = GraphBuilder("int8", (1, 4, 4, 2))
    tensor = graph.input
    for op in ("RELU", "RELU", "LOGISTIC"):
        tensor = graph.add(op, [tensor], (1, 4, 4, 2))
    file = read_tflite(graph.write([tensor], tmp_path / "relu.tflite"))
    assert [step.name for step in file.operations] == ["RELU", "RELU", "LOGISTIC"]
    assert file.inputs[0].dtype == "int8"
