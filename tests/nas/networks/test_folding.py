from functools import cache

import numpy as np
import pytest

from nas.networks.folding import folded
from nas.networks.graph import BatchNorm, Conv, Graph, Input, ReLU, Scale
from nas.networks.keras_model import build_model, folded_model
from tests.helpers.artifacts import FIVE, picture


@cache
def float_model(name):
    """With biases, and with statistics in its normalisations that are not the identity's."""
    model = build_model(FIVE[name].graph())
    rng = np.random.default_rng(0)
    for variable in model.variables:
        kind = variable.name.split("/")[-1]
        if kind in ("bias:0", "beta:0", "moving_mean:0"):
            variable.assign(rng.uniform(0.01, 0.1, variable.shape))
        elif kind in ("gamma:0", "moving_variance:0"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def test_folding_changes_no_value():
    graph, model = FIVE["fpn"].graph(), float_model("fpn")
    narrow = folded_model(graph, model)
    sample = picture(80, 92, seed=5)[None]
    np.testing.assert_allclose(narrow(sample).numpy(), model(sample).numpy(), atol=1e-5)
    kinds = {type(layer).__name__ for layer in folded(graph).layers}
    assert not kinds & {"BatchNorm", "Scale"}
    left = [layer.inputs[0] for layer in folded(graph).layers if isinstance(layer, ReLU)]
    assert left == ["block35_1_add", "block17_1_add"]
    assert folded_model(FIVE["edsr"].graph(), float_model("edsr")) is float_model("edsr")


def test_only_a_convolution_that_nobody_else_reads_takes_in_what_follows():
    graph = Graph(
        (
            Input("input"),
            Conv("a", ("input",), 4, bias=False),
            BatchNorm("a_norm", ("a",)),
            Scale("b", ("a_norm",), 0.5),
            ReLU("c", ("a_norm",)),
            Conv("d", ("c",), 4, activation="relu"),
            Scale("e", ("d",), 0.5),
            Conv("output", ("e",), 3),
        )
    )
    assert [layer.name for layer in folded(graph).layers] == [
        "input", "a", "b", "c", "d", "e", "output",
    ]  # fmt: skip
    assert folded(graph).layers[1] == Conv("a", ("input",), 4)
    assert folded(graph).layers[2].inputs == ("a",)


def test_the_papers_count_of_folded_normalisations():
    from search_spaces import FPN

    whole = FPN().graph()
    scales = [row for row in whole.costs(720, 1280) if isinstance(row.layer, Scale)]
    counted = folded(whole).macs(720, 1280).profiler + sum(row.macs.profiler for row in scales)
    assert counted / 1e9 == pytest.approx(250.53, abs=0.005)
