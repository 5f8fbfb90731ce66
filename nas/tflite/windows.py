"""The rules by which the outputs of windows, resizings, paddings and cuts grow with a picture.

Amounts at a picture's edges (paddings, crops) stay as they are; sizes stay in proportion to the
picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nas.tflite.dims import Dim, Dims, GrowthStep, dim, fixed_dims, now, now_of, was, was_of
from nas.tflite.values import Values


def _window(step: GrowthStep, of: Dim, size: int, stride: int, dilation: int = 1) -> Dim:
    """Return a dimension after a window: padded so that every pixel has one, or only
    where it fits.
    """
    b, n = was(of), now(of)
    reach = (size - 1) * dilation + 1
    same = step.options.padding == schema.Padding.SAME
    if n == b:
        return dim(*2 * (-(-b // stride) if same else (b - reach) // stride + 1,))
    if (same or reach == stride) and (n - b) % stride:  # else another pixel would be the first
        raise step.no_whole_size(step.outputs[0])
    if same:
        return dim(-(-b // stride), -(-n // stride))
    if n < reach:
        raise step.no_whole_size(step.outputs[0])
    return dim((b - reach) // stride + 1, (n - reach) // stride + 1)


def _conv_2d(step: GrowthStep) -> list[Dims]:
    data, kernel, o = step[0], was_of(step[1]), step.options
    height = _window(step, data[1], kernel[1], o.strideH, o.dilationHFactor)
    width = _window(step, data[2], kernel[2], o.strideW, o.dilationWFactor)
    return [(data[0], height, width, *fixed_dims(step.outputs[0][3:]))]


def _pool(step: GrowthStep) -> list[Dims]:
    """Return a pooling's output; one of all pixels, as squeeze-and-excite has, stays one of all
    pixels.
    """
    data, o = step[0], step.options
    window, stride = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    all_pixels = window == was_of(data)[1:3] and step.outputs[0][1:3] == (1, 1)
    if all_pixels and step.name == "AVERAGE_POOL_2D" and stride in ((1, 1), window):
        o.filterHeight, o.filterWidth = now_of(data)[1:3]
        return [(data[0], dim(1, 1), dim(1, 1), data[3])]
    height = _window(step, data[1], o.filterHeight, o.strideH)
    width = _window(step, data[2], o.filterWidth, o.strideW)
    return [(data[0], height, width, data[3])]


def _conv_3d(step: GrowthStep) -> list[Dims]:
    data, kernel, o = step[0], was_of(step[1]), step.options
    sides = [
        _window(step, data[1], kernel[0], o.strideD, o.dilationDFactor),
        _window(step, data[2], kernel[1], o.strideH, o.dilationHFactor),
        _window(step, data[3], kernel[2], o.strideW, o.dilationWFactor),
    ]
    return [(data[0], *sides, *fixed_dims(step.outputs[0][4:]))]


def _transpose_conv(step: GrowthStep) -> list[Dims]:
    return _transposed(step, (step.options.strideH, step.options.strideW))


def _conv_3d_transpose(step: GrowthStep) -> list[Dims]:
    return _transposed(step, (step.options.strideD, step.options.strideH, step.options.strideW))


def _transposed(step: GrowthStep, strides: Sequence[int]) -> list[Dims]:
    data, shape = step[2], step.outputs[0]
    computed = step.computed(0)
    sides = [
        dim(side, side + (now(of) - was(of)) * stride)
        for side, of, stride in zip(shape[1:], data[1:], strides, strict=False)
    ]
    dims = (data[0], *sides, *fixed_dims(shape[-1:]))
    if computed is not None:
        return [tuple(dim(*pair) for pair in zip(shape, map(int, computed), strict=True))]
    step.constant(0)
    return [rewrite_shape(step, 0, dims)]


def rewrite_shape(step: GrowthStep, place: int, dims: Dims) -> Dims:
    """Have the constant that gives the output's shape rewritten where it changed; return `dims`.

    `place` is the constant's among the inputs. A -1 in it stays.
    """
    stored, shape = step.constant(place), now_of(dims)
    if stored.size != len(shape):
        raise step.refusal(f"it tells {stored.size} sizes for {len(shape)} dimensions")
    values = np.where(np.ravel(stored) == -1, -1, np.asarray(shape)).astype(stored.dtype)
    if (values != np.ravel(stored)).any():
        step.rewritten[place] = values.reshape(stored.shape)
    return dims


def _resize(step: GrowthStep) -> list[Dims]:
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
        step.rewritten[1] = np.asarray(sides, step.constant(1).dtype)
    return [(data[0], dim(height, sides[0]), dim(width, sides[1]), data[3])]


def _pad(step: GrowthStep) -> list[Dims]:
    """Return a padding's output: amounts stay, but filling up to a part of the picture still does
    so.
    """
    data, stored = step[0], step.constant(1)
    computed = step.computed(1)
    amounts = stored if computed is None else computed
    dims = [
        dim(was(of) + int(old.sum()), now(of) + int(new.sum()))
        for of, old, new in zip(data, stored, amounts, strict=True)
    ]
    axes = [axis for axis, of in enumerate(data) if was(of) != now(of)]
    if len(data) == 4 and set(axes) <= {1, 2}:  # a map of few pixels may stay as large as it was
        axes = [1, 2]
    if computed is None and len(axes) == 2 and not step.windowed:
        part = step.part(was(dims[axes[0]]), was(dims[axes[1]]))
        if part is not None and part != tuple(now(dims[axis]) for axis in axes):
            rewritten = stored.copy()
            for axis, side in zip(axes, part, strict=True):
                rewritten[axis] = _around(step, stored[axis], side - now(data[axis]))
                dims[axis] = dim(was(dims[axis]), side)
            step.rewritten[1] = rewritten
    return [tuple(dims)]


def _around(step: GrowthStep, amounts: Values, total: int) -> list[int]:
    """Divide `total` pixels between before and after, as they were divided in `amounts`."""
    if total < 0:
        raise step.no_whole_size(step.outputs[0])
    before, after = (int(amount) for amount in amounts)
    if not before and after > 1:  # one alone may be the larger half
        return [0, total]
    if before and not after:
        return [total, 0]
    return [total // 2, total - total // 2]


def _slice(step: GrowthStep) -> list[Dims]:
    data, begin, size = step[0], step.constant(1).copy(), step.constant(2).copy()
    if step.computed(1) is not None or step.computed(2) is not None:
        begin_now, size_now = (c if (c := step.computed(p)) is not None else step.constant(p)
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
    rewrite_changed(step, {1: begin, 2: size})
    return [tuple(dims)]


def rewrite_changed(step: GrowthStep, values: Mapping[int, Values]) -> None:
    """Have those constants rewritten that have changed; `values` are given by the input's place."""
    for place, new in values.items():
        if (new != step.constant(place)).any():
            step.rewritten[place] = new


def _bound(step: GrowthStep, place: int, of: Dim) -> int:
    """Return where a cut through a dimension lies now: as far from the nearer edge, or in the
    middle.

    A cut a quarter or more from both edges may be meant either way: ConversionError.
    """
    b, n = was(of), now(of)
    if 4 * place < b:
        return place
    if 4 * (b - place) < b:
        return n - (b - place)
    if 2 * place == b and n % 2 == 0:
        return n // 2
    raise step.refusal(f"it cuts at {place} of {b} pixels, which may lie elsewhere in a larger one")


def _strided_slice(step: GrowthStep) -> list[Dims]:
    data, o = step[0], step.options
    if o.ellipsisMask or o.newAxisMask or getattr(o, "offset", False):
        raise step.refusal("its form of indices can't be rewritten here")
    if any(step.computed(place) is not None for place in (1, 2)):
        raise step.refusal("its bounds are computed while it runs")
    begin, end, strides = step.constant(1).copy(), step.constant(2).copy(), step.constant(3)
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
    rewrite_changed(step, {1: begin, 2: end})
    return [tuple(dims)]


def _cut(step: GrowthStep, of: Dim, bounds: slice, begin: Values, end: Values, axis: int) -> Dim:
    """Cut a dimension that grew between bounds, and move those bounds that are given in pixels."""
    b, n, stride = was(of), now(of), int(bounds.step)
    first, last, _ = bounds.indices(b)
    if stride < 0:
        if (bounds.start, bounds.stop) != (None, None):
            raise step.refusal("it turns a part of the picture round")
        return of if stride == -1 else dim(-(-b // -stride), -(-n // -stride))
    start, stop = _bound(step, first, of), n if last == b else _bound(step, last, of)
    if stride > 1 and (stop - start - last + first) % stride:
        raise step.no_whole_size(step.outputs[0])
    if bounds.start is not None:
        begin[axis] = start - n if bounds.start < 0 else start
    if bounds.stop is not None and bounds.stop <= b:  # else as far as there is anything
        end[axis] = stop - n if bounds.stop < 0 else stop
    whole = (first, last, stride) == (0, b, 1)
    return of if whole else dim(-(-(last - first) // stride), -(-(stop - start) // stride))


def _depth_to_space(step: GrowthStep) -> list[Dims]:
    n, height, width, depth = step[0]
    block = (step.options.blockSize, step.options.blockSize)
    return [(n, (*height, block), (*width, block), dim(*2 * (was(depth) // block[0] ** 2,)))]


def _space_to_depth(step: GrowthStep) -> list[Dims]:
    n, height, width, depth = step[0]
    block = step.options.blockSize
    sides = [dim(was(one) // block, step.scaled(was(one) // block, one)) for one in (height, width)]
    return [(n, *sides, dim(*2 * (was(depth) * block**2,)))]


def _space_to_batch(step: GrowthStep) -> list[Dims]:
    blocks, paddings = step.constant(1), step.constant(2)
    sides = []
    for of, block, (before, after) in zip(step[0][1:], blocks, paddings, strict=False):
        old, new = was(of) + int(before + after), now(of) + int(before + after)
        if new % int(block):
            raise step.no_whole_size(step.outputs[0])
        sides.append(dim(old // int(block), new // int(block)))
    batch = was(step[0][0]) * math.prod(map(int, blocks))
    return [(dim(batch, batch), *sides, *step[0][1 + len(blocks) :])]


def _batch_to_space(step: GrowthStep) -> list[Dims]:
    blocks, crops = step.constant(1), step.constant(2)
    sides = [
        dim(was(of) * int(block) - int(cut.sum()), now(of) * int(block) - int(cut.sum()))
        for of, block, cut in zip(step[0][1:], blocks, crops, strict=False)
    ]
    batch = was(step[0][0]) // math.prod(map(int, blocks))
    return [(dim(batch, batch), *sides, *step[0][1 + len(blocks) :])]


# The rule of each operation of these kinds, by its name.
WINDOW_RULES: Mapping[str, Callable[[GrowthStep], list[Dims]]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _conv_2d),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D"), _pool),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    "CONV_3D": _conv_3d,
    "CONV_3D_TRANSPOSE": _conv_3d_transpose,
    "TRANSPOSE_CONV": _transpose_conv,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
}
