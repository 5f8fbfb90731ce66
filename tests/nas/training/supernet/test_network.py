"""The oracle is Keras: a candidate built as a network of its own, with the weights of its slice."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas.networks.keras_model import build_model, with_weights
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.first_weights import first_weights
from nas.training.supernet.network import ElasticUNet
from search_spaces import UNet, UNetSpace

SPACE = UNetSpace(levels=(2, 3), widths=(4, 8, 12), convolutions=(1, 2), first_kernel=(3, 5))
ELASTIC = Elastic.of(SPACE.to_dict())
PICTURE = np.random.default_rng(7).random((2, 16, 24, 3), np.float32)


@pytest.fixture(scope="module")
def network() -> ElasticUNet:
    """One that is well away from its first weights."""
    rng = np.random.default_rng(1)
    weights = first_weights(ELASTIC, 0)
    return ElasticUNet(
        ELASTIC,
        {n: w + rng.normal(0, 0.1, w.shape).astype(np.float32) for n, w in weights.items()},
    )


@pytest.fixture(scope="module")
def compute(network: ElasticUNet) -> Any:
    """The traced function, which counts how often it was traced."""
    traces: list[int] = []

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((9,), tf.int32), tf.TensorSpec((2, 16, 24, 3), tf.float32)],
    )
    def restored(choice: Any, pictures: Any) -> Any:
        traces.append(1)
        return network(choice, pictures)

    restored.traces = traces
    return restored


CANDIDATES = [
    UNet("transpose-conv", "relu", (8, 4, 12), 2, 3, True),
    UNet("transpose-conv", "prelu", (4, 12), 1, 5, False),
    UNet("depth-to-space", "prelu", (12, 8, 8), 2, 5, False),
    UNet("depth-to-space", "relu", (8, 12, 4), 1, 3, True),
    UNet("resize-bilinear", "relu", (12, 12, 12), 2, 5, True),
    UNet("resize-bilinear", "prelu", (4, 4), 2, 3, True),
]


@pytest.mark.parametrize("unet", CANDIDATES, ids=lambda unet: unet.label)
def test_a_slice_computes_as_the_network_alone(
    unet: UNet, network: ElasticUNet, compute: Any
) -> None:
    row = ELASTIC.encode(unet.to_dict())
    alone = with_weights(unet.graph(), network.sliced(row))
    assert np.abs(alone(PICTURE).numpy() - PICTURE).max() > 0.1
    np.testing.assert_allclose(compute(row, PICTURE), alone(PICTURE), atol=2e-5)
    assert len(compute.traces) == 1


def test_a_slice_has_the_weights_of_the_network_alone_no_more(network: ElasticUNet) -> None:
    unet = CANDIDATES[2]
    built = build_model(unet.graph())
    sliced = network.sliced(ELASTIC.encode(unet.to_dict()))
    shapes = {layer.name: [w.shape for w in layer.get_weights()] for layer in built.layers}
    assert {name: [w.shape for w in arrays] for name, arrays in sliced.items()} == {
        name: found for name, found in shapes.items() if found
    }


def test_first_slices_are_near_the_identity() -> None:
    network = ElasticUNet(ELASTIC, first_weights(ELASTIC, 3))
    for unet in CANDIDATES:
        sliced = network.sliced(ELASTIC.encode(unet.to_dict()))
        output = with_weights(unet.graph(), sliced)(PICTURE).numpy()
        assert np.abs(output - PICTURE).mean() < 0.06


def test_first_kernels_are_drawn_by_glorots_rule_at_the_full_width() -> None:
    largest = UNet("resize-bilinear", "relu", (12, 12, 12), 2, 5, True)
    network = ElasticUNet(ELASTIC, first_weights(ELASTIC, 3))
    sliced = network.sliced(ELASTIC.encode(largest.to_dict()))
    built = build_model(largest.graph(), seed=5)
    for name in ("down1_conv1", "down2_conv2", "up1_conv1"):
        ratio = sliced[name][0].std() / built.get_layer(name).kernel.numpy().std()
        assert ratio == pytest.approx(1, abs=0.1)


def test_what_a_small_candidate_leaves_alone_gets_no_gradient(network: ElasticUNet) -> None:
    row = ELASTIC.encode(UNet("resize-bilinear", "relu", (4, 8), 1, 3, True).to_dict())
    variables = network.variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(network(tf.constant(row), PICTURE)))
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    inner = tf.convert_to_tensor(gradients["down1_conv1"]).numpy()
    assert (inner[:, :, :4, :8] != 0).mean() > 0.8  # all but those of dead filters
    assert not inner[:, :, 4:].any()
    assert not inner[..., 8:].any()
    assert not tf.convert_to_tensor(gradients["down2_conv1"]).numpy().any()
    assert not tf.convert_to_tensor(gradients["up0_conv1/depth-to-space"]).numpy().any()
    first = tf.convert_to_tensor(gradients["down0_conv1"]).numpy()
    assert first[1:4, 1:4, :, :4].any()
    assert not first[0].any()
