"""Keras models from graphs. Imports TensorFlow: only training and conversion may import this."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from nas.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Input,
    Layer,
    MaxPool,
    PReLU,
    ResizeBilinear,
    TransposeConv,
)


@keras.utils.register_keras_serializable(package="portable_nas")
class DepthToSpaceLayer(keras.layers.Layer):  # type: ignore[misc]
    """`tf.nn.depth_to_space`, as a layer: raw TensorFlow operations can't be annotated for QAT."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """(batch, h, w, factor^2 * c) -> (batch, factor * h, factor * w, c)."""
        return tf.nn.depth_to_space(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {**super().get_config(), "factor": self.factor}


@keras.utils.register_keras_serializable(package="portable_nas")
class ResizeBilinearLayer(keras.layers.Layer):  # type: ignore[misc]
    """Bilinear resizing with half-pixel centres, as a layer."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """(batch, h, w, c) -> (batch, factor * h, factor * w, c)."""
        height, width = inputs.shape[1], inputs.shape[2]
        if height is None or width is None:  # static where it can be: no SHAPE operations then
            size = tf.shape(inputs)[1:3] * self.factor
        else:
            size = (height * self.factor, width * self.factor)
        return tf.image.resize(inputs, size, method="bilinear")

    def get_config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return {**super().get_config(), "factor": self.factor}


def build_model(graph: Graph, seed: int = 0) -> keras.Model:
    """A Keras model of `graph` for pictures of any size, float32, values from 0 to 1.

    Convolutions start by Glorot's uniform rule, biases at 0, the slopes of PReLU at 0.25. `seed`
    fixes all of it: the same seed gives the same weights whatever was built before in the process.
    """
    tensors: dict[str, Any] = {}
    inputs: list[Any] = []
    for index, layer in enumerate(graph.layers):
        if isinstance(layer, Input):
            tensors[layer.name] = keras.Input((None, None, layer.channels), name=layer.name)
            inputs.append(tensors[layer.name])
            continue
        sources = [tensors[name] for name in layer.inputs]
        initializer = keras.initializers.GlorotUniform(seed=seed * 100_003 + index)
        keras_layer = _keras_layer(layer, initializer)
        tensors[layer.name] = keras_layer(sources if len(sources) > 1 else sources[0])
    return keras.Model(inputs, tensors[graph.layers[-1].name])


def _keras_layer(layer: Layer, initializer: Any) -> Any:
    match layer:
        case Conv():
            # ReLU is fused: as a layer of its own it would switch off the fake quantization of the
            # weights before it in quantization-aware training.
            return keras.layers.Conv2D(
                layer.channels,
                layer.kernel,
                padding="same",
                activation=layer.activation,
                kernel_initializer=initializer,
                name=layer.name,
            )
        case TransposeConv():
            return keras.layers.Conv2DTranspose(
                layer.channels,
                layer.factor,
                strides=layer.factor,
                padding="same",
                kernel_initializer=initializer,
                name=layer.name,
            )
        case PReLU():
            return keras.layers.PReLU(
                alpha_initializer=keras.initializers.Constant(0.25),
                shared_axes=(1, 2),
                name=layer.name,
            )
        case MaxPool():
            return keras.layers.MaxPool2D(layer.factor, name=layer.name)
        case DepthToSpace():
            return DepthToSpaceLayer(layer.factor, name=layer.name)
        case ResizeBilinear():
            return ResizeBilinearLayer(layer.factor, name=layer.name)
        case Concat():
            return keras.layers.Concatenate(name=layer.name)
        case Add():
            return keras.layers.Add(name=layer.name)
    raise TypeError(f"no Keras layer for {layer}")
