"""From Keras models to `.tflite` files, and the gate that every file passes before it is believed.

A conversion that "succeeds" may still hold operations in float32, a network that computes something
else, or a file that the runtime refuses. So nothing leaves `convert_trained` and
`convert_untrained` without `verify`. Only training and conversion import TensorFlow: this does.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from nas import tflite
from nas.candidate import PRECISIONS, Precision
from nas.data import Pack
from nas.errors import ConversionError, DataError, TrainingError, unknown
from nas.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Layer,
    MaxPool,
    PReLU,
    ResizeBilinear,
    TransposeConv,
)
from nas.model import build_model
from nas.quantize import fake_quantized, int16_form, pin_input
from nas.quiethost import working
from nas.quietlogs import quiet_native_logs
from nas.runtime import Artifact, Float32, one_line
from nas.schedule import Schedule
from nas.tflite_edit import at_size

# How near to its Keras model an artifact's output has to be, as PSNR with 1 as the peak. In float32
# two kernels differ in the last bits only: 120 dB and more. In int8 healthy trained networks reach
# 39 dB and more; those that quantization broke without an error message were at 14.
# Quantization-aware training makes a model that computes as the file does; int16 loses by its 8-bit
# weights alone.
MINIMUM_DB: dict[Precision, float] = {
    "float": 80.0,
    "int8-ptq": 30.0,
    "int8-qat": 34.0,
    "int16-ptq": 36.0,
}
# An untrained network's values have no reason to lie near 0..1: only nonsense is turned away.
UNTRAINED_MINIMUM_DB: dict[Precision, float] = {
    "float": 80.0,
    "int8-ptq": 15.0,
    "int8-qat": 15.0,
    "int16-ptq": 15.0,
}

QAT_STEPS, QAT_RATE, QAT_FRAMES = 0.25, 0.1, 8  # shares of the float schedule; patches for ranges
CROP_SIDE = 128  # of what int16 files are run on, whose real size takes too long
CALIBRATION_PIXELS = 2**17  # pixels of training patches that set the ranges of int8 activations

_OPERATION: dict[type[Layer], str] = {
    Conv: "CONV_2D",
    TransposeConv: "TRANSPOSE_CONV",
    PReLU: "PRELU",
    MaxPool: "MAX_POOL_2D",
    DepthToSpace: "DEPTH_TO_SPACE",
    ResizeBilinear: "RESIZE_BILINEAR",
    Concat: "CONCATENATION",
    Add: "ADD",
}
# What stands in an int16 file for operations that int16 has not: see `nas.quantize.int16_form`.
_INT16_OPERATIONS: dict[type[Layer], tuple[str, ...]] = {
    PReLU: ("MUL", "RELU", "MUL", "ADD"),
    DepthToSpace: ("RESHAPE", "TRANSPOSE", "RESHAPE"),
}
_CONVOLUTIONS = ("CONV_2D", "TRANSPOSE_CONV")
_CALIBRATED: tuple[Precision, ...] = ("int8-ptq", "int16-ptq")
# The converter gives a tensor that was 0 in all of the calibration a range of 2e-6 (scale 8e-9).
_DEAD_SCALE = 1e-7
# XNNPACK refuses a convolution whose output is that many times finer than its products.
_REQUANTIZATION_LIMIT = 256.0


@dataclass(frozen=True)
class Verification:
    """What the gate found: `agreement_db` is None where the outputs are equal to the last bit."""

    precision: Precision
    operations: int
    conv_macs: int
    structure_key: str
    agreement_db: float | None


def convert(
    model: keras.Model,
    height: int,
    width: int,
    precision: Precision,
    calibration: Iterable[Float32] = (),
) -> bytes:
    """A `.tflite` of `model` for pictures of exactly height x width; equal inputs, equal bytes.

    "int8-ptq" and "int16-ptq" set the ranges of the activations by `calibration`: arrays (1,
    height, width, 3) of values from 0 to 1, a few of which do (a large network takes seconds for a
    large one). The range of the input is always 0..1: then its int8 values are exactly a picture's
    bytes less 128. "int8-qat" needs a model that carries its ranges: `nas.quantize.fake_quantized`.

    Raises DataError where the calibration is empty, constant or malformed; ConversionError, naming
    the operation where the converter tells it.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    calibrated = precision in _CALIBRATED
    frames = _spanning(_checked(calibration, height, width)) if calibrated else []
    spec = tf.TensorSpec([1, height, width, 3], tf.float32, name="input")
    try:
        with quiet_native_logs(), warnings.catch_warnings():
            if precision == "int16-ptq":
                model = int16_form(model, height, width)
            warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
            # Not model(x): that would name tensors after the model ("model_3"), which counts up.
            function = tf.function(lambda x: model.call(x, training=False), autograph=False)
            concrete = function.get_concrete_function(spec)
            content: bytes = _converter(concrete, precision, frames).convert()
    except Exception as error:  # the converter raises a dozen types, some of them bare Exceptions
        name = _operation_in(str(error))
        raise ConversionError(
            f"conversion to {precision} at {width}x{height} failed"
            f"{f' at the operation {name}' if name else ''}: {one_line(error)}"
        ) from error
    return content


def _converter(function: Any, precision: Precision, frames: Sequence[Float32]) -> Any:
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


def _checked(calibration: Iterable[Float32], height: int, width: int) -> list[Float32]:
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


def _spanning(frames: Sequence[Float32]) -> list[Float32]:
    """The frames, the least of their values set to 0 and the greatest to 1: one number each."""
    spanning = [frame.copy() for frame in frames]
    darkest = min(spanning, key=lambda frame: float(frame.min()))
    darkest.flat[int(darkest.argmin())] = 0.0
    brightest = max(spanning, key=lambda frame: float(frame.max()))
    brightest.flat[int(brightest.argmax())] = 1.0
    return spanning


def verify(
    content: bytes,
    graph: Graph,
    model: keras.Model,
    precision: Precision,
    sample: Float32,
    minimum_db: float | None = None,
) -> Verification:
    """Open a `.tflite`, compare it with what it was made from, and run it.

    `sample` (height, width, 3), values from 0 to 1, is the picture on which the outputs of the
    artifact and of `model` are compared; their PSNR is `minimum_db` at least (default `MINIMUM_DB`
    of the precision).

    Raises ConversionError, naming the operation, where the file's operations, shapes, types or MACs
    are not those of `graph` at `precision`, where the runtime refuses it, or where it computes
    something else; TrainingError where a layer is dead or the model's output is not finite.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    height, width = sample.shape[:2]
    file = tflite.parse(content, "the converted file")
    if precision == "float":
        _check_float(file)
    else:
        _check_integers(file, precision)
    _check_structure(file, graph, precision, height, width)
    expected = graph.macs(height, width).conv
    if file.conv_macs != expected:
        raise ConversionError(
            f"the file's convolutions have {file.conv_macs} MACs, the architecture's {expected:.0f}"
        )
    if precision == "int16-ptq":  # a minute and a half for a large picture
        content, sample = _on_a_crop(content, graph, sample)
    agreement = _agreement_db(Artifact(content).run(sample), _output(model, sample))
    minimum = MINIMUM_DB[precision] if minimum_db is None else minimum_db
    if agreement is not None and agreement < minimum:
        raise ConversionError(
            f"the {precision} file computes something else than its model: PSNR between their "
            f"outputs is {agreement:.1f} dB, expected {minimum:g} at least"
        )
    return Verification(
        precision, len(file.operations), file.conv_macs, file.structure_key, agreement
    )


def _check_structure(
    file: tflite.TfliteFile, graph: Graph, precision: Precision, height: int, width: int
) -> None:
    """The graph's operations, none of another kind, between pictures of the right shape."""
    expected = Counter(name for layer in graph.layers for name in _operations(layer, precision))
    found = file.operation_counts
    if precision != "float":
        del found["QUANTIZE"]  # int8 to int8: a tensor that is needed at two scales
    for name in sorted(expected | found):
        if expected[name] != found[name]:
            first = next((str(op) for op in file.operations if op.name == name), name)
            raise ConversionError(
                f"expected {expected[name]} {name} as in the architecture, but the file has "
                f"{found[name]} ({first})"
            )
    output = graph.costs(height, width)[-1].shape
    for what, tensors, shape in (
        ("input", file.inputs, (1, height, width, 3)),
        ("output", file.outputs, (1, *output)),
    ):
        if [tensor.shape for tensor in tensors] != [shape]:
            raise ConversionError(
                f"expected one {what} of shape {shape}, found {[t.shape for t in tensors]}"
            )


def _operations(layer: Layer, precision: Precision) -> tuple[str, ...]:
    if precision == "int16-ptq" and type(layer) in _INT16_OPERATIONS:
        return _INT16_OPERATIONS[type(layer)]
    return (_OPERATION[type(layer)],) if type(layer) in _OPERATION else ()


def _on_a_crop(content: bytes, graph: Graph, sample: Float32) -> tuple[bytes, Float32]:
    """The file at a smaller size, with the picture's upper left corner, where it is larger."""
    height, width = (
        min(side, -(-CROP_SIDE // graph.reduction) * graph.reduction) for side in sample.shape[:2]
    )
    return at_size(content, height, width), sample[:height, :width]


def _check_float(file: tflite.TfliteFile) -> None:
    for operation in file.operations:
        for tensor in operation.tensors:
            size = tensor.constant and tensor.dtype == "int32"  # of a resized output, for example
            if tensor.dtype != "float32" and not size:
                raise ConversionError(
                    f"{operation}: float promises float32 only, but {tensor.name!r} is "
                    f"{tensor.dtype}"
                )


def _check_integers(file: tflite.TfliteFile, precision: Precision) -> None:
    kind = precision.split("-")[0]
    for what, tensors in (("input", file.inputs), ("output", file.outputs)):
        if tensors[0].dtype != kind:
            raise ConversionError(f"expected an {kind} {what}, but it is {tensors[0].dtype}")
    if islands := file.float_islands:
        raise ConversionError(
            f"{islands[0]} works in floating point, where {kind} was promised "
            f"({len(islands)} of {len(file.operations)} operations do)"
        )
    constants = ("int8", "int32") if kind == "int8" else ("int8", "int16", "int32", "int64")
    for operation in file.operations:
        for tensor in operation.tensors:
            # int32, with int16 int64: biases and sizes; int8: weights
            if tensor.dtype != kind and not (tensor.constant and tensor.dtype in constants):
                raise ConversionError(f"{operation}: {tensor.name!r} is {tensor.dtype}, not {kind}")
        _check_weights(operation, precision)
        _check_alive(operation)


def _check_weights(operation: tflite.Operation, precision: Precision) -> None:
    weights = operation.weights
    if operation.name not in _CONVOLUTIONS or weights is None:
        return
    channels, scales = weights.shape[0], weights.quantization and weights.quantization.scales
    # The library trains transposed convolutions with one scale a tensor.
    single = precision == "int8-qat" and operation.name == "TRANSPOSE_CONV"
    if weights.dtype != "int8" or not scales or len(scales) != (1 if single else channels):
        wanted = "one scale" if single else f"a scale for each of {channels} channels"
        raise ConversionError(
            f"{operation}: expected int8 weights with {wanted}, "
            f"found {weights.dtype} with {len(scales or ())}"
        )


def _check_alive(operation: tflite.Operation) -> None:
    """TrainingError where an output was (nearly) constant 0 while the ranges were calibrated.

    Such a layer is what a training leaves whose ReLUs all died. The runtime refuses some of these
    files, "failed to prepare", and runs others; neither says why. (A dead layer that shares its
    scale with the other side of a concatenation can't be told from a file; it runs.)
    """
    output = operation.outputs[0]
    if output.quantization is None:
        return
    scale = output.quantization.scales[0]
    steps = 2**16 if output.dtype == "int16" else 2**8
    dead = scale * steps < _DEAD_SCALE * 2**8
    if operation.name in _CONVOLUTIONS and operation.weights and operation.weights.quantization:
        data = operation.inputs[2 if operation.name == "TRANSPOSE_CONV" else 0]
        if data is not None and data.quantization is not None:
            finest = max(operation.weights.quantization.scales) * data.quantization.scales[0]
            dead |= output.dtype == "int8" and finest >= _REQUANTIZATION_LIMIT * scale
    if dead:
        raise TrainingError(
            f"the training died: the layer {re.split('[;/]', output.name)[0]!r} stays within "
            f"{255 * scale:.1g} of 0 on every calibration picture ({operation}). Lower the "
            "learning rate or lengthen the warm-up"
        )


def _output(model: keras.Model, sample: Float32) -> Float32:
    output: Float32 = model(sample[None], training=False).numpy()[0]
    if not np.isfinite(output).all():
        raise TrainingError(
            "the training diverged: the network's output is not finite. Lower the learning rate"
        )
    return output


def _agreement_db(artifact: Float32, model: Float32) -> float | None:
    """PSNR with 1 as the peak; None where the outputs are equal."""
    if not np.isfinite(artifact).all():
        raise ConversionError("the artifact's output is not finite where its model's is")
    error = float(np.mean(np.square(artifact.astype(np.float64) - model)))
    return None if error == 0 else 10 * math.log10(1 / error)


def convert_trained(
    graph: Graph, weights: Path, height: int, width: int, precision: Precision, pack: Pack
) -> bytes:
    """The verified `.tflite` of a finished training, calibrated on patches of its own pack.

    It is compared with its model on other patches than those that set its ranges. For "int8-qat"
    the weights are those of `train_quantized`. Not to be called inside `nas.quiethost.working`,
    which it takes itself. Raises as `convert` and `verify`.
    """
    from nas.train import trained

    def model() -> keras.Model:
        if precision != "int8-qat":
            return trained(graph, weights)
        blank = np.zeros((1, graph.reduction, graph.reduction, 3), np.float32)
        network = fake_quantized(build_model(graph), [blank])
        network.load_weights(weights)
        pin_input(network)
        return network

    count = max(1, round(CALIBRATION_PIXELS / (height * width)))
    frames = [mosaic(pack, height, width, index) for index in range(count + 1)]
    return _verified(model, graph, precision, frames, MINIMUM_DB)


def train_quantized(
    graph: Graph,
    weights: Path,
    pack: Pack,
    schedule: Schedule,
    seed: int,
    folder: Path,
    progress: Callable[[int, int, float], None],
) -> Path:
    """Quantization-aware training from finished float weights; returns the file of its weights.

    `schedule` is that of the float training, of which this takes `QAT_STEPS` steps at `QAT_RATE` of
    its learning rate. Resumable, and never done twice, like `nas.train.train`; raises as that.
    """
    from nas.train import train_model, trained

    steps = max(1, round(schedule.steps * QAT_STEPS))
    side = min(pack.side, schedule.patch) // graph.reduction * graph.reduction
    frames = [mosaic(pack, side, side, index) for index in range(QAT_FRAMES)]
    return train_model(
        lambda: fake_quantized(trained(graph, weights), frames),
        pack,
        replace(
            schedule,
            steps=steps,
            learning_rate=schedule.learning_rate * QAT_RATE,
            warmup_steps=steps // 10,
            decay="cosine",
            identity_start=False,
        ),
        seed,
        folder,
        progress,
    )


def convert_untrained(
    graph: Graph, height: int, width: int, precision: Precision, schedule: Schedule
) -> bytes:
    """The verified `.tflite` of an architecture before its training, for latency and placement.

    Has the structure of the trained one: calibrated on noise, and with biases other than 0, which
    the converter would leave out. Raises and may be called as `convert_trained`.
    """
    from nas.train import untrained

    def model() -> keras.Model:
        network = untrained(graph, schedule, seed=0)
        fill_biases(network)
        return fake_quantized(network, [noise]) if precision == "int8-qat" else network

    noise = np.random.default_rng(0).random((1, height, width, 3), dtype=np.float32)
    return _verified(model, graph, precision, [noise, noise], UNTRAINED_MINIMUM_DB)


def _verified(
    build: Callable[[], keras.Model],
    graph: Graph,
    precision: Precision,
    frames: Sequence[Float32],
    minimum_db: dict[Precision, float],
) -> bytes:
    """Convert, calibrated on all frames but the last, and verify on the last."""
    *calibration, sample = frames
    _, height, width, _ = sample.shape
    graph.macs(height, width)  # a ConfigError for a size that does not divide, before any work
    with working():
        model = build()
        content = convert(model, height, width, precision, calibration)
    with working():  # a second slice: whoever waits to measure goes first
        verify(content, graph, model, precision, sample[0], minimum_db[precision])
    return content


def fill_biases(model: keras.Model, seed: int = 0) -> None:
    """Give every bias that is all 0 small positive values, in place."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name.endswith("bias:0") and not np.any(variable.numpy()):
            variable.assign(rng.uniform(0.01, 0.05, variable.shape).astype(np.float32))


def mosaic(pack: Pack, height: int, width: int, index: int) -> Float32:
    """Blurred training patches laid side by side: (1, height, width, 3), values from 0 to 1.

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
