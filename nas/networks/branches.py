"""Convolutions that are trained as a sum of branches: the layer, and the convolution that ships.

Sums and successions of linear convolutions are one convolution. So the training computes the single
kernel from its branches at every step, and then convolves once: it learns what the branches would,
for little more than the time of a plain convolution. Imports TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from nas.networks.graph import BranchedConv, Graph
from nas.networks.keras import keras

WIDENING = 2
"""The channels between the two convolutions of the widest branch, over those of the output."""
_BRANCHES = 3


@keras.utils.register_keras_serializable(package="portable_nas")
class BranchedConvLayer(keras.layers.Layer):  # type: ignore[misc]
    """k x k, plus 1x1, plus 1x1 to twice the channels and then k x k, plus a bias.

    SAME padding is the same for all of them, since none of the branches has a bias of its own. Each
    starts by the initializer, divided by the square root of their number.
    """

    def __init__(
        self, channels: int, side: int, activation: Any, initializer: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.side = channels, side
        self.activation = keras.activations.get(activation)
        self.initializer = keras.initializers.get(initializer)

    def build(self, shape: Any) -> None:
        """Make the kernels of the branches, and the bias."""
        cin, cout, side = int(shape[-1]), self.channels, self.side
        wide = WIDENING * cout
        self.kernel = self._kernel("kernel", (side, side, cin, cout))
        self.point = self._kernel("point", (1, 1, cin, cout))
        self.expand = self._kernel("expand", (1, 1, cin, wide))
        self.squeeze = self._kernel("squeeze", (side, side, wide, cout))
        self.bias = self.add_weight("bias", (cout,), initializer="zeros")
        for kernel in (self.kernel, self.point, self.squeeze):
            kernel.assign(kernel / np.sqrt(_BRANCHES))
        super().build(shape)

    def _kernel(self, name: str, shape: tuple[int, ...]) -> Any:
        kind, config = type(self.initializer), self.initializer.get_config()
        if config.get("seed") is not None:  # another one for each branch
            config["seed"] += 1_000_000_007 * len(self.weights)
        return self.add_weight(name, shape, initializer=kind.from_config(config))

    def merged(self) -> Any:
        """Return the single kernel (k, k, cin, cout) that all branches together amount to."""
        off = self.side // 2
        point = tf.pad(self.point, [(off, off), (off, off), (0, 0), (0, 0)])
        return self.kernel + point + tf.einsum("cm,hwmo->hwco", self.expand[0, 0], self.squeeze)

    def call(self, inputs: Any) -> Any:
        """(batch, h, w, cin) -> (batch, h, w, channels)."""
        return self.activation(tf.nn.conv2d(inputs, self.merged(), 1, "SAME") + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, from which Keras makes it again."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "side": self.side,
            "activation": keras.activations.serialize(self.activation),
            "initializer": keras.initializers.serialize(self.initializer),
        }


def shipped(graph: Graph) -> Graph:
    """Return the graph in which branches are the convolutions that they ship as."""
    layers = (layer.shipped if isinstance(layer, BranchedConv) else layer for layer in graph.layers)
    return Graph(tuple(layers))


def shipped_weights(model: keras.Model) -> dict[str, list[Any]]:
    """Return the weights by layer of the network that a trained model ships as."""
    weights: dict[str, list[Any]] = {}
    for layer in model.layers:
        if isinstance(layer, BranchedConvLayer):
            weights[layer.name] = [layer.merged().numpy(), layer.bias.numpy()]
        elif layer.weights:
            weights[layer.name] = layer.get_weights()
    return weights
