"""Fixes the size of a `.tflite`'s picture: of one left open, or another size than its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConfigError, ConversionError
from nas.tflite.editing import operation_name, packed, put_values
from nas.tflite.file import Tensor, TfliteFile, parse_tflite, read_tflite
from nas.tflite.resizing import at_size
from nas.tflite.shapes import Shape, allocated, picture_axes
from nas.tflite.values import Values, constant_values, evaluated, type_of

Size = tuple[int, int]


def check_fixed(file: TfliteFile, name: object) -> None:
    """Raise ConfigError where the file leaves its picture's size open: it has no latency then.

    `name` is the file's in the message.
    """
    if file.open_inputs:
        raise ConfigError(
            f"{name}: {_open(file)}, and how long it takes depends on the picture's size: "
            "give one (--size WIDTHxHEIGHT), or export the model at one"
        )


def size_conditions(file: TfliteFile) -> dict[str, Any]:
    """Return a measurement's conditions on its input: the picture's (width, height), and all
    shapes.
    """
    return {
        "size": list(file.size) if file.size else None,
        "input_shapes": [list(tensor.shape) for tensor in file.inputs],
    }


@contextmanager
def at_given_size(model: Path, size: Size | None) -> Iterator[Path]:
    """Yield the file to measure: `model`, or where it leaves its size open a copy fixed at `size`.

    `size` is (width, height). Raises ConfigError where one is needed and not given, or the file has
    another one, or no picture goes in; as `nas.tflite.file.read_tflite`, too.
    """
    file = read_tflite(model)
    if not file.open_inputs:
        _check_own(file, model, size)
        yield model
        return
    if size is None:
        check_fixed(file, model)
        return
    with TemporaryDirectory(prefix="sized-") as folder:
        path = Path(folder) / f"{model.stem}-{size[0]}x{size[1]}.tflite"
        try:
            path.write_bytes(fixed_at(model.read_bytes(), size, str(model)))
        except ConversionError as error:
            raise ConfigError(f"{model} can't run at {size[0]}x{size[1]}: {error}") from error
        yield path


@contextmanager
def at_other_size(model: Path, size: Size) -> Iterator[Path]:
    """Yield the file for pictures of `size` (width, height): itself, or a copy that is removed.

    Raises ConfigError where the file has no form of that size.
    """
    if read_tflite(model).size == size:
        yield model
        return
    with TemporaryDirectory(prefix="sized-") as folder:
        path = Path(folder) / model.name
        try:
            path.write_bytes(resized(model.read_bytes(), size, str(model)))
        except ConversionError as error:
            raise ConfigError(f"{model} can't run at {size[0]}x{size[1]}: {error}") from error
        yield path


def _check_own(file: TfliteFile, name: object, size: Size | None) -> None:
    if size is None or size == file.size:
        return
    shapes = " and ".join("x".join(map(str, tensor.shape)) for tensor in file.inputs)
    raise ConfigError(
        f"--size {size[0]}x{size[1]}: {name} has a size of its own, its input is {shapes}; leave "
        "--size out, or take `nas sweep`, which makes files of other sizes"
    )


def fixed_at(content: bytes, size: Size, name: str) -> bytes:
    """Return the file for pictures of `size` (width, height), which it leaves open; the batch is 1.

    What the file computes of its tensors' shapes is computed here, once, as a converter does for a
    fixed size. `name` is the file's in messages. Raises ConfigError where the file has an open side
    that is none of a picture, or a side that is not open and not of that size; ConversionError
    where LiteRT can't run it so.
    """
    file = parse_tflite(content, name)
    shapes = {tensor.index: _of_size(tensor, size, name) for tensor in file.inputs}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    main = model.subgraphs[0]
    allocations = allocated(content, shapes)
    for index, shape in shapes.items():
        main.tensors[index].shape = list(shape)
        main.tensors[index].shapeSignature = None
    while _fold(model, allocations):
        content = packed(model)
        allocations = allocated(content, shapes)
    for index, tensor in enumerate(main.tensors):
        if index in allocations:
            tensor.shape, tensor.shapeSignature = list(allocations[index]), None
    return packed(model)


def resized(content: bytes, size: Size, name: str, checked_at: Size | None = None) -> bytes:
    """Return the file for pictures of `size` (width, height), whether it leaves its own open or has
    one.

    A file of another size is checked: LiteRT works out the same shapes, and brought back to the old
    size it is the old file. With `checked_at` the file for that size is checked in its place, where
    `size` is too large for LiteRT on this machine. `name` is the file's in messages. Raises
    ConfigError as `fixed_at`, ConversionError, with the operation and the reason, where the file
    has no form of that size.
    """
    file = parse_tflite(content, name)
    if file.open_inputs:
        return fixed_at(content, size, name)
    if size == file.size or file.size is None:
        if file.size is None:
            shapes = " and ".join("x".join(map(str, tensor.shape)) for tensor in file.inputs)
            raise ConversionError(f"no picture goes into it: its input is {shapes or 'nothing'}")
        return content
    result = at_size(content, size[1], size[0], _run_by_litert(content, file))
    if checked_at is not None:
        resized(content, checked_at, name)
        return result
    allocations, old = _checked(result, size, name), file.size
    if not _alike(content, at_size(result, old[1], old[0], allocations)):
        raise ConversionError(
            f"what was made for {size[0]}x{size[1]} does not lead back to the file of "
            f"{old[0]}x{old[1]}: some size in it may be meant otherwise"
        )
    return result


def _run_by_litert(content: bytes, file: TfliteFile) -> dict[int, Shape]:
    try:
        return allocated(content, {tensor.index: tensor.shape for tensor in file.inputs})
    except ConversionError as error:
        raise ConversionError(
            f"a file of another size could not be checked, as LiteRT on this machine does not run "
            f"the file itself: {error}"
        ) from error


def _checked(content: bytes, size: Size, name: str) -> dict[int, Shape]:
    """Return the shapes that LiteRT works out; ConversionError unless they are the file's own."""
    file = parse_tflite(content, name)
    allocations = allocated(content, {tensor.index: tensor.shape for tensor in file.inputs})
    for operation in file.operations:
        for tensor in operation.outputs:
            if allocations.get(tensor.index, tensor.shape) != tensor.shape:
                side_text = "x".join(map(str, allocations[tensor.index]))
                raise ConversionError(
                    f"{operation}: LiteRT finds {side_text} instead for a picture of "
                    f"{size[0]}x{size[1]}"
                )
    if file.size != size:
        raise ConversionError(f"it takes pictures of {file.size}, not of {size}")
    return allocations


def _alike(one: bytes, other: bytes) -> bool:
    """Return whether two files have the same operations with the same constants."""
    rows = []
    for content in (one, other):
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        tensors = model.subgraphs[0].tensors
        rows.append(
            [
                (
                    operation_name(model, operation),
                    tuple(
                        (tensors[i].type, bytes(data))
                        for i in map(int, operation.inputs)
                        if i >= 0
                        and (data := model.buffers[tensors[i].buffer].data) is not None
                        and len(data)
                    ),
                )
                for operation in model.subgraphs[0].operators
            ]
        )
    return rows[0] == rows[1]


def _of_size(tensor: Tensor, size: Size, name: str) -> Shape:
    """Return an input's shape for a picture of `size`; its own where no side of it is open."""
    shape, axes = tensor.shape, picture_axes(tensor.shape)
    if min(shape, default=1) >= 1:
        return shape
    wanted = list(shape)
    if axes is not None:
        wanted[axes[0]], wanted[axes[1]] = size[1], size[0]
    if axes is None or min(wanted) < 1:
        raise ConfigError(
            f"{name}: its input {tensor.name!r} is {'x'.join(map(str, shape))} (-1: open), and "
            "--size tells width and height of a picture only; export the model at a fixed shape"
        )
    if any(was not in (-1, now) for was, now in zip(shape, wanted, strict=True)):
        raise ConfigError(
            f"{name}: its input {tensor.name!r} is {'x'.join(map(str, shape))} (-1: open), which "
            f"leaves no room for a picture of {size[0]}x{size[1]}"
        )
    return tuple(wanted)


def _fold(model: Any, allocations: dict[int, Shape]) -> bool:
    """Turn what follows from shapes alone into constants; return whether anything did."""
    main = model.subgraphs[0]
    constants: dict[int, Values] = {}

    def values(index: int) -> Values | None:
        if index in constants:
            return constants[index]
        return constant_values(model, main.tensors[index]) if index >= 0 else None

    remaining = []
    for operation in main.operators:
        name = operation_name(model, operation)
        inputs = [int(index) for index in operation.inputs]
        outputs = None
        if name in ("SHAPE", "RANK") and inputs[0] in allocations:
            shape = allocations[inputs[0]]
            of_type = main.tensors[int(operation.outputs[0])].type
            kind = np.int64 if of_type == schema.TensorType.INT64 else np.int32
            outputs = [np.asarray(shape if name == "SHAPE" else len(shape), kind)]
        elif any(index in constants for index in inputs):
            operands = [values(index) for index in inputs]
            present = [one for one in operands if one is not None]
            if len(present) == len(operands):
                outputs = evaluated(name, operation.builtinOptions, present)
        if outputs is None or len(outputs) != len(operation.outputs):
            remaining.append(operation)
            continue
        constants.update(zip(map(int, operation.outputs), outputs, strict=True))
    main.operators = remaining
    for index, constant in constants.items():
        tensor = main.tensors[index]
        put_values(model, tensor, constant)
        tensor.type, tensor.shape = type_of(constant), list(constant.shape)
        tensor.shapeSignature = None
    return bool(constants)


def _open(file: TfliteFile) -> str:
    shape = "x".join("?" if side < 1 else str(side) for side in file.open_inputs[0].shape)
    return f"its input is {shape} (?: left open)"
