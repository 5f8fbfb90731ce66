"""How an operation's output grows with a picture: a rule for each operation of a `.tflite`.

A dimension is a row of factors, the outermost first, each as it was and as it is now: so a reshape
that merges height with width, or splits blocks off them, is followed. Amounts at a picture's edges
(paddings, crops) stay as they are; sizes stay in proportion to the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nas.errors import ConversionError
from nas.tflite.shapes import Shape
from nas.tflite.values import Values

Dim = tuple[tuple[int, int], ...]
Dims = tuple[Dim, ...]
Pair = tuple[Values, Values]


def dim(was: int, now: int) -> Dim:
    """A dimension of one factor."""
    return ((was, now),)


def was(one: Dim) -> int:
    """What the dimension was in the file."""
    return math.prod(factor[0] for factor in one)


def now(one: Dim) -> int:
    """What it is at the new size."""
    return math.prod(factor[1] for factor in one)


def was_of(dims: Dims) -> Shape:
    """The shape in the file."""
    return tuple(map(was, dims))


def now_of(dims: Dims) -> Shape:
    """The shape at the new size."""
    return tuple(map(now, dims))


def fixed_dims(shape: Iterable[int]) -> Dims:
    """Dimensions that don't change."""
    return tuple(dim(side, side) for side in shape)


@final
@dataclass
class Step:
    """One operation: its inputs as they grow, and its outputs' shapes in the file.

    `values` are inputs' values in the file and now, None where they are computed from pictures.
    `old`, `new` are the picture's (height, width). `windowed`: a convolution or a pooling without
    padding of its own reads the output. A rule puts new values for a constant into `rewritten`,
    by the input's place.
    """

    label: str
    name: str
    options: Any
    inputs: list[Dims | None]
    values: list[Pair | None]
    outputs: list[Shape]
    old: tuple[int, int]
    new: tuple[int, int]
    windowed: bool = False
    rewritten: dict[int, Values] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether an input has another size, or other values, than in the file."""
        grown = any(dims is not None and was_of(dims) != now_of(dims) for dims in self.inputs)
        return grown or any(pair is not None and pair[0] is not pair[1] for pair in self.values)

    def __getitem__(self, place: int) -> Dims:
        dims = self.inputs[place] if place < len(self.inputs) else None
        if dims is None:
            raise self.refusal(f"its input {place} is missing")
        return dims

    def told(self, place: int) -> Values:
        """An input's values in the file; raises ConversionError where they are not known."""
        pair = self.values[place] if place < len(self.values) else None
        if pair is None:
            raise self.refusal("its sizes are computed while it runs")
        return pair[0]

    def computed(self, place: int) -> Values | None:
        """The values now, where the file computes them from shapes: nothing has to be rewritten."""
        pair = self.values[place] if place < len(self.values) else None
        return pair[1] if pair is not None and pair[0] is not pair[1] else None

    def part(self, height: int, width: int) -> tuple[int, int] | None:
        """The new (height, width) where they are the picture's over a power of two, rounded up."""
        if max(height, width) == 1:
            return None
        power = round(math.log2(self.old[0] / height))
        for size, side in zip(self.old, (height, width), strict=True):
            if _over(size, power) != side:
                return None
        return _over(self.new[0], power), _over(self.new[1], power)

    def refusal(self, why: str) -> ConversionError:
        """The error that names this operation."""
        return ConversionError(f"{self.label}: {why}")

    def no_whole_size(self, shape: Shape) -> ConversionError:
        """The error for what is no whole number of pixels at the new size."""
        return self.refusal(
            f"{list(shape)} has no whole size in a picture of {self.new[1]}x{self.new[0]} instead "
            f"of {self.old[1]}x{self.old[0]}"
        )

    def unruled(self) -> list[Dims]:
        """An operation without a rule: one that keeps its input's shape is taken to keep it."""
        for dims in self.inputs:
            if dims is not None and was_of(dims) != now_of(dims):
                if self.outputs == [was_of(dims)]:
                    return [dims]
                break
        raise self.refusal("how its output grows with the picture is not known here")

    def scaled(self, side: int, of: Dim) -> int:
        """`side` in proportion to a dimension; raises ConversionError where that is not whole."""
        result, rest = divmod(side * now(of), was(of))
        if rest or result < 1:
            raise self.no_whole_size(self.outputs[0])
        return result


def _over(side: int, power: int) -> int:
    return -(-side // 2**power) if power >= 0 else side * 2**-power


def _same(step: Step) -> list[Dims]:
    return [step[0]]


def _broadcast(step: Step) -> list[Dims]:
    """The larger of the dimensions, from the last one on; a constant may have to grow with it."""
    rank = max(len(dims) for dims in step.inputs if dims is not None)
    dims = [fixed_dims([1] * (rank - len(one))) + one for one in step.inputs if one is not None]
    result = []
    for axis in range(rank):
        column = [one[axis] for one in dims]
        result.append(next((d for d in column if was(d) > 1 and was(d) != now(d)), None)
                      or max(column, key=was))  # fmt: skip
    for place, one in enumerate(dims):
        for axis, (side, target) in enumerate(zip(one, result, strict=True)):
            if was(side) > 1 and now(side) != now(target):
                _grow_constant(step, place, axis - rank + len(step[place]), now(target))
    return [tuple(result)]


def _grow_constant(step: Step, place: int, axis: int, side: int) -> None:
    """A constant that is the same all along an axis: made as long as the picture is now."""
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


def _window(step: Step, of: Dim, size: int, stride: int, dilation: int = 1) -> Dim:
    """A dimension after a window: padded so that every pixel has one, or only where it fits."""
    b, n = was(of), now(of)
    reach = (size - 1) * dilation + 1
    same = step.options.padding == schema.Padding.SAME
    if n == b:
        return dim(*2 * (-(-b // stride) if same else (b - reach) // stride + 1,))
    if (same or reach == stride) and (n - b) % stride:  # else another pixel would be the first
        raise step.no_whole_size(step.outputs[0])
    if same:
        return dim(-(-b // stride), -(-n // stride))
    if reach == b > 1 and n != b:
        raise step.refusal(
            f"its window covers all {b} pixels that come, so that it is made for a picture of "
            f"{step.old[1]}x{step.old[0]} only"
        )
    if n < reach:
        raise step.no_whole_size(step.outputs[0])
    return dim((b - reach) // stride + 1, (n - reach) // stride + 1)


def _conv_2d(step: Step) -> list[Dims]:
    data, kernel, o = step[0], was_of(step[1]), step.options
    height = _window(step, data[1], kernel[1], o.strideH, o.dilationHFactor)
    width = _window(step, data[2], kernel[2], o.strideW, o.dilationWFactor)
    return [(data[0], height, width, *fixed_dims(step.outputs[0][3:]))]


def _pool(step: Step) -> list[Dims]:
    """A pooling; one of all pixels, of which another part of the network makes a factor, stays so."""
    data, o = step[0], step.options
    if (o.filterHeight, o.filterWidth) == was_of(data)[1:3] and step.outputs[0][1:3] == (1, 1):
        o.filterHeight, o.filterWidth = now_of(data)[1:3]
        return [(data[0], dim(1, 1), dim(1, 1), data[3])]
    height = _window(step, data[1], o.filterHeight, o.strideH)
    width = _window(step, data[2], o.filterWidth, o.strideW)
    return [(data[0], height, width, data[3])]


def _conv_3d(step: Step) -> list[Dims]:
    data, kernel, o = step[0], was_of(step[1]), step.options
    sides = [
        _window(step, data[1], kernel[0], o.strideD, o.dilationDFactor),
        _window(step, data[2], kernel[1], o.strideH, o.dilationHFactor),
        _window(step, data[3], kernel[2], o.strideW, o.dilationWFactor),
    ]
    return [(data[0], *sides, *fixed_dims(step.outputs[0][4:]))]


def _transpose_conv(step: Step) -> list[Dims]:
    return _transposed(step, (step.options.strideH, step.options.strideW))


def _conv_3d_transpose(step: Step) -> list[Dims]:
    return _transposed(step, (step.options.strideD, step.options.strideH, step.options.strideW))


def _transposed(step: Step, strides: Sequence[int]) -> list[Dims]:
    data, shape = step[2], step.outputs[0]
    computed = step.computed(0)
    sides = [
        dim(side, side + (now(of) - was(of)) * stride)
        for side, of, stride in zip(shape[1:], data[1:], strides, strict=False)
    ]
    dims = (data[0], *sides, *fixed_dims(shape[-1:]))
    if computed is not None:
        return [tuple(dim(*pair) for pair in zip(shape, map(int, computed), strict=True))]
    step.told(0)
    return [_shape_told(step, 0, dims)]


def _shape_told(step: Step, place: int, dims: Dims) -> Dims:
    """Dimensions that a constant tells, which is rewritten where they changed; -1 stays."""
    told, shape = step.told(place), now_of(dims)
    if told.size != len(shape):
        raise step.refusal(f"it tells {told.size} sizes for {len(shape)} dimensions")
    values = np.where(np.ravel(told) == -1, -1, np.asarray(shape)).astype(told.dtype)
    if (values != np.ravel(told)).any():
        step.rewritten[place] = values.reshape(told.shape)
    return dims


def _resize(step: Step) -> list[Dims]:
    data, (_, height, width, _) = step[0], step.outputs[0]
    computed = step.computed(1)
    part = step.part(height, width)
    grows = now(data[1]) != was(data[1]) or now(data[2]) != was(data[2])
    if computed is not None:
        sides = (int(computed[0]), int(computed[1]))
    elif part is not None:
        sides = part
    elif not grows:
        sides = (height, width)
    elif height * was(data[2]) != width * was(data[1]):
        raise step.refusal(
            f"it makes {was(data[2])}x{was(data[1])} into {width}x{height}, a size of its own, "
            "which is in no proportion to the picture"
        )
    else:
        sides = (step.scaled(height, data[1]), step.scaled(width, data[2]))
    if computed is None and sides != (height, width):
        step.rewritten[1] = np.asarray(sides, step.told(1).dtype)
    return [(data[0], dim(height, sides[0]), dim(width, sides[1]), data[3])]


def _pad(step: Step) -> list[Dims]:
    """Amounts stay; what fills up to a part of the picture, still does."""
    data, told = step[0], step.told(1)
    computed = step.computed(1)
    amounts = told if computed is None else computed
    dims = [
        dim(was(of) + int(old.sum()), now(of) + int(new.sum()))
        for of, old, new in zip(data, told, amounts, strict=True)
    ]
    axes = [axis for axis, of in enumerate(data) if was(of) != now(of)]
    if computed is None and len(axes) == 2 and not step.windowed:
        part = step.part(was(dims[axes[0]]), was(dims[axes[1]]))
        if part is not None and part != tuple(now(dims[axis]) for axis in axes):
            rewritten = told.copy()
            for axis, side in zip(axes, part, strict=True):
                rewritten[axis] = _around(step, told[axis], side - now(data[axis]))
                dims[axis] = dim(was(dims[axis]), side)
            step.rewritten[1] = rewritten
    return [tuple(dims)]


def _around(step: Step, amounts: Values, total: int) -> list[int]:
    """So much on both sides together, divided as it was."""
    if total < 0:
        raise step.no_whole_size(step.outputs[0])
    before, after = (int(amount) for amount in amounts)
    if not before and after:
        return [0, total]
    if before and not after:
        return [total, 0]
    return [total // 2, total - total // 2]


def _slice(step: Step) -> list[Dims]:
    data, begin, size = step[0], step.told(1).copy(), step.told(2).copy()
    if step.computed(1) is not None or step.computed(2) is not None:
        begin_now, size_now = (c if (c := step.computed(p)) is not None else step.told(p)
                               for p in (1, 2))  # fmt: skip
        return [
            tuple(
                dim(o, n - int(b) if s < 0 else int(s))
                for o, n, b, s in zip(
                    step.outputs[0], now_of(data), begin_now, size_now, strict=True
                )
            )
        ]
    dims = list(data)
    for axis, of in enumerate(data):
        first, count = int(begin[axis]), int(size[axis])
        last = was(of) if count < 0 else first + count
        if was(of) == now(of) or (first, last) == (0, was(of)):
            if was(of) == now(of):
                dims[axis] = dim(last - first, last - first)
            elif count >= 0:
                size[axis] = now(of)
            continue
        start, stop = _bound(step, first, of), _bound(step, last, of)
        dims[axis] = dim(last - first, stop - start)
        begin[axis] = start
        size[axis] = count if count < 0 else stop - start
    _note(step, {1: begin, 2: size})
    return [tuple(dims)]


def _note(step: Step, values: Mapping[int, Values]) -> None:
    for place, new in values.items():
        if (new != step.told(place)).any():
            step.rewritten[place] = new


def _bound(step: Step, place: int, of: Dim) -> int:
    """Where a cut through a dimension lies now: as far from the nearer edge, or in proportion."""
    b, n = was(of), now(of)
    if 4 * place < b:
        return place
    if 4 * (b - place) < b:
        return n - (b - place)
    share = place / b
    if share in (0.25, 0.5, 0.75) and place * n % b == 0:
        return place * n // b
    raise step.refusal(f"it cuts at {place} of {b} pixels, which may lie elsewhere in a larger one")


def _strided_slice(step: Step) -> list[Dims]:
    data, o = step[0], step.options
    if o.ellipsisMask or o.newAxisMask or getattr(o, "offset", False):
        raise step.refusal("its form of indices can't be rewritten here")
    if any(step.computed(place) is not None for place in (1, 2)):
        raise step.refusal("its bounds are computed while it runs")
    begin, end, strides = step.told(1).copy(), step.told(2).copy(), step.told(3)
    dims: list[Dim] = []
    for axis, of in enumerate(data):
        bit, b = 1 << axis, was(of)
        if axis >= len(begin):
            dims.append(of)
            continue
        stride = int(strides[axis])
        if o.shrinkAxisMask & bit:
            index = int(begin[axis]) % b if b else 0
            begin[axis] = int(begin[axis]) if begin[axis] < 0 else _bound(step, index, of)
            end[axis] = begin[axis] + 1
            continue
        bounds = slice(
            None if o.beginMask & bit else int(begin[axis]),
            None if o.endMask & bit else int(end[axis]),
            stride,
        )
        if b == now(of):
            count = len(range(*bounds.indices(b)))
            dims.append(of if count == b else dim(count, count))
            continue
        dims.append(_cut(step, of, bounds, begin, end, axis))
    if not any(axis < len(begin) and was(of) != now(of) for axis, of in enumerate(data)):
        return [tuple(dims)]
    _note(step, {1: begin, 2: end})
    return [tuple(dims)]


def _cut(step: Step, of: Dim, bounds: slice, begin: Values, end: Values, axis: int) -> Dim:
    """A grown dimension between bounds, which are moved where they are told in pixels."""
    b, n, stride = was(of), now(of), int(bounds.step)
    first, last, _ = bounds.indices(b)
    if stride < 0:
        if (bounds.start, bounds.stop) != (None, None):
            raise step.refusal("it turns a part of the picture round")
        return of if stride == -1 else dim(-(-b // -stride), -(-n // -stride))
    start, stop = _bound(step, first, of), n if last == b else _bound(step, last, of)
    if stride > 1 and (stop - start - last + first) % stride:
        raise step.no_whole_size(step.outputs[0])
    if bounds.start is not None and bounds.start >= 0:
        begin[axis] = start
    if bounds.stop is not None and bounds.stop >= 0:
        end[axis] = stop
    if bounds.start is not None and bounds.start < 0:
        begin[axis] = start
    if bounds.stop is not None and bounds.stop < 0:
        end[axis] = stop
    whole = (first, last, stride) == (0, b, 1)
    return of if whole else dim(-(-(last - first) // stride), -(-(stop - start) // stride))


def _reshape(step: Step) -> list[Dims]:
    computed = step.computed(1)
    if computed is not None:
        return [_as_computed(step, np.ravel(computed))]
    dims = _regrouped(step, step[0], step.outputs[0])
    if len(step.inputs) > 1 and step.values[1] is not None:
        return [_shape_told(step, 1, dims)]
    if getattr(step.options, "newShape", None) is not None:
        step.options.newShape = list(now_of(dims))
    return [dims]


def _as_computed(step: Step, shape: Values) -> Dims:
    rest = math.prod(now_of(step[0])) // max(1, math.prod(int(s) for s in shape if s >= 0))
    sides = [rest if side < 0 else int(side) for side in shape]
    return tuple(dim(*pair) for pair in zip(step.outputs[0], sides, strict=True))


def _squeezed(step: Step) -> list[Dims]:
    return [_regrouped(step, step[0], step.outputs[0])]


def _regrouped(step: Step, dims: Dims, shape: Shape) -> Dims:
    """The same factors in other dimensions; one that is split keeps its inner part."""
    factors = [factor for one in dims for factor in one if factor != (1, 1)]
    result: list[Dim] = []
    for position, side in enumerate(shape):
        have, taken = 1, list[tuple[int, int]]()
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


def _split(step: Step, old: int, new: int, outer: int) -> tuple[tuple[int, int], tuple[int, int]]:
    if not outer or old % outer:
        raise step.refusal(f"it divides {old} values in a way that is not followed here")
    inner = old // outer
    if old == new:
        return (outer, outer), (inner, inner)
    if new % inner:
        raise step.no_whole_size(step.outputs[0])
    return (outer, new // inner), (inner, inner)


def _transpose(step: Step) -> list[Dims]:
    return [tuple(step[0][int(axis)] for axis in step.told(1))]


def _expand(step: Step) -> list[Dims]:
    axis = int(np.ravel(step.told(1))[0])
    at = axis if axis >= 0 else len(step[0]) + 1 + axis
    return [(*step[0][:at], dim(1, 1), *step[0][at:])]


def _axis(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


def _concatenation(step: Step) -> list[Dims]:
    dims = [one for one in step.inputs if one is not None]
    axis, first = _axis(step.options.axis, len(dims[0])), dims[0]
    for one in dims[1:]:
        if any(
            now(a) != now(b) for n, (a, b) in enumerate(zip(first, one, strict=True)) if n != axis
        ):
            raise step.refusal(f"its inputs differ in size at {step.new[1]}x{step.new[0]}")
    joined = dim(sum(was(one[axis]) for one in dims), sum(now(one[axis]) for one in dims))
    return [(*first[:axis], joined, *first[axis + 1 :])]


def _pack(step: Step) -> list[Dims]:
    dims = [one for one in step.inputs if one is not None]
    if len({now_of(one) for one in dims}) > 1:
        raise step.refusal(f"its inputs differ in size at {step.new[1]}x{step.new[0]}")
    axis = _axis(step.options.axis, len(dims[0]) + 1)
    return [(*dims[0][:axis], dim(len(dims), len(dims)), *dims[0][axis:])]


def _unpack(step: Step) -> list[Dims]:
    axis = _axis(step.options.axis, len(step[0]))
    _unchanged(step, step[0][axis], "it takes the picture apart, one output a row or column")
    return [(*step[0][:axis], *step[0][axis + 1 :])] * len(step.outputs)


def _unchanged(step: Step, one: Dim, why: str) -> None:
    if was(one) != now(one):
        raise step.refusal(why)


def _split_evenly(step: Step) -> list[Dims]:
    dims, axis = step[1], _axis(int(np.ravel(step.told(0))[0]), len(step[1]))
    return [_parted(step, dims, axis, shape) for shape in step.outputs]


def _split_told(step: Step) -> list[Dims]:
    axis = _axis(int(np.ravel(step.told(2))[0]), len(step[0]))
    parts = [_parted(step, step[0], axis, shape) for shape in step.outputs]
    if was(step[0][axis]) != now(step[0][axis]):
        sizes = [now(part[axis]) for part in parts]
        _note(step, {1: np.asarray(sizes, step.told(1).dtype)})
    return parts


def _parted(step: Step, dims: Dims, axis: int, shape: Shape) -> Dims:
    """A part in proportion; only equal halves and quarters are taken to be meant so."""
    of, side = dims[axis], shape[axis]
    if was(of) == now(of):
        return (*dims[:axis], dim(side, side), *dims[axis + 1 :])
    if was(of) not in (side, 2 * side, 4 * side):
        raise step.refusal(
            f"it takes {side} of {was(of)} pixels, which may be more in a larger one"
        )
    return (*dims[:axis], dim(side, step.scaled(side, of)), *dims[axis + 1 :])


def _reduce(step: Step) -> list[Dims]:
    data = step[0]
    axes = {_axis(int(axis), len(data)) for axis in np.ravel(step.told(1))}
    if step.options.keepDims:
        return [tuple(dim(1, 1) if n in axes else one for n, one in enumerate(data))]
    return [tuple(one for n, one in enumerate(data) if n not in axes)]


def _arg(step: Step) -> list[Dims]:
    axis = _axis(int(np.ravel(step.told(1))[0]), len(step[0]))
    return [(*step[0][:axis], *step[0][axis + 1 :])]


def _depth_to_space(step: Step) -> list[Dims]:
    n, height, width, depth = step[0]
    block = (step.options.blockSize, step.options.blockSize)
    return [(n, (*height, block), (*width, block), dim(*2 * (was(depth) // block[0] ** 2,)))]


def _space_to_depth(step: Step) -> list[Dims]:
    n, height, width, depth = step[0]
    block = step.options.blockSize
    sides = [dim(was(one) // block, step.scaled(was(one) // block, one)) for one in (height, width)]
    return [(n, *sides, dim(*2 * (was(depth) * block**2,)))]


def _space_to_batch(step: Step) -> list[Dims]:
    blocks, paddings = step.told(1), step.told(2)
    sides = []
    for of, block, (before, after) in zip(step[0][1:], blocks, paddings, strict=False):
        old, new = was(of) + int(before + after), now(of) + int(before + after)
        if new % int(block):
            raise step.no_whole_size(step.outputs[0])
        sides.append(dim(old // int(block), new // int(block)))
    batch = was(step[0][0]) * math.prod(map(int, blocks))
    return [(dim(batch, batch), *sides, *step[0][1 + len(blocks) :])]


def _batch_to_space(step: Step) -> list[Dims]:
    blocks, crops = step.told(1), step.told(2)
    sides = [
        dim(was(of) * int(block) - int(cut.sum()), now(of) * int(block) - int(cut.sum()))
        for of, block, cut in zip(step[0][1:], blocks, crops, strict=False)
    ]
    batch = was(step[0][0]) // math.prod(map(int, blocks))
    return [(dim(batch, batch), *sides, *step[0][1 + len(blocks) :])]


def _fully_connected(step: Step) -> list[Dims]:
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


def _matmul(step: Step) -> list[Dims]:
    x, y, o = step[0], step[1], step.options
    rows, inner = (x[-1], x[-2]) if o.adjX else (x[-2], x[-1])
    other, columns = (y[-1], y[-2]) if o.adjY else (y[-2], y[-1])
    if now(inner) != now(other):
        raise step.refusal(
            f"its weights are for {was(inner)} values, as many as a picture of "
            f"{step.old[1]}x{step.old[0]} makes"
        )
    return [(*(x if len(x) >= len(y) else y)[:-2], rows, columns)]


def _broadcast_to(step: Step) -> list[Dims]:
    computed, shape = step.computed(1), step.outputs[0]
    if computed is not None:
        return [tuple(dim(*pair) for pair in zip(shape, map(int, computed), strict=True))]
    data = fixed_dims([1] * (len(shape) - len(step[0]))) + step[0]
    return [
        _shape_told(
            step,
            1,
            tuple(of if was(of) > 1 else dim(s, s) for of, s in zip(data, shape, strict=True)),
        )
    ]


def _tile(step: Step) -> list[Dims]:
    return [
        tuple(
            one if int(times) == 1 else dim(was(one) * int(times), now(one) * int(times))
            for one, times in zip(step[0], step.told(1), strict=True)
        )
    ]


def _gather(step: Step) -> list[Dims]:
    axis = _axis(getattr(step.options, "axis", 0), len(step[0]))
    _unchanged(step, step[0][axis], "it picks rows or columns by their numbers in its own size")
    return [(*step[0][:axis], *step[1], *step[0][axis + 1 :])]


def _sized(step: Step) -> list[Dims]:
    """SHAPE, and what else has as many values as before."""
    return [fixed_dims(shape) for shape in step.outputs]


def _filled(step: Step) -> list[Dims]:
    computed = step.computed(0)
    if computed is None:
        return _sized(step)
    return [tuple(dim(*pair) for pair in zip(step.outputs[0], map(int, computed), strict=True))]


_BROADCASTING = (
    "ADD SUB MUL DIV FLOOR_DIV FLOOR_MOD POW MAXIMUM MINIMUM SQUARED_DIFFERENCE PRELU ADD_N "
    "EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL LOGICAL_AND LOGICAL_OR SELECT "
    "SELECT_V2 ATAN2 BITWISE_XOR RIGHT_SHIFT"
).split()
_KEEPING = (
    "RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 LEAKY_RELU ELU GELU HARD_SWISH LOGISTIC TANH ABS NEG EXP "
    "LOG SQRT RSQRT SQUARE SIN COS FLOOR CEIL ROUND SIGN CAST QUANTIZE DEQUANTIZE FAKE_QUANT "
    "LOGICAL_NOT SOFTMAX LOG_SOFTMAX L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION REVERSE_V2 "
    "CUMSUM ZEROS_LIKE"
).split()
_REDUCING = "MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL".split()
RULES: Mapping[str, Callable[[Step], list[Dims]]] = {
    **dict.fromkeys(_BROADCASTING, _broadcast),
    **dict.fromkeys(_KEEPING, _same),
    **dict.fromkeys(_REDUCING, _reduce),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _conv_2d),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"), _pool),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _arg),
    **dict.fromkeys(("SHAPE", "RANK"), _sized),
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "TRANSPOSE_CONV": _transpose_conv,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeezed,
    "EXPAND_DIMS": _expand,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split_evenly,
    "SPLIT_V": _split_told,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _matmul,
    "BROADCAST_TO": _broadcast_to,
    "TILE": _tile,
    "GATHER": _gather,
    "FILL": _filled,
}
