"""Converts Keras models to `.tflite` files.

`convert_trained` and `convert_untrained` return only files that have passed
`nas.compression.verify.verify`. Only training and conversion import TensorFlow: this does.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas.compression.calibration import (
    CALIBRATION_PIXELS,
    checked_calibration,
    fill_biases,
    level_activations,
    mosaic,
    with_full_range,
)
from nas.compression.quantization import fake_quantized, int16_form, with_trained_ranges
from nas.compression.verify import CROP_SIDE, MINIMUM_DB, UNTRAINED_MINIMUM_DB, verify
from nas.data import Pack
from nas.errors import ConversionError, one_line, unknown
from nas.networks.candidate import PRECISIONS, Precision
from nas.networks.folding import folded
from nas.networks.graph import Graph
from nas.networks.keras import keras
from nas.networks.keras_model import build_model, folded_model
from nas.system.host_lock import working
from nas.system.native_logs import quiet_native_logs
from nas.tflite.editing import with_headroom
from nas.tflite.interpreter import Artifact, Float32
from nas.tflite.relu_apart import with_relu_apart, with_signature
from nas.tflite.resizing import at_size
from nas.training.schedule import Schedule
from nas.training.train import trained, untrained

# Half a bit of 16. What the calibration has not seen is clipped, which costs more than wider steps:
# on such pictures int16 agrees with float32 to 73 dB at 1, 87 at 1.5, 84 at 2, 78 at 4.
INT16_HEADROOM = 1.5
_LEVELLED_SIDE = 32  # of the picture on which an untrained network's activations are levelled
# By how much an output may change when a ReLU leaves a convolution: nothing but rounding.
SAME = 1e-6
# The ranges of the activations come from calibration pictures, not from a training.
_CALIBRATED: tuple[Precision, ...] = ("int8-ptq", "int16-ptq")


def convert(
    model: keras.Model,
    height: int,
    width: int,
    precision: Precision,
    calibration: Iterable[Float32] = (),
) -> bytes:
    """Return a `.tflite` of `model` for pictures of exactly height x width; equal inputs, equal
    bytes.

    "int8-ptq" and "int16-ptq" set the ranges of the activations by `calibration`: arrays (1,
    height, width, 3) of values from 0 to 1, a few of which do (a large network takes seconds for a
    large one). The range of the input is always 0..1: then its int8 values are exactly a picture's
    bytes less 128. "int8-qat" needs a model that carries its ranges:
    `nas.compression.quantization.fake_quantized`.

    Raises DataError where the calibration is empty, constant or malformed; ConversionError, naming
    the operation where the converter does.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    calibrated = precision in _CALIBRATED
    frames = []
    if calibrated:
        frames = with_full_range(checked_calibration(calibration, height, width))
    spec = tf.TensorSpec([1, height, width, 3], tf.float32, name="input")
    try:
        with quiet_native_logs(), warnings.catch_warnings():
            if precision == "int16-ptq":
                model = int16_form(model, height, width)
            warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
            # Not model(x): that would name tensors after the model ("model_3"), which counts up.
            function = tf.function(lambda x: model.call(x, training=False), autograph=False)
            concrete = function.get_concrete_function(spec)
            content: bytes = configured_converter(concrete, precision, frames).convert()
            if precision == "int16-ptq":
                content = with_headroom(content, INT16_HEADROOM)
            content = with_signature(content)
    except Exception as error:  # the converter raises a dozen types, some of them bare Exceptions
        name = _operation_in(str(error))
        raise ConversionError(
            f"conversion to {precision} at {width}x{height} failed"
            f"{f' at the operation {name}' if name else ''}: {one_line(error)}"
        ) from error
    return content


def configured_converter(function: Any, precision: Precision, frames: Sequence[Float32]) -> Any:
    """Return TensorFlow's converter of a traced function, set up for a precision.

    `frames` are the calibration pictures of a precision that takes any.
    """
    # Without the model as a second argument the converter freezes the function's variables instead
    # of writing a SavedModel first: the same operations and weights in 0.2 s instead of 3 s.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if precision == "float":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    kind = tf.int16 if precision == "int16-ptq" else tf.int8
    converter.inference_input_type = converter.inference_output_type = kind
    if precision in _CALIBRATED:
        sets = tf.lite.OpsSet
        int16 = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        # This set alone: with another one beside it what int16 has not stays in float32, silently.
        converter.target_spec.supported_ops = [
            int16 if precision == "int16-ptq" else sets.TFLITE_BUILTINS_INT8
        ]
        converter.representative_dataset = lambda: ([frame] for frame in frames)
    return converter


def _operation_in(message: str) -> str | None:
    match = re.search(r"for op: '(\w+)'|legalize operation '([\w.]+)'|'tfl?\.(\w+)' op", message)
    return next((name for name in match.groups() if name), None) if match else None


def convert_trained(
    graph: Graph,
    weights: Path,
    height: int,
    width: int,
    precision: Precision,
    pack: Pack,
    minimum_db: Mapping[Precision, float] = MINIMUM_DB,
    relu_apart: bool = False,
) -> bytes:
    """Return the verified `.tflite` of a finished training, calibrated on patches of its own pack.

    The file is compared with its model on other patches than those that set its ranges. For
    "int8-qat" the weights are those of `train_quantized`. `minimum_db` is the least agreement by
    precision; after a handful of steps no more than `UNTRAINED_MINIMUM_DB` can be asked for. Not to
    be called inside `nas.system.host_lock.working`, which it takes itself. `relu_apart`: no ReLU
    is inside a transposed convolution, which LiteRT's GPU does not take; the outputs are compared.
    Raises as `convert` and `verify`.
    """

    def model() -> keras.Model:
        if precision != "int8-qat":
            return trained(graph, weights)
        return with_trained_ranges(build_model(folded(graph)), graph.smallest, weights)

    count = max(1, round(CALIBRATION_PIXELS / (height * width)))
    frames = [mosaic(pack, height, width, index) for index in range(count + 1)]
    return _verified(model, graph, precision, frames, minimum_db, relu_apart=relu_apart)


def convert_untrained(
    graph: Graph,
    height: int,
    width: int,
    precision: Precision,
    schedule: Schedule,
    relu_apart: bool = False,
) -> bytes:
    """Return the verified `.tflite` of an architecture before its training, for latency and
    placement.

    It has the structure of the trained one: calibrated on noise, and with biases other than 0,
    which the converter would leave out. Raises and may be called as `convert_trained`.
    """

    def model() -> keras.Model:
        network = untrained(graph, schedule, seed=0)
        fill_biases(network)
        level_activations(graph, network, crop)
        if precision != "int8-qat":
            return network
        return fake_quantized(folded_model(graph, network), [noise])

    # Of one size, so that the weights of a network are the same at every size of its file.
    side = graph.fits(_LEVELLED_SIDE)
    crop = np.random.default_rng(1).random((1, side, side, 3), dtype=np.float32)
    noise = np.random.default_rng(0).random((1, height, width, 3), dtype=np.float32)
    # On a crop: the trained file, which has to have this one's structure, is compared whole.
    frames, bounds = [noise, noise], UNTRAINED_MINIMUM_DB
    return _verified(model, graph, precision, frames, bounds, crop=True, relu_apart=relu_apart)


def _verified(
    build: Callable[[], keras.Model],
    graph: Graph,
    precision: Precision,
    frames: Sequence[Float32],
    minimum_db: Mapping[Precision, float],
    crop: bool = False,
    relu_apart: bool = False,
) -> bytes:
    """Convert, calibrated on all frames but the last, and verify on the last."""
    *calibration, sample = frames
    _, height, width, _ = sample.shape
    graph.macs(height, width)  # a ConfigError for a size that does not divide, before any work
    with working():
        model = build()
        content = convert(model, height, width, precision, calibration)
    with working():  # a second slice: whoever waits to measure goes first
        verify(content, graph, model, precision, sample[0], minimum_db[precision], crop)
        return _with_relu_apart(content, graph, sample[0]) if relu_apart else content


def _with_relu_apart(content: bytes, graph: Graph, sample: Float32) -> bytes:
    """Take ReLUs out of transposed convolutions; ConversionError where that changes an output."""
    apart = with_relu_apart(content)
    if apart == content:
        return content
    height, width = (min(side, graph.fits(CROP_SIDE)) for side in sample.shape[:2])
    corner = sample[:height, :width]
    before, after = (
        Artifact(at_size(data, height, width)).run(corner) for data in (content, apart)
    )
    largest = float(np.max(np.abs(before - after)))
    if not largest <= SAME:
        raise ConversionError(
            "a ReLU taken out of a transposed convolution changed the file's output by "
            f"{largest:.2g}, expected {SAME:g} at most"
        )
    return apart
