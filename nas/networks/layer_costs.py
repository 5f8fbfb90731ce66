"""Counts what layers cost: shapes, MACs and parameters, without TensorFlow.

Tensors are channels-last; a shape is (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nas.errors import ConfigError

Shape = tuple[int, int, int]
Padding = Literal["same", "valid"]


class TooSmallError(ConfigError):
    """The picture is so small that nothing of it is left somewhere in the network."""


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulate operations of one inference, in the two conventions kept side by side.

    `conv` counts convolutions and transposed convolutions only (a transposed one k^2 * Cin * Cout a
    pixel of its *input*). `profiler` is half of what TensorFlow's profiler calls FLOPs: `conv`, and
    0.5 an element for every bias, element-wise addition, subtraction and multiplication, 0.5 * k^2
    an output of a pooling; concatenation, resizing, padding, moving channels to pixels and back,
    ReLU, tanh and batch normalisation count nothing.
    """

    conv: float
    profiler: float

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.conv + other.conv, self.profiler + other.profiler)


NO_MACS = Macs(0, 0)
"""The MACs of a layer that computes nothing countable."""


@dataclass(frozen=True)
class Work:
    """The numbers that a layer's MACs grow with at one picture size.

    Its `conv` MACs are `pair` * Cin * Cout + `own` * Cout; its `profiler` ones are `each` * Cout
    more.
    """

    pair: int = 0
    each: float = 0
    own: int = 0


def element_wise(shape: Shape, operations: int = 1) -> Work:
    """Return the work of so many operations on each element of an output of `shape`."""
    return Work(each=0.5 * operations * shape[0] * shape[1])


class BaseLayer:
    """The base of all kinds: as it stands, a layer that keeps the shape and does
    nothing countable.
    """

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the output's shape from the inputs' shapes; ConfigError where they don't fit."""
        return inputs[0]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return what the MACs are made of, for inputs of these shapes."""
        return Work()

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """Return the MACs of one inference on inputs of these shapes."""
        if not inputs:
            return NO_MACS
        work, channels = self.work(inputs), self.shape(inputs)[2]
        conv = (work.pair * inputs[0][2] + work.own) * channels
        return Macs(conv, conv + work.each * channels)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many numbers training sets, for inputs of these shapes."""
        return 0


def window_sides(
    name: str, shape: Shape, window: tuple[int, int], stride: int, padding: Padding
) -> tuple[int, int]:
    """Return the height and width of the output of a window that slides over a picture.

    Raises ConfigError where SAME padding leaves a remainder by `stride`, TooSmallError where no
    window fits; both name the layer by `name`.
    """
    sides = shape[:2]
    if padding == "same":
        if any(side % stride for side in sides):
            raise ConfigError(f"{name}: {sides[1]}x{sides[0]} doesn't divide by {stride}")
        return (sides[0] // stride, sides[1] // stride)
    if sides[0] < window[0] or sides[1] < window[1]:
        raise TooSmallError(
            f"{name}: {sides[1]}x{sides[0]} is too small for a window of {window[1]}x{window[0]}"
        )
    return ((sides[0] - window[0]) // stride + 1, (sides[1] - window[1]) // stride + 1)


def sides_over(shape: Shape, divisor: int) -> tuple[int, int]:
    """Return the height and width of a shape over `divisor`, rounded up."""
    return (-(-shape[0] // divisor), -(-shape[1] // divisor))
