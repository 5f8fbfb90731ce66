"""Follows a tensor's dimensions while the picture of a `.tflite` changes its size.

A dimension is a row of factors, the outermost first, each with its size in the file and its size
now: so a reshape that merges height with width, or splits blocks off them, can be followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

from nas.errors import ConversionError
from nas.tflite.shapes import Shape
from nas.tflite.values import Values

Factor = tuple[int, int]
"""A factor of a dimension: in the file, and at the new picture size."""
Dim = tuple[Factor, ...]
"""A dimension of a tensor: the product of its factors, the outermost first."""
Dims = tuple[Dim, ...]
"""A tensor's dimensions."""
Pair = tuple[Values, Values]
"""A constant's values: in the file, and at the new picture size."""


def dim(was: int, now: int) -> Dim:
    """Return a dimension of one factor."""
    return ((was, now),)


def was(one: Dim) -> int:
    """Return the dimension's size in the file."""
    return math.prod(factor[0] for factor in one)


def now(one: Dim) -> int:
    """Return the dimension's size at the new picture size."""
    return math.prod(factor[1] for factor in one)


def was_of(dims: Dims) -> Shape:
    """Return the shape in the file."""
    return tuple(map(was, dims))


def now_of(dims: Dims) -> Shape:
    """Return the shape at the new picture size."""
    return tuple(map(now, dims))


def fixed_dims(shape: Iterable[int]) -> Dims:
    """Return dimensions that stay as they are in `shape`."""
    return tuple(dim(side, side) for side in shape)


@final
@dataclass
class GrowthStep:
    """One operation whose outputs a rule has to give, as the picture changes its size.

    `label` names the operation in errors, `name` is TFLite's and `options` are the file's. `inputs`
    are the inputs' dimensions, None where an optional input is absent. `values` are the inputs'
    values in the file and now, None where they are computed from pictures. `outputs` are the
    outputs' shapes in the file. `old` and `new` are the picture's (height, width). `windowed` says
    that a convolution or a pooling without padding of its own reads an output. Indexing gives an
    input's dimensions, or raises ConversionError. A rule puts new values for a constant into
    `rewritten`, by the input's place.
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

    def constant(self, place: int) -> Values:
        """Return an input's values in the file; ConversionError where the file does
        not hold them.
        """
        pair = self.values[place] if place < len(self.values) else None
        if pair is None:
            raise self.refusal("its sizes are computed while it runs")
        return pair[0]

    def computed(self, place: int) -> Values | None:
        """Return an input's values now, where the file itself computes them from shapes; else None.

        Such an input needs no rewriting.
        """
        pair = self.values[place] if place < len(self.values) else None
        return pair[1] if pair is not None and pair[0] is not pair[1] else None

    def part(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the new (height, width) of a part of the picture; None for other sides.

        A part is the picture's height and width over one power of two, rounded up. A single pixel
        is none.
        """
        if max(height, width) == 1:
            return None
        power = round(math.log2(self.old[0] / height))
        for size, side in zip(self.old, (height, width), strict=True):
            if _over(size, power) != side:
                return None
        return _over(self.new[0], power), _over(self.new[1], power)

    def refusal(self, why: str) -> ConversionError:
        """Return the error that names this operation and tells why it has no form of
        the new size.
        """
        return ConversionError(f"{self.label}: {why}")

    def no_whole_size(self, shape: Shape) -> ConversionError:
        """Return the error for a shape that has no whole number of pixels at the new size."""
        return self.refusal(
            f"{list(shape)} has no whole size in a picture of {self.new[1]}x{self.new[0]} instead "
            f"of {self.old[1]}x{self.old[0]}"
        )

    def without_rule(self) -> list[Dims]:
        """Return the outputs of an operation without a rule, which keeps the shape of its first
        grown input.

        Raises ConversionError where the output has another shape than that input.
        """
        for dims in self.inputs:
            if dims is not None and was_of(dims) != now_of(dims):
                if self.outputs == [was_of(dims)]:
                    return [dims]
                break
        raise self.refusal("how its output grows with the picture is not known here")

    def scaled(self, side: int, of: Dim) -> int:
        """Return `side` in proportion to a dimension; ConversionError where that is not whole."""
        result, rest = divmod(side * now(of), was(of))
        if rest or result < 1:
            raise self.no_whole_size(self.outputs[0])
        return result


def _over(side: int, power: int) -> int:
    """Divide a side by 2^power, rounded up; a negative power multiplies."""
    shrunk: int = -(-side // 2**power) if power >= 0 else side * 2**-power
    return shrunk
