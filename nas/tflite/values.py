"""Computes the small integer operations of a `.tflite` that make sizes of a tensor's shape.

A network whose picture has an open size asks a tensor for its shape and computes from it how far to
resize another. Where the shape is known, so is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Values = npt.NDArray[Any]
MOST_VALUES = 64
"""More than any tensor of sizes holds."""
_TYPES = {
    schema.TensorType.INT64: np.int64,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.BOOL: np.bool_,
}


def constant_values(model: Any, tensor: Any) -> Values | None:
    """Return the values that a file holds of a tensor; None where it holds none, or of
    a rare type.
    """
    data = model.buffers[tensor.buffer].data
    kind = _TYPES.get(tensor.type)
    if data is None or not len(data) or kind is None or tensor.sparsity is not None:
        return None
    shape = [] if tensor.shape is None else [int(side) for side in tensor.shape]
    return np.frombuffer(bytes(data), kind).reshape(shape)


def type_of(values: Values) -> int:
    """Return the format's number for a NumPy array's type; KeyError for a rare one."""
    numbers: dict[Any, int] = {np.dtype(kind): number for number, kind in _TYPES.items()}
    return numbers[values.dtype]


def evaluated(name: str, options: Any, inputs: Sequence[Values]) -> list[Values] | None:
    """Compute an operation's outputs; None where it computes no sizes, or has no result.

    `name` and `options` are the operation's in the file, `inputs` its inputs' values.
    """
    rule = _RULES.get(name)
    if rule is None or any(values.size > MOST_VALUES for values in inputs):
        return None
    try:
        with np.errstate(all="ignore"):
            outputs = rule(options, *inputs)
    except (ValueError, IndexError, TypeError, AttributeError, ZeroDivisionError):
        return None
    return [np.asarray(one) for one in (outputs if isinstance(outputs, list) else [outputs])]


def sliced(options: Any, begin: Values, end: Values, strides: Values, rank: int) -> tuple[Any, ...]:
    """Return the index by which NumPy cuts as a STRIDED_SLICE with these bounds does.

    `rank` is that of the tensor which is cut; IndexError where the index has more dimensions.
    """
    index: list[Any] = []
    for axis in range(len(begin)):
        bit = 1 << axis
        if options.ellipsisMask & bit:
            index.append(Ellipsis)
        elif options.newAxisMask & bit:
            index.append(np.newaxis)
        elif options.shrinkAxisMask & bit:
            index.append(int(begin[axis]))
        else:
            first = None if options.beginMask & bit else int(begin[axis])
            last = None if options.endMask & bit else int(end[axis])
            if getattr(options, "offset", False) and last is not None:
                last += int(begin[axis])
            index.append(slice(first, last, int(strides[axis])))
    if sum(one is not None and one is not Ellipsis for one in index) > rank:
        raise IndexError("more indices than dimensions")
    return tuple(index)


def _strided(options: Any, x: Values, begin: Values, end: Values, strides: Values) -> Values:
    part: Values = x[sliced(options, begin, end, strides, x.ndim)]
    return part


def _slice(_: Any, x: Values, begin: Values, size: Values) -> Values:
    index = tuple(
        slice(int(b), None if s < 0 else int(b + s)) for b, s in zip(begin, size, strict=True)
    )
    part: Values = x[index]
    return part


def _divided(_: Any, x: Values, y: Values) -> Values:
    if np.issubdtype(np.result_type(x, y), np.integer):  # towards 0, as in C
        whole: Values = (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)
        return whole
    quotient: Values = x / y
    return quotient


def _cast(options: Any, x: Values) -> Values:
    return x.astype(_TYPES.get(options.outDataType, np.int32))


def _binary(function: Callable[[Values, Values], Values]) -> Callable[..., Values]:
    return lambda _, x, y: function(x, y)


def _unary(function: Callable[[Values], Values]) -> Callable[..., Values]:
    return lambda _, x: function(x)


def _reduced(function: Callable[..., Values]) -> Callable[..., Values]:
    return lambda options, x, axes: function(
        x, axis=tuple(np.ravel(axes)), keepdims=bool(options.keepDims), dtype=x.dtype
    )


_RULES: Mapping[str, Callable[..., Any]] = {
    "STRIDED_SLICE": _strided,
    "SLICE": _slice,
    "GATHER": lambda o, x, i: np.take(x, i, axis=o.axis if o else 0),
    "PACK": lambda o, *x: np.stack(x, axis=o.axis),
    "UNPACK": lambda o, x: list(np.moveaxis(x, o.axis, 0)),
    "CONCATENATION": lambda o, *x: np.concatenate(x, axis=o.axis),
    "SPLIT": lambda o, axis, x: np.split(x, o.numSplits, axis=int(axis)),
    "RESHAPE": lambda o, x, *shape: x.reshape(np.ravel(shape[0]) if shape else o.newShape),
    "SQUEEZE": lambda o, x: x.squeeze(tuple(o.squeezeDims) if len(o.squeezeDims) else None),
    "EXPAND_DIMS": lambda o, x, axis: np.expand_dims(x, int(np.ravel(axis)[0])),
    "TRANSPOSE": lambda o, x, order: x.transpose(order),
    "CAST": _cast,
    "ADD": _binary(np.add),
    "SUB": _binary(np.subtract),
    "MUL": _binary(np.multiply),
    "DIV": _divided,
    "FLOOR_DIV": _binary(np.floor_divide),
    "FLOOR_MOD": _binary(np.mod),
    "MINIMUM": _binary(np.minimum),
    "MAXIMUM": _binary(np.maximum),
    "EQUAL": _binary(np.equal),
    "NOT_EQUAL": _binary(np.not_equal),
    "LESS": _binary(np.less),
    "LESS_EQUAL": _binary(np.less_equal),
    "GREATER": _binary(np.greater),
    "GREATER_EQUAL": _binary(np.greater_equal),
    "LOGICAL_AND": _binary(np.logical_and),
    "LOGICAL_OR": _binary(np.logical_or),
    "SELECT": lambda _, c, x, y: np.where(c, x, y),
    "SELECT_V2": lambda _, c, x, y: np.where(c, x, y),
    "NEG": _unary(np.negative),
    "ABS": _unary(np.abs),
    "FLOOR": _unary(np.floor),
    "CEIL": _unary(np.ceil),
    "ROUND": _unary(np.rint),
    "REDUCE_PROD": _reduced(np.prod),
    "SUM": _reduced(np.sum),
    "FILL": lambda _, shape, value: np.full(tuple(shape), value),
    "BROADCAST_TO": lambda _, x, shape: np.broadcast_to(x, tuple(shape)).copy(),
    "BROADCAST_ARGS": lambda _, x, y: np.asarray(
        np.broadcast_shapes(tuple(x), tuple(y)), dtype=x.dtype
    ),
    "RANGE": lambda _, start, stop, step: np.arange(start, stop, step, dtype=start.dtype),
}
