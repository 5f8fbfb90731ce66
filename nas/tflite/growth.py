"""The rules by which the outputs of a `.tflite`'s operations grow with its picture.

`RULES` has one for each operation that is known: it takes a `GrowthStep` and returns the outputs'
dimensions. Rules of windows, resizings, paddings and cuts are in `nas.tflite.windows`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from nas.tflite.dims import Dim, Dims, Factor, GrowthStep, dim, fixed_dims, now, now_of, was, was_of
from nas.tflite.shapes import Shape
from nas.tflite.values import Values
from nas.tflite.windows import WINDOW_RULES, rewrite_changed, rewrite_shape


def _same(step: GrowthStep) -> list[Dims]:
    return [step[0]]


def _broadcast(step: GrowthStep) -> list[Dims]:
    """Give each axis, from the last one on, its larger side; a constant may have to
    grow with it.
    """
    rank = max(len(dims) for dims in step.inputs if dims is not None)
    dims = [fixed_dims([1] * (rank - len(one))) + one for one in step.inputs if one is not None]
    result = []
    for axis in range(rank):
        column = [one[axis] for one in dims]
        grown = [one for one in column if was(one) > 1 and was(one) != now(one)]
        result.append(grown[0] if grown else max(column, key=was))
    for place, one in enumerate(dims):
        for axis, (side, target) in enumerate(zip(one, result, strict=True)):
            if was(side) > 1 and now(side) != now(target):
                _grow_constant(step, place, axis - rank + len(step[place]), now(target))
    return [tuple(result)]


def _grow_constant(step: GrowthStep, place: int, axis: int, side: int) -> None:
    """Make a constant that is the same all along an axis as long there as the picture is now."""
    pair = step.values[place]
    if pair is None:
        raise step.refusal(f"its inputs differ in size at {step.new[1]}x{step.new[0]}")
    values = step.rewritten.get(place, pair[0])
    first = np.take(values, [0], axis=axis)
    if not (values == first).all():
        shape = "x".join(map(str, values.shape))
        raise step.refusal(
            f"it has constants of {shape} of its own, which are made for a picture of "
            f"{step.old[1]}x{step.old[0]}"
        )
    step.rewritten[place] = np.repeat(first, side, axis=axis)


def _reshape(step: GrowthStep) -> list[Dims]:
    computed = step.computed(1)
    if computed is not None:
        return [_as_computed(step, np.ravel(computed))]
    dims = _regrouped(step, step[0], step.outputs[0])
    if len(step.inputs) > 1 and step.values[1] is not None:
        return [rewrite_shape(step, 1, dims)]
    if getattr(step.options, "newShape", None) is not None:
        step.options.newShape = list(now_of(dims))
    return [dims]


def _as_computed(step: GrowthStep, shape: Values) -> Dims:
    rest = math.prod(now_of(step[0])) // max(1, math.prod(int(s) for s in shape if s >= 0))
    sides = [rest if side < 0 else int(side) for side in shape]
    return tuple(dim(*pair) for pair in zip(step.outputs[0], sides, strict=True))


def _squeezed(step: GrowthStep) -> list[Dims]:
    return [_regrouped(step, step[0], step.outputs[0])]


def _regrouped(step: GrowthStep, dims: Dims, shape: Shape) -> Dims:
    """Put the factors of `dims` into the dimensions of `shape`, in their order.

    A factor that has to be split keeps its inner part whole.
    """
    if any(factor[0] == 1 != factor[1] for one in dims for factor in one):
        raise step.refusal(
            "it takes one pixel for the whole picture, which are more in a larger one"
        )
    factors = [factor for one in dims for factor in one if factor != (1, 1)]
    result: list[Dim] = []
    for position, side in enumerate(shape):
        have, taken = 1, list[Factor]()
        last = position == len(shape) - 1
        while factors and (have < side or (last and factors)):
            old, new = factors.pop(0)
            wanted = side // have if side % have == 0 else 0
            if old <= wanted and wanted % old == 0:
                taken.append((old, new))
                have *= old
                continue
            outer, inner = _split(step, old, new, wanted)
            taken.append(outer)
            factors.insert(0, inner)
            have *= outer[0]
        if have != side:
            raise step.no_whole_size(shape)
        result.append(tuple(taken) or dim(1, 1))
    if factors:
        raise step.no_whole_size(shape)
    return tuple(result)


def _split(step: GrowthStep, old: int, new: int, outer: int) -> tuple[Factor, Factor]:
    """Split a factor that grows from `old` to `new` into an outer part and the rest inside it."""
    if not outer or old % outer:
        raise step.refusal(f"it divides {old} values in a way that is not followed here")
    inner = old // outer
    if old == new:
        return (outer, outer), (inner, inner)
    if new % inner:
        raise step.no_whole_size(step.outputs[0])
    return (outer, new // inner), (inner, inner)


def _transpose(step: GrowthStep) -> list[Dims]:
    return [tuple(step[0][int(axis)] for axis in step.constant(1))]


def _expand(step: GrowthStep) -> list[Dims]:
    axis = int(np.ravel(step.constant(1))[0])
    at = axis if axis >= 0 else len(step[0]) + 1 + axis
    return [(*step[0][:at], dim(1, 1), *step[0][at:])]


def _axis(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


def _concatenation(step: GrowthStep) -> list[Dims]:
    dims = [one for one in step.inputs if one is not None]
    axis, first = _axis(step.options.axis, len(dims[0])), dims[0]
    for one in dims[1:]:
        if any(
            now(a) != now(b) for n, (a, b) in enumerate(zip(first, one, strict=True)) if n != axis
        ):
            raise step.refusal(f"its inputs differ in size at {step.new[1]}x{step.new[0]}")
    joined = dim(sum(was(one[axis]) for one in dims), sum(now(one[axis]) for one in dims))
    return [(*first[:axis], joined, *first[axis + 1 :])]


def _pack(step: GrowthStep) -> list[Dims]:
    dims = [one for one in step.inputs if one is not None]
    if len({now_of(one) for one in dims}) > 1:
        raise step.refusal(f"its inputs differ in size at {step.new[1]}x{step.new[0]}")
    axis = _axis(step.options.axis, len(dims[0]) + 1)
    return [(*dims[0][:axis], dim(len(dims), len(dims)), *dims[0][axis:])]


def _unpack(step: GrowthStep) -> list[Dims]:
    axis = _axis(step.options.axis, len(step[0]))
    _unchanged(step, step[0][axis], "it takes the picture apart, one output a row or column")
    return [(*step[0][:axis], *step[0][axis + 1 :])] * len(step.outputs)


def _unchanged(step: GrowthStep, one: Dim, why: str) -> None:
    if was(one) != now(one):
        raise step.refusal(why)


def _split_evenly(step: GrowthStep) -> list[Dims]:
    dims, axis = step[1], _axis(int(np.ravel(step.constant(0))[0]), len(step[1]))
    return [_parted(step, dims, axis, shape) for shape in step.outputs]


def _split_by_sizes(step: GrowthStep) -> list[Dims]:
    axis = _axis(int(np.ravel(step.constant(2))[0]), len(step[0]))
    parts = [_parted(step, step[0], axis, shape) for shape in step.outputs]
    if was(step[0][axis]) != now(step[0][axis]):
        sizes = [now(part[axis]) for part in parts]
        rewrite_changed(step, {1: np.asarray(sizes, step.constant(1).dtype)})
    return parts


def _parted(step: GrowthStep, dims: Dims, axis: int, shape: Shape) -> Dims:
    """Return a part of `dims` in proportion; only halves and quarters are taken to be meant so."""
    of, side = dims[axis], shape[axis]
    if was(of) == now(of):
        return (*dims[:axis], dim(side, side), *dims[axis + 1 :])
    if was(of) not in (side, 2 * side, 4 * side):
        raise step.refusal(
            f"it takes {side} of {was(of)} pixels, which may be more in a larger one"
        )
    return (*dims[:axis], dim(side, step.scaled(side, of)), *dims[axis + 1 :])


def _reduce(step: GrowthStep) -> list[Dims]:
    data = step[0]
    axes = {_axis(int(axis), len(data)) for axis in np.ravel(step.constant(1))}
    if step.options.keepDims:
        return [tuple(dim(1, 1) if n in axes else one for n, one in enumerate(data))]
    return [tuple(one for n, one in enumerate(data) if n not in axes)]


def _arg(step: GrowthStep) -> list[Dims]:
    axis = _axis(int(np.ravel(step.constant(1))[0]), len(step[0]))
    return [(*step[0][:axis], *step[0][axis + 1 :])]


def _fully_connected(step: GrowthStep) -> list[Dims]:
    data, taken = step[0], was_of(step[1])[-1]
    rest, have = len(data), 1
    while rest and have < taken:
        rest -= 1
        have *= was(data[rest])
    if have != taken or any(was(one) != now(one) for one in data[rest:]):
        raise step.refusal(
            f"its weights are for {taken} values, as many as a picture of "
            f"{step.old[1]}x{step.old[0]} makes"
        )
    shape = step.outputs[0]
    return [(*_regrouped(step, data[:rest], shape[:-1]), *fixed_dims(shape[-1:]))]


def _matmul(step: GrowthStep) -> list[Dims]:
    x, y, o = step[0], step[1], step.options
    rows, inner = (x[-1], x[-2]) if o.adjX else (x[-2], x[-1])
    other, columns = (y[-1], y[-2]) if o.adjY else (y[-2], y[-1])
    if now(inner) != now(other):
        raise step.refusal(
            f"its weights are for {was(inner)} values, as many as a picture of "
            f"{step.old[1]}x{step.old[0]} makes"
        )
    return [(*(x if len(x) >= len(y) else y)[:-2], rows, columns)]


def _broadcast_to(step: GrowthStep) -> list[Dims]:
    computed, shape = step.computed(1), step.outputs[0]
    if computed is not None:
        return [tuple(dim(*pair) for pair in zip(shape, map(int, computed), strict=True))]
    data = fixed_dims([1] * (len(shape) - len(step[0]))) + step[0]
    return [
        rewrite_shape(
            step,
            1,
            tuple(of if was(of) > 1 else dim(s, s) for of, s in zip(data, shape, strict=True)),
        )
    ]


def _tile(step: GrowthStep) -> list[Dims]:
    return [
        tuple(
            one if int(times) == 1 else dim(was(one) * int(times), now(one) * int(times))
            for one, times in zip(step[0], step.constant(1), strict=True)
        )
    ]


def _gather(step: GrowthStep) -> list[Dims]:
    axis = _axis(getattr(step.options, "axis", 0), len(step[0]))
    _unchanged(step, step[0][axis], "it picks rows or columns by their numbers in its own size")
    return [(*step[0][:axis], *step[1], *step[0][axis + 1 :])]


def spread(step: GrowthStep) -> list[Dims]:
    """Return the outputs of an operation that makes something of no size as large as the picture.

    A noise level becomes a map so, and the mean of all pixels a background. The result is empty
    where the operation does nothing of the kind.
    """
    if step.name not in _SPREADING or step.inputs[0] is None:
        return []
    shape = step.outputs[0]
    sides = [(axis, axis + 1) for axis in range(max(0, len(shape) - 3), len(shape) - 1)]
    parts = {axes: step.part(shape[axes[0]], shape[axes[1]]) for axes in sides}
    axes = next((axes for axes, part in parts.items() if part is not None), None)
    part = parts[axes] if axes else None
    if axes is None or part is None:
        return []
    if step.name in WINDOW_RULES:
        return WINDOW_RULES[step.name](step)
    place = next((n for n, dims in enumerate(step.inputs) if dims and step.values[n] is None), 0)
    data = fixed_dims([1] * (len(shape) - len(step[place]))) + step[place]
    if any(was(data[axis]) != 1 for axis in axes):
        return []
    dims = list(fixed_dims(shape))
    for axis, side in zip(axes, part, strict=True):
        dims[axis] = dim(shape[axis], side)
    if step.name == "BROADCAST_TO":
        return [rewrite_shape(step, 1, tuple(dims))]
    if step.name == "TILE":
        times = [now(one) // was(of) for one, of in zip(dims, data, strict=True)]
        rewrite_changed(step, {1: np.asarray(times, step.constant(1).dtype)})
        return [tuple(dims)]
    for axis in axes:  # the product with a constant of ones
        _grow_constant(step, 1 - place, axis - len(shape) + len(step[1 - place]), now(dims[axis]))
    return [tuple(dims)]


def _sized(step: GrowthStep) -> list[Dims]:
    """Return the outputs' shapes as they were, as of SHAPE: it gives as many values as before."""
    return [fixed_dims(shape) for shape in step.outputs]


def _filled(step: GrowthStep) -> list[Dims]:
    computed = step.computed(0)
    if computed is None:
        return _sized(step)
    return [tuple(dim(*pair) for pair in zip(step.outputs[0], map(int, computed), strict=True))]


_BROADCASTING = [
    "ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "FLOOR_MOD", "POW", "MAXIMUM", "MINIMUM",
    "SQUARED_DIFFERENCE", "PRELU", "ADD_N", "EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL",
    "GREATER", "GREATER_EQUAL", "LOGICAL_AND", "LOGICAL_OR", "SELECT", "SELECT_V2", "ATAN2",
    "BITWISE_XOR", "RIGHT_SHIFT",
]  # fmt: skip
_SPREADING = frozenset(
    [
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "PAD",
        "PADV2",
        "BROADCAST_TO",
        "TILE",
        "MUL",
        "ADD",
    ]
)
_KEEPING = [
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "ELU", "GELU", "HARD_SWISH",
    "LOGISTIC", "TANH", "ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SQUARE", "SIN", "COS",
    "FLOOR", "CEIL", "ROUND", "SIGN", "CAST", "QUANTIZE", "DEQUANTIZE", "FAKE_QUANT",
    "LOGICAL_NOT", "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION",
    "REVERSE_V2", "CUMSUM", "ZEROS_LIKE",
]  # fmt: skip
_REDUCING = ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"]
# The rule of each operation, by its name.
RULES: Mapping[str, Callable[[GrowthStep], list[Dims]]] = {
    **WINDOW_RULES,
    **dict.fromkeys(_BROADCASTING, _broadcast),
    **dict.fromkeys(_KEEPING, _same),
    **dict.fromkeys(_REDUCING, _reduce),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _arg),
    **dict.fromkeys(("SHAPE", "RANK"), _sized),
    "RESHAPE": _reshape,
    "SQUEEZE": _squeezed,
    "EXPAND_DIMS": _expand,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split_evenly,
    "SPLIT_V": _split_by_sizes,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _matmul,
    "BROADCAST_TO": _broadcast_to,
    "TILE": _tile,
    "GATHER": _gather,
    "FILL": _filled,
}
