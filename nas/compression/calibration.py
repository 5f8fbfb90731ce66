"""Makes and checks the pictures that set integers' ranges. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from nas.data import Pack
from nas.errors import DataError
from nas.networks.graph import Conv, Graph, TransposeConv
from nas.networks.keras import keras
from nas.tflite.interpreter import Float32

CALIBRATION_PIXELS = 2**17  # pixels of training patches that set the ranges of int8 activations


def checked_calibration(calibration: Iterable[Float32], height: int, width: int) -> list[Float32]:
    """Return the calibration pictures as a list of float32 arrays (1, height, width, 3).

    Raises DataError where there is none, where one has another shape or values outside 0 to 1, and
    where all of them are one constant value.
    """
    frames = []
    for index, frame in enumerate(calibration):
        if frame.shape != (1, height, width, 3):
            raise DataError(
                f"calibration picture {index}: expected an array of shape "
                f"{(1, height, width, 3)}, but {frame.shape} came"
            )
        low, high = float(frame.min()), float(frame.max())
        if not (low >= 0 and high <= 1):  # false for NaN, too
            raise DataError(
                f"calibration picture {index}: expected values from 0 to 1, but {low:g} to "
                f"{high:g} came"
            )
        frames.append(frame.astype(np.float32))
    if not frames:
        raise DataError(
            "integers need calibration pictures, but none came; give a few training ones"
        )
    if max(float(frame.max()) for frame in frames) == min(float(frame.min()) for frame in frames):
        raise DataError(
            f"all {len(frames)} calibration pictures are one constant value; give real ones"
        )
    return frames


def with_full_range(frames: Sequence[Float32]) -> list[Float32]:
    """Return copies of the frames in which the least value of all is 0 and the greatest 1.

    One number is changed for each. The range of a network's input is then exactly 0 to 1.
    """
    copies = [frame.copy() for frame in frames]
    darkest = min(copies, key=lambda frame: float(frame.min()))
    darkest.flat[int(darkest.argmin())] = 0.0
    brightest = max(copies, key=lambda frame: float(frame.max()))
    brightest.flat[int(brightest.argmax())] = 1.0
    return copies


def fill_biases(model: keras.Model, seed: int = 0) -> None:
    """Give every bias that is all 0, a normalisation's too, small positive values, in place."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name.endswith(("bias:0", "beta:0")) and not np.any(variable.numpy()):
            variable.assign(rng.uniform(0.01, 0.05, variable.shape).astype(np.float32))


def level_activations(graph: Graph, model: keras.Model, picture: Float32) -> None:
    """Divide the weights of each convolution, in place, by the largest value that it gives on
    `picture`, where that is above 1.

    Random weights grow through sums, block by block, until 8 bits are too coarse for what is left
    of the picture. `picture` is (1, height, width, 3); its sides divide by the graph's reduction.
    """
    values = {graph.layers[0].name: tf.constant(picture)}
    for layer in graph.layers[1:]:
        inputs = [values[name] for name in layer.inputs]
        keras_layer = model.get_layer(layer.name)
        output = keras_layer(inputs if len(inputs) > 1 else inputs[0])
        if isinstance(layer, (Conv, TransposeConv)):
            # ReLU passes a factor on, so the output shrinks as kernel and bias do.
            peak = max(1.0, float(tf.reduce_max(tf.abs(output))))
            for variable in keras_layer.weights:
                variable.assign(variable / peak)
            output = output / peak
        values[layer.name] = output


def mosaic(pack: Pack, height: int, width: int, index: int) -> Float32:
    """Return blurred training patches laid side by side: (1, height, width, 3), values from 0 to 1.

    Each `index` takes other patches, always the same ones of a pack. Each patch stands beside its
    mirror images: half as many seams, whose false edges widen the ranges of the activations. That
    is worth 1 dB of agreement; calibrated on whole photographs it would be 1 dB more.
    """
    side = min(pack.side, height, width)
    rows, columns = -(-height // (2 * side)), -(-width // (2 * side))
    blurred, _ = pack.batch(index, rows * columns, side, seed=0)
    patches = np.concatenate([blurred, blurred[:, ::-1]], axis=1)
    patches = np.concatenate([patches, patches[:, :, ::-1]], axis=2)
    grid = patches.reshape(rows, columns, 2 * side, 2 * side, 3).transpose(0, 2, 1, 3, 4)
    whole = grid.reshape(1, rows * 2 * side, columns * 2 * side, 3)[:, :height, :width]
    frame: Float32 = whole.astype(np.float32) / np.float32(255.0)
    return frame
