"""Branches: the single convolution that ships computes what the branches do."""

import numpy as np
import tensorflow as tf

from nas.networks.branches import shipped, shipped_weights
from nas.networks.graph import BranchedConv, Conv, Graph, Input
from nas.networks.keras_model import build_model, with_weights

WIDE = Graph(
    (
        Input("input"),
        BranchedConv("one", ("input",), 6, 5, "relu"),
        BranchedConv("two", ("one",), 4, activation="relu6"),
        Conv("output", ("two",), 3),
    )
)


def by_branches(layer, x):
    """The sum of the branches, each computed on its own."""
    point = tf.nn.conv2d(x, layer.point, 1, "SAME")
    wide = tf.nn.conv2d(tf.nn.conv2d(x, layer.expand, 1, "SAME"), layer.squeeze, 1, "SAME")
    return tf.nn.conv2d(x, layer.kernel, 1, "SAME") + point + wide + layer.bias


def model():
    model = build_model(WIDE, seed=3)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


def test_one_kernel_is_the_sum_of_the_branches_up_to_the_border():
    layer = model().get_layer("one")
    x = np.random.default_rng(1).random((2, 7, 6, 3), np.float32)
    expected = tf.nn.relu(by_branches(layer, x)).numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=1e-5)


def test_what_ships_computes_the_same():
    wide, narrow = model(), shipped(WIDE)
    assert [type(layer).__name__ for layer in narrow.layers] == ["Input", "Conv", "Conv", "Conv"]
    ships = with_weights(narrow, shipped_weights(wide))
    x = np.random.default_rng(1).random((1, 9, 8, 3), np.float32)
    np.testing.assert_allclose(ships(x).numpy(), wide(x).numpy(), rtol=1e-5, atol=1e-4)
    trained = sum(int(np.prod(v.shape)) for v in wide.trainable_variables)
    assert trained == WIDE.parameters() > narrow.parameters()


def test_branches_start_unlike_each_other_and_the_same_for_a_seed():
    one, again, other = (build_model(WIDE, seed).get_layer("one") for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.merged().numpy(), again.merged().numpy())
    assert not np.array_equal(one.merged().numpy(), other.merged().numpy())
    middle = one.kernel.numpy()[2, 2].ravel()
    assert abs(np.corrcoef(middle, one.point.numpy().ravel())[0, 1]) < 0.9


def test_a_graph_without_branches_is_what_ships():
    narrow = shipped(WIDE)
    assert shipped(narrow) == narrow
