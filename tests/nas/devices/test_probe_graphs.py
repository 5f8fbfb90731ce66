"""Probe graphs are models that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.devices.probe_graphs import NEIGHBOURS, OPERATIONS, TYPES, fits, write_probe
from nas.tflite.file import read_tflite


@pytest.mark.parametrize("dtype", TYPES)
def test_every_probe_is_a_model_that_runs(dtype: str, tmp_path: Path) -> None:
    """LiteRT itself, with and without XNNPACK's optimisations, is the judge."""
    from ai_edge_litert.interpreter import Interpreter

    for number, after in enumerate(NEIGHBOURS):
        path = tmp_path / f"{number}.tflite"
        asked = write_probe(path, dtype, after, tuple(OPERATIONS))
        operations = read_tflite(path).operations
        for question in asked:
            step = operations[question.index]
            assert step.name == question.op.removesuffix("+RELU")  # inside the operation
            assert step.outputs[0].dtype == dtype
            last = question.after.split(">")[-1]
            sources = {tensor.index for tensor in step.inputs if tensor is not None}
            before = [s for s in operations if s.outputs[0].index in sources]
            assert last in [s.name for s in before]
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.invoke()


def test_pictures_of_an_odd_side_have_their_own_operations(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    assert not fits("SPACE_TO_DEPTH", "CONV_2D", (16, 9))
    assert fits("SPACE_TO_DEPTH", "RESIZE_BILINEAR", (16, 9))
    assert not fits("SPACE_TO_DEPTH", "MAX_POOL_2D", (16, 18))
    for after in ("MAX_POOL_2D", "TRANSPOSE_CONV>CONCATENATION"):
        ops = tuple(op for op in OPERATIONS if fits(op, after, (16, 9)))
        path = tmp_path / "odd.tflite"
        write_probe(path, "int8", after, ops, (16, 9))
        assert read_tflite(path).inputs[0].shape == (1, 9, 16, 16)
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.invoke()
