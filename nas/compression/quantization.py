"""Puts Keras models into the form that integers need: fake-quantized (QAT), or rewritten for int16.

Quantization-aware training is tensorflow-model-optimization's, with five precautions without which
it runs, its loss falls, and the file is wrong. Imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot

from nas.networks.keras import keras
from nas.networks.keras_model import (
    DepthToSpaceLayer,
    ResizeBilinearLayer,
    ResizeNearestLayer,
    SpaceToDepthLayer,
    ZeroPadLayer,
)
from nas.system.native_logs import quiet_native_logs
from nas.tflite.interpreter import Float32

_qat = tfmot.quantization.keras


class _OutputOnly(_qat.QuantizeConfig):  # type: ignore[misc, name-defined]
    """Precaution 1: the slopes of a PReLU are left to the converter, which makes them int8.

    With fake quantization on them the converter makes the whole operation float32.
    """

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [
            _qat.quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=False, narrow_range=False
            )
        ]

    def get_config(self) -> dict[str, Any]:
        return {}


class _Nothing(_OutputOnly):
    """Precaution 5: moving values about needs no range, as the integers are the input's.

    The library knows no layers of our own and would refuse them.
    """

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return []


# Only these: convolutions have their ReLU inside (precaution 2, see `nas.networks.keras_model`).
# After a ReLU layer of its own the library would switch off the quantization of the convolution's
# weights.
_CONFIGS: dict[type, type] = {
    keras.layers.PReLU: _OutputOnly,
    keras.layers.LeakyReLU: _OutputOnly,
    keras.layers.Subtract: _OutputOnly,
    DepthToSpaceLayer: _Nothing,
    SpaceToDepthLayer: _Nothing,
    ResizeBilinearLayer: _Nothing,
    ResizeNearestLayer: _Nothing,
    ZeroPadLayer: _Nothing,
}
_OBJECTS: dict[str, type] = {
    "_OutputOnly": _OutputOnly,
    "_Nothing": _Nothing,
    "DepthToSpaceLayer": DepthToSpaceLayer,
    "SpaceToDepthLayer": SpaceToDepthLayer,
    "ResizeBilinearLayer": ResizeBilinearLayer,
    "ResizeNearestLayer": ResizeNearestLayer,
    "ZeroPadLayer": ZeroPadLayer,
}


def fake_quantized(model: keras.Model, frames: Sequence[Float32]) -> keras.Model:
    """Return a model of the same weights that computes as int8 will, to be trained further.

    `frames`, each (1, height, width, 3) with values from 0 to 1, set the ranges of the activations.
    Raises TypeError where fake quantization does not know a layer.
    """
    with quiet_native_logs(), _qat.quantize_scope(_OBJECTS):
        keras.backend.reset_uids()  # else names of the library's layers count up, in files, too
        annotated = keras.models.clone_model(model, clone_function=_annotated)
        annotated.set_weights(model.get_weights())
        quantized = _qat.quantize_apply(annotated)
        # Precaution 4. The ranges of weights, too, start at -6..6 and follow in training only.
        quantized(frames[0], training=True)
        _set_ranges(quantized, _ranges(model, frames))
    return quantized


def _annotated(layer: Any) -> Any:
    if isinstance(layer, keras.layers.InputLayer):
        return layer
    copy = layer.__class__.from_config(layer.get_config())
    return _qat.quantize_annotate_layer(copy, _config(copy))


def _config(layer: Any) -> Any:
    """Return how a layer is fake-quantized, None for the library's own way.

    A new instance each: the library changes them, at concatenations.
    """
    if type(layer) in _CONFIGS:
        return _CONFIGS[type(layer)]()
    convolves = isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    if convolves and layer.activation is keras.activations.get("relu6"):
        # The library knows a ReLU inside a convolution, but no ReLU6: it is told to quantize what
        # comes out instead, which is the same.
        config = _qat.default_8bit.Default8BitQuantizeRegistry().get_quantize_config(layer)
        config.activation_attrs, config.quantize_output = [], True
        return config
    return None


def _ranges(model: keras.Model, frames: Sequence[Float32]) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest output of each layer."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    probe = keras.Model(model.input, [layer.output for layer in layers])
    low, high = np.full(len(layers), np.inf), np.full(len(layers), -np.inf)
    for frame in frames:
        outputs = probe(frame, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        low = np.minimum(low, [float(tf.reduce_min(output)) for output in outputs])
        high = np.maximum(high, [float(tf.reduce_max(output)) for output in outputs])
    names = [layer.name for layer in layers]
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _set_ranges(model: keras.Model, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Set ranges at once (precaution 3): they start at -6..6 and move by a thousandth a step."""
    for layer in model.layers:
        name = layer.name.removeprefix("quant_")
        for variable in layer.weights:
            kind, _, end = variable.name.split("/")[-1].removesuffix(":0").rpartition("_")
            if kind in ("post_activation", "output") and name in ranges and end in ("min", "max"):
                low, high = ranges[name]
                variable.assign(min(low, 0.0) if end == "min" else max(high, 1e-6))
    pin_input(model)


def with_trained_ranges(model: keras.Model, side: int, weights: Path) -> keras.Model:
    """Return the network of a finished quantization-aware training, from its file of weights.

    `model` is the float network; its poolings divide a picture of `side` x `side`.
    """
    network = fake_quantized(model, [np.zeros((1, side, side, 3), np.float32)])
    network.load_weights(weights)
    pin_input(network)
    return network


def pin_input(model: keras.Model) -> None:
    """Set the input's range to 0..1, in place: then its int8 values are a picture's bytes - 128."""
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.name.split("/")[-1].removesuffix(":0")
            if name.startswith("quantize_layer") and name.endswith(("_min", "_max")):
                variable.assign(0.0 if name.endswith("_min") else 1.0)


class _AffinePReLU(keras.layers.PReLU):  # type: ignore[misc]
    """alpha * x + (1 - alpha) * relu(x), which have int16 kernels where PRELU has none."""

    def call(self, inputs: Any) -> Any:
        return self.alpha * inputs + (1.0 - self.alpha) * tf.nn.relu(inputs)


class _TransposedDepthToSpace(DepthToSpaceLayer):
    """Reshape, transpose, reshape, which have int16 kernels where DEPTH_TO_SPACE has none.

    All have four dimensions.
    """

    def call(self, inputs: Any) -> Any:
        _, height, width, channels = inputs.shape
        factor, left = self.factor, channels // self.factor**2
        rows = tf.reshape(inputs, (height, width, factor, factor * left))
        rows = tf.transpose(rows, (0, 2, 1, 3))
        return tf.reshape(rows, (1, height * factor, width * factor, left))


class _TransposedSpaceToDepth(SpaceToDepthLayer):
    """Reshape, transpose, reshape, which have int16 kernels where SPACE_TO_DEPTH has none."""

    def call(self, inputs: Any) -> Any:
        _, height, width, channels = inputs.shape
        factor = self.factor
        high, wide = height // factor, width // factor
        rows = tf.reshape(inputs, (high, factor, wide, factor * channels))
        rows = tf.transpose(rows, (0, 2, 1, 3))
        return tf.reshape(rows, (1, high, wide, factor**2 * channels))


_INT16_FORMS: dict[type, type] = {
    keras.layers.PReLU: _AffinePReLU,
    DepthToSpaceLayer: _TransposedDepthToSpace,
    SpaceToDepthLayer: _TransposedSpaceToDepth,
}


def int16_form(model: keras.Model, height: int, width: int) -> keras.Model:
    """Return a model that computes the same for one picture of height x width, in operations of
    int16.

    Without the rewriting the converter refuses, or quietly leaves those operations in float32.
    """
    source = keras.Input((height, width, 3), batch_size=1)

    def rewritten(layer: Any) -> Any:
        kind: Any = _INT16_FORMS.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, input_tensors=source, clone_function=rewritten)
    copy.set_weights(model.get_weights())
    return copy
