"""Constant tensors, against LiteRT's own reading of the same file."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from nas.networks.candidate import Precision
from nas.tflite.constants import constants
from nas.tflite.file import parse_tflite
from tests.helpers.artifacts import artifact, network


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
def test_values_are_those_that_litert_reads(precision: Precision) -> None:
    content = artifact(network("resize-bilinear", "relu"), precision)
    values = constants(content)
    interpreter = Interpreter(model_content=content)
    weights = [
        tensor
        for operation in parse_tflite(content, "a.tflite").operations
        for tensor in operation.inputs
        if tensor.constant
    ]
    assert weights
    for tensor in weights:
        assert values[tensor.index].dtype == tensor.dtype
        np.testing.assert_array_equal(values[tensor.index], interpreter.get_tensor(tensor.index))
