"""Builds Keras models from graphs. Only training and conversion import this, as it needs
TensorFlow.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nas.networks.branches import BranchedConvLayer
from nas.networks.folding import folded, folded_weights
from nas.networks.graph import (
    Add,
    AveragePool,
    BatchNorm,
    BranchedConv,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    Graph,
    Input,
    Layer,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    ResizeBilinear,
    ResizeNearest,
    Scale,
    SpaceToDepth,
    Subtract,
    Tanh,
    TransposeConv,
    Weights,
    ZeroPad,
)
from nas.networks.keras import keras

NORM_MOMENTUM, NORM_EPSILON = 0.9, 1e-3  # 0.99 would not have settled after a short training


@keras.utils.register_keras_serializable(package="portable_nas")
class DepthToSpaceLayer(keras.layers.Layer):  # type: ignore[misc]
    """`tf.nn.depth_to_space` as a layer, because raw operations can't be annotated for QAT."""

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """(batch, h, w, factor^2 * c) -> (batch, factor * h, factor * w, c)."""
        return tf.nn.depth_to_space(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, from which Keras makes it again."""
        return {**super().get_config(), "factor": self.factor}


@keras.utils.register_keras_serializable(package="portable_nas")
class SpaceToDepthLayer(DepthToSpaceLayer):
    """`tf.nn.space_to_depth` as a layer, for the same reason as `DepthToSpaceLayer`."""

    def call(self, inputs: Any) -> Any:
        """(batch, factor * h, factor * w, c) -> (batch, h, w, factor^2 * c)."""
        return tf.nn.space_to_depth(inputs, self.factor)


@keras.utils.register_keras_serializable(package="portable_nas")
class ScaleLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that multiplies every element by a constant."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """Return the input times the factor, in the input's shape."""
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, from which Keras makes it again."""
        return {**super().get_config(), "factor": self.factor}


@keras.utils.register_keras_serializable(package="portable_nas")
class ResizeBilinearLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that resizes bilinearly, with half-pixel centres."""

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
        """Return the layer's arguments, from which Keras makes it again."""
        return {**super().get_config(), "factor": self.factor}


class _LikeLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose output has the height and width of its second input over
    `divisor`, rounded up.
    """

    def __init__(self, divisor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.divisor = divisor

    def get_config(self) -> dict[str, Any]:
        """Return the layer's arguments, from which Keras makes it again."""
        return {**super().get_config(), "divisor": self.divisor}

    def size(self, like: Any) -> Any:
        """Return the two sides as numbers where they are static, else as a tensor of two."""
        sides = like.shape[1:3]
        if None in tuple(sides):
            return -(-tf.shape(like)[1:3] // self.divisor)
        return [-(-int(side) // self.divisor) for side in sides]


@keras.utils.register_keras_serializable(package="portable_nas")
class ResizeNearestLayer(_LikeLayer):
    """A layer that resizes its first input to the nearest pixel, with half-pixel centres."""

    def call(self, inputs: Any) -> Any:
        """[(batch, h, w, c), (batch, H, W, any)] -> (batch, H / divisor, W / divisor, c)."""
        return tf.image.resize(inputs[0], self.size(inputs[1]), method="nearest")


@keras.utils.register_keras_serializable(package="portable_nas")
class ZeroPadLayer(_LikeLayer):
    """A layer that puts zeros around its first input."""

    def call(self, inputs: Any) -> Any:
        """[(batch, h, w, c), (batch, H, W, any)] -> (batch, H / divisor, W / divisor, c)."""
        source, like = inputs
        sizes, sides = self.size(like), source.shape[1:3]
        if isinstance(sizes, list) and None not in tuple(sides):
            missing = [size - side for size, side in zip(sizes, sides, strict=True)]
            if missing == [0, 0]:
                return source
        else:
            missing = tf.unstack(sizes - tf.shape(source)[1:3])
        around = [(total // 2, total - total // 2) for total in missing]
        return tf.pad(source, [(0, 0), *around, (0, 0)])


def build_model(graph: Graph, seed: int = 0) -> keras.Model:
    """Return a Keras model of `graph` for pictures of any size, float32, values from 0 to 1.

    Convolutions start by Glorot's uniform rule, biases at 0, the slopes of PReLU at 0.25, batch
    normalisation at the identity. `seed` fixes all of it: the same seed gives the same weights
    whatever was built before in the process.
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


def folded_model(graph: Graph, model: keras.Model) -> keras.Model:
    """Return the model of `folding.folded(graph)` that infers what `model`, which is `graph`'s,
    does.

    The result is `model` itself where there is nothing to fold.
    """
    narrow = folded(graph)
    if narrow == graph:
        return model
    weights = {layer.name: model.get_layer(layer.name).get_weights() for layer in graph.layers}
    arrays = folded_weights(graph, weights, NORM_EPSILON)
    result = build_model(narrow)
    for name in (layer.name for layer in narrow.layers):
        result.get_layer(name).set_weights(arrays[name])
    return result


def _keras_layer(layer: Layer, initializer: Any) -> Any:
    match layer:
        case Conv():
            # ReLU is fused: as a layer of its own it would switch off the fake quantization of the
            # weights before it in quantization-aware training.
            return keras.layers.Conv2D(
                layer.channels,
                layer.window,
                strides=layer.stride,
                padding=layer.padding,
                activation=layer.activation,
                use_bias=layer.bias,
                kernel_initializer=initializer,
                name=layer.name,
            )
        case DepthwiseConv():
            return keras.layers.DepthwiseConv2D(
                layer.kernel,
                padding="same",
                activation=layer.activation,
                depthwise_initializer=initializer,
                name=layer.name,
            )
        case BranchedConv():
            return BranchedConvLayer(
                layer.channels, layer.kernel, layer.activation, initializer, name=layer.name
            )
        case TransposeConv():
            return keras.layers.Conv2DTranspose(
                layer.channels,
                layer.side,
                strides=layer.factor,
                padding=layer.padding,
                activation=layer.activation,
                kernel_initializer=initializer,
                name=layer.name,
            )
        case PReLU():
            return keras.layers.PReLU(
                alpha_initializer=keras.initializers.Constant(0.25),
                shared_axes=(1, 2),
                name=layer.name,
            )
        case BatchNorm():
            return keras.layers.BatchNormalization(
                momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=layer.name
            )
    return _plain_layer(layer)


def _plain_layer(layer: Layer) -> Any:
    """Return the Keras layer of a kind that has no weights; TypeError for any other kind."""
    name = layer.name
    match layer:
        case ReLU():
            return keras.layers.ReLU(layer.ceiling, name=name)
        case LeakyReLU():
            return keras.layers.LeakyReLU(layer.slope, name=name)
        case Tanh():
            return keras.layers.Activation("tanh", name=name)
        case Scale():
            return ScaleLayer(layer.factor, name=name)
        case MaxPool():
            return keras.layers.MaxPool2D(layer.side, layer.factor, name=name)
        case AveragePool():
            return keras.layers.AveragePooling2D(layer.kernel, 1, padding="same", name=name)
        case DepthToSpace():
            return DepthToSpaceLayer(layer.factor, name=name)
        case SpaceToDepth():
            return SpaceToDepthLayer(layer.factor, name=name)
        case ResizeBilinear():
            return ResizeBilinearLayer(layer.factor, name=name)
        case ResizeNearest():
            return ResizeNearestLayer(layer.divisor, name=name)
        case ZeroPad():
            return ZeroPadLayer(layer.divisor, name=name)
        case Concat():
            return keras.layers.Concatenate(name=name)
        case Add():
            return keras.layers.Add(name=name)
        case Subtract():
            return keras.layers.Subtract(name=name)
    raise TypeError(f"no Keras layer for {layer}")


def with_weights(graph: Graph, weights: Weights) -> keras.Model:
    """Return the network of `graph` with the given weights, which are named by layer."""
    model = build_model(graph)
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(list(arrays))
    return model
