"""The gate: checks that a file computes what its model does. Imports TensorFlow.

A conversion that "succeeds" may still hold operations in float32, a network that computes something
else, or a file that the runtime refuses.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nas.errors import ConversionError, TrainingError, unknown
from nas.networks.candidate import PRECISIONS, Precision
from nas.networks.folding import folded
from nas.networks.graph import (
    Add,
    AveragePool,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    Graph,
    Layer,
    LayerCost,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    ResizeBilinear,
    ResizeNearest,
    SpaceToDepth,
    Subtract,
    Tanh,
    TransposeConv,
    ZeroPad,
)
from nas.networks.keras import keras
from nas.tflite.file import Operation, TfliteFile, parse_tflite
from nas.tflite.interpreter import Artifact, Float32
from nas.tflite.resizing import at_size

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

CROP_SIDE = 128  # of what files are run on whose real size takes too long

_OPERATION: dict[type[Layer], str] = {
    Conv: "CONV_2D",
    DepthwiseConv: "DEPTHWISE_CONV_2D",
    TransposeConv: "TRANSPOSE_CONV",
    LeakyReLU: "LEAKY_RELU",
    PReLU: "PRELU",
    ReLU: "RELU",
    Tanh: "TANH",
    MaxPool: "MAX_POOL_2D",
    AveragePool: "AVERAGE_POOL_2D",
    DepthToSpace: "DEPTH_TO_SPACE",
    SpaceToDepth: "SPACE_TO_DEPTH",
    ResizeBilinear: "RESIZE_BILINEAR",
    ResizeNearest: "RESIZE_NEAREST_NEIGHBOR",
    ZeroPad: "PAD",
    Concat: "CONCATENATION",
    Add: "ADD",
    Subtract: "SUB",
}
# What stands in an int16 file for operations that int16 has not: see
# `nas.compression.quantization.int16_form`.
_INT16_OPERATIONS: dict[type[Layer], tuple[str, ...]] = {
    PReLU: ("MUL", "RELU", "MUL", "ADD"),
    DepthToSpace: ("RESHAPE", "TRANSPOSE", "RESHAPE"),
    SpaceToDepth: ("RESHAPE", "TRANSPOSE", "RESHAPE"),
}
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
# The converter gives a tensor that was 0 in all of the calibration a range of 2e-6 (scale 8e-9).
_DEAD_SCALE = 1e-7
# XNNPACK refuses a convolution whose output is that many times finer than its products.
_REQUANTIZATION_LIMIT = 256.0


@dataclass(frozen=True)
class Verification:
    """The figures of a file that passed the gate.

    `operations` and `conv_macs` count its operations and the MACs of its convolutions.
    `structure_key` is the file's. `agreement_db` is the PSNR between the outputs of the file and of
    its model, 1 as the peak; None where they are equal to the last bit.
    """

    precision: Precision
    operations: int
    conv_macs: int
    structure_key: str
    agreement_db: float | None


def verify(
    content: bytes,
    graph: Graph,
    model: keras.Model,
    precision: Precision,
    sample: Float32,
    minimum_db: float | None = None,
    crop: bool = False,
) -> Verification:
    """Open a `.tflite`, compare it with what it was made from, and run it.

    `sample` (height, width, 3), values from 0 to 1, is the picture on which the outputs of the
    artifact and of `model` are compared; their PSNR is `minimum_db` at least (default `MINIMUM_DB`
    of the precision). With `crop`, and for int16, only its upper left corner is, by the same file
    with its shapes set to the corner's.

    Raises ConversionError, naming the operation, where the file's operations, shapes, types or MACs
    are not those of `graph` at `precision`, where the runtime refuses it, or where it computes
    something else; TrainingError where a layer is dead or the model's output is not finite.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    height, width = sample.shape[:2]
    file = parse_tflite(content, "the converted file")
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
    if crop or precision == "int16-ptq":  # a minute and a half for a large picture
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
    file: TfliteFile, graph: Graph, precision: Precision, height: int, width: int
) -> None:
    """Raise ConversionError unless the file has the graph's operations, between the
    right shapes.
    """
    expected = _expected_operations(graph, precision, height, width)
    counts = file.operation_counts
    if precision != "float":
        del counts["QUANTIZE"]  # int8 to int8: a tensor that is needed at two scales
    for name in sorted(expected | counts):
        if expected[name] != counts[name]:
            first = next((str(op) for op in file.operations if op.name == name), name)
            raise ConversionError(
                f"expected {expected[name]} {name} as in the architecture, but the file has "
                f"{counts[name]} ({first})"
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


def _expected_operations(
    graph: Graph, precision: Precision, height: int, width: int
) -> Counter[str]:
    """Return the operations of the graph as converters write it, by name."""
    rows = folded(graph).costs(height, width)
    costs = {row.layer.name: row for row in rows}
    uses = Counter(name for row in rows for name in row.layer.inputs)
    return Counter(
        name
        for row in rows
        for name in _operations(row.layer, precision)
        if not _vanishes(row, costs, uses)
    )


def _vanishes(row: LayerCost, costs: dict[str, LayerCost], uses: Counter[str]) -> bool:
    """Return whether a layer is part of the operation before it, or has nothing to do
    at this size.
    """
    if isinstance(row.layer, (ResizeNearest, ZeroPad)):
        return row.shape == costs[row.layer.inputs[0]].shape
    if isinstance(row.layer, ReLU):
        source = row.layer.inputs[0]
        return isinstance(costs[source].layer, (Add, Subtract)) and uses[source] == 1
    return False


def _operations(layer: Layer, precision: Precision) -> tuple[str, ...]:
    if precision == "int16-ptq" and type(layer) in _INT16_OPERATIONS:
        return _INT16_OPERATIONS[type(layer)]
    return (_OPERATION[type(layer)],) if type(layer) in _OPERATION else ()


def _on_a_crop(content: bytes, graph: Graph, sample: Float32) -> tuple[bytes, Float32]:
    """Return the file at a smaller size, with the picture's upper left corner, where it
    is larger.
    """
    height, width = (min(side, graph.fits(CROP_SIDE)) for side in sample.shape[:2])
    return at_size(content, height, width), sample[:height, :width]


def _check_float(file: TfliteFile) -> None:
    for operation in file.operations:
        for tensor in operation.tensors:
            size = tensor.constant and tensor.dtype == "int32"  # of a resized output, for example
            if tensor.dtype != "float32" and not size:
                raise ConversionError(
                    f"{operation}: float promises float32 only, but {tensor.name!r} is "
                    f"{tensor.dtype}"
                )


def _check_integers(file: TfliteFile, precision: Precision) -> None:
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


def _check_weights(operation: Operation, precision: Precision) -> None:
    weights = operation.weights
    if operation.name not in _CONVOLUTIONS or weights is None:
        return
    channels = weights.shape[3 if operation.name == "DEPTHWISE_CONV_2D" else 0]
    scales = weights.quantization and weights.quantization.scales
    # The library trains transposed convolutions with one scale a tensor.
    single = precision == "int8-qat" and operation.name == "TRANSPOSE_CONV"
    if weights.dtype != "int8" or not scales or len(scales) != (1 if single else channels):
        wanted = "one scale" if single else f"a scale for each of {channels} channels"
        raise ConversionError(
            f"{operation}: expected int8 weights with {wanted}, "
            f"found {weights.dtype} with {len(scales or ())}"
        )


def _check_alive(operation: Operation) -> None:
    """Raise TrainingError where an output was (nearly) constant 0 while the ranges were calibrated.

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
    """Return the PSNR with 1 as the peak; None where the outputs are equal."""
    if not np.isfinite(artifact).all():
        raise ConversionError("the artifact's output is not finite where its model's is")
    error = float(np.mean(np.square(artifact.astype(np.float64) - model)))
    return None if error == 0 else 10 * math.log10(1 / error)
