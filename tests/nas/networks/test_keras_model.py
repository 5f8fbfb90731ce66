import pytest

from search_spaces import ARCHITECTURES, FPN, UNet
from tests.helpers.artifacts import FIVE

NETWORKS = {name: value for name, value in ARCHITECTURES.items() if name != "fpn"}
NETWORKS["fpn of few blocks"] = FPN(blocks35=1, blocks17=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_keras_model(name: str) -> None:
    import math

    from nas.networks.keras_model import build_model

    graph = NETWORKS[name].graph()
    trained = build_model(graph).trainable_weights
    assert sum(math.prod(weights.shape) for weights in trained) == graph.parameters()


def test_shapes_are_those_of_the_keras_model() -> None:
    import numpy as np

    from nas.networks.keras_model import build_model

    for upsampling in ("transpose-conv", "depth-to-space", "resize-bilinear"):
        network = UNet(upsampling, "prelu", (8, 12, 16), 2, 5, True)
        model = build_model(network.graph())
        model(np.zeros((1, 24, 32, 3), np.float32))
        for row in network.graph().costs(24, 32)[1:]:
            output = model.get_layer(row.layer.name).output
            assert output.shape[-1] == row.shape[2]
        assert model(np.zeros((1, 24, 32, 3), np.float32)).shape == (1, 24, 32, 3)


@pytest.mark.parametrize("name", FIVE)
def test_every_layers_shape_is_that_of_the_keras_layer(name: str) -> None:
    import tensorflow as tf
    import tf_keras as keras

    from nas.networks.keras_model import build_model

    graph = FIVE[name].graph()
    height, width = graph.fits(44), graph.fits(93)
    model = build_model(graph)
    rows = graph.costs(height, width)[1:]
    every = keras.Model(model.input, [model.get_layer(row.layer.name).output for row in rows])
    outputs = every(tf.zeros((1, height, width, 3)))
    for row, output in zip(rows, outputs, strict=True):
        assert output.shape == (1, *row.shape)
