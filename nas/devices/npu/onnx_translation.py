"""A `.tflite` file as an ONNX file that computes the same. Needs the extra `npu`.

The same operations in the same order, with the same integers and scales: an estimate that is made
of the ONNX file is one of the file that would ship.
"""

from __future__ import annotations

from collections.abc import Iterable

from nas.devices.npu.onnx_operations import OPERATIONS, Step
from nas.devices.npu.onnx_tensors import FILE, OnnxTensors
from nas.errors import ConversionError
from nas.tflite.constants import constants
from nas.tflite.file import Tensor, TfliteFile, parse_tflite

FORM = 1
"""Counted up whenever the same file becomes another ONNX file."""


def translated(content: bytes, name: str, subgraph: int = 0) -> bytes:
    """The ONNX file of a `.tflite`'s graph; its inputs and outputs are as in the file.

    `name` is what errors call it; `subgraph` picks another graph than the main one. Raises
    ConfigError where the content is no `.tflite`, ConversionError, naming the operation, where it
    holds one that has no translation, or a shape that is not fixed.
    """
    file = parse_tflite(content, name, subgraph)
    check_translatable(file, name)
    tensors = OnnxTensors(file, constants(content, subgraph))
    for operation in file.operations:
        tensors.graph.operation = operation.index
        OPERATIONS[operation.name](Step(operation, tensors))
    _finish(file, tensors)
    try:
        return tensors.graph.model(_ends(file.inputs, "input"), _ends(file.outputs, "output"))
    except ValueError as error:
        raise ConversionError(f"{name} has no valid ONNX form: {error}") from error


def check_translatable(file: TfliteFile, name: str) -> None:
    """Raise ConversionError, naming the operation or tensor, where there is no translation."""
    for operation in file.operations:
        if operation.name not in OPERATIONS:
            raise ConversionError(
                f"{name}: {operation} has no translation to ONNX; "
                f"known are {', '.join(sorted(OPERATIONS))}"
            )
        for tensor in operation.tensors:
            if min(tensor.shape, default=1) < 1:
                raise ConversionError(
                    f"{name}: {operation}: the shape {tensor.shape} is not fixed; "
                    "export the model at a fixed height and width"
                )


def _finish(file: TfliteFile, tensors: OnnxTensors) -> None:
    """Write the outputs that nothing has written in the file's layout."""
    for tensor in file.outputs:
        if not tensors.is_written(tensor, FILE):
            tensors.transpose(tensor, FILE)


def _ends(tensors: Iterable[Tensor], stem: str) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(f"{stem}{n}", tensor.dtype, tensor.shape) for n, tensor in enumerate(tensors)]
