"""U-Nets off the paper's axes, at each precision: their files, through the gate."""

from collections import Counter

import pytest

from nas.compression.verify import verify
from nas.networks.candidate import PRECISIONS
from nas.tflite.file import parse_tflite
from nas.tflite.operations import of_file, of_graph
from tests.helpers.artifacts import SIDE, artifact, model_of, picture
from tests.helpers.axes import MIXED

EVERY = [(name, precision) for name in MIXED for precision in PRECISIONS]


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_every_file_passes_the_gate_with_the_operations_of_its_graph(name, precision):
    network = MIXED[name]
    content, graph = artifact(network, precision), network.graph()
    found = verify(
        content, graph, model_of(network, precision), precision, picture(seed=7), minimum_db=0
    )
    assert found.conv_macs == graph.macs(SIDE, SIDE).conv
    assert found.agreement_db > {"float": 110, "int16-ptq": 45}.get(precision, 32)
    expected = of_graph(graph, (SIDE, SIDE), precision)
    listed = of_file(parse_tflite(content, "x"))
    assert listed.structure == expected.structure
    of = [Counter((s.op, s.dtype, s.shape) for s in steps.steps) for steps in (listed, expected)]
    assert of[0] == of[1]


LISTS = {
    "add-shuffle-strided": "CONV_2D PRELU ADD DEPTH_TO_SPACE",
    "add-transpose-s2d": "CONV_2D LEAKY_RELU ADD TRANSPOSE_CONV SPACE_TO_DEPTH",
    "stem2-residual": "CONV_2D ADD CONCATENATION RESIZE_BILINEAR MAX_POOL_2D "
    "SPACE_TO_DEPTH DEPTH_TO_SPACE",
    "stem4-separable": "CONV_2D DEPTHWISE_CONV_2D ADD RESIZE_BILINEAR MAX_POOL_2D "
    "SPACE_TO_DEPTH DEPTH_TO_SPACE",
    "inverted": "CONV_2D DEPTHWISE_CONV_2D ADD CONCATENATION RESIZE_BILINEAR MAX_POOL_2D",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_float_file_has_no_other_kinds_of_operations(name):
    file = parse_tflite(artifact(MIXED[name], "float"), "x")
    assert set(file.operation_counts) == set(LISTS[name].split())
