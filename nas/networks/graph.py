"""A network as a value: its layers, their shapes and their MACs, without TensorFlow.

Everything that needs to know a network's structure (the Keras builder, the MAC formulas, `nas
describe`, pruning) reads this one description, so none of them can disagree about it. The kinds of
layers are those of `nas.networks.layers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError
from nas.networks.convolutions import BranchedConv, Conv, DepthwiseConv, TransposeConv
from nas.networks.layer_costs import NO_MACS, Macs, Shape, TooSmallError
from nas.networks.layers import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    DepthToSpace,
    Input,
    Layer,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    ResizeBilinear,
    ResizeNearest,
    Scale,
    SpaceToDepth,
    Subtract,
    Tanh,
    ZeroPad,
    layer_kind,
)

__all__ = [
    "NO_MACS",
    "Add",
    "AveragePool",
    "BatchNorm",
    "BranchedConv",
    "Concat",
    "Conv",
    "DepthToSpace",
    "DepthwiseConv",
    "Graph",
    "Input",
    "Layer",
    "LayerCost",
    "LeakyReLU",
    "Macs",
    "MaxPool",
    "PReLU",
    "ReLU",
    "ResizeBilinear",
    "ResizeNearest",
    "Scale",
    "Shape",
    "SpaceToDepth",
    "Subtract",
    "Tanh",
    "TransposeConv",
    "ZeroPad",
    "check_size",
    "layer_kind",
]

COUNTING_SIZE = (720, 1280)  # height and width at which the paper counts


@final
@dataclass(frozen=True)
class LayerCost:
    """One layer of a graph at one picture size.

    `shape` is its output's (height, width, channels). `macs` and `parameters` are its own.
    """

    layer: Layer
    shape: Shape
    macs: Macs
    parameters: int


@final
@dataclass(frozen=True)
class Graph:
    """Layers in an order in which each comes after its inputs; the last one is the output.

    Raises ValueError where a name is used twice or before it is defined.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        names: set[str] = set()
        for layer in self.layers:
            missing = [name for name in layer.inputs if name not in names]
            if missing or layer.name in names:
                raise ValueError(f"layer {layer.name!r}: unknown inputs {missing} or a name twice")
            names.add(layer.name)

    @cached_property
    def reduction(self) -> int:
        """A picture's height and width must divide by this: the reductions on the deepest path,
        multiplied.

        Windows without padding take what fits, so they ask for nothing.
        """
        depth: dict[str, int] = {}
        for layer in self.layers:
            factor = max((depth[name] for name in layer.inputs), default=1)
            match layer:
                case MaxPool(kernel=None) | SpaceToDepth():
                    factor *= layer.factor
                case Conv(padding="same"):
                    factor *= layer.stride
                case TransposeConv() | DepthToSpace() | ResizeBilinear():
                    factor //= layer.factor
                case ResizeNearest() | ZeroPad():
                    factor = depth[layer.inputs[1]]
            depth[layer.name] = factor
        return max(depth.values())

    @cached_property
    def smallest(self) -> int:
        """The side of the smallest square picture that fits."""
        side = self.reduction
        while self._has_windows:
            try:
                self._costs(side, side)
                break
            except TooSmallError:
                side += self.reduction
        return side

    @cached_property
    def counting_size(self) -> tuple[int, int]:
        """The height and width at which networks are compared by their MACs.

        It is the smallest picture where all layers' MACs grow with the pixels. Windows without
        padding cost less at small sizes than in proportion: with them it is the size at which the
        paper counts.
        """
        return COUNTING_SIZE if self._has_windows else (self.smallest, self.smallest)

    @cached_property
    def _has_windows(self) -> bool:
        return any(
            (isinstance(layer, Conv) and layer.padding == "valid")
            or (isinstance(layer, MaxPool) and layer.kernel is not None)
            for layer in self.layers
        )

    def fits(self, side: int) -> int:
        """Return the side of the smallest square picture that fits and has at least
        `side` pixels.
        """
        return -(-max(side, self.smallest) // self.reduction) * self.reduction

    def costs(self, height: int, width: int) -> list[LayerCost]:
        """Return every layer's shape, MACs and parameters for a picture of height x width pixels.

        Raises ConfigError where the picture is too small, or the poolings don't divide it.
        """
        check_size(self.reduction, height, width)
        try:
            return self._costs(height, width)
        except TooSmallError:
            check_size(self.reduction, height, width, self.smallest)
            raise

    def _costs(self, height: int, width: int) -> list[LayerCost]:
        shapes: dict[str, Shape] = {}
        rows = []
        for layer in self.layers:
            inputs = [shapes[name] for name in layer.inputs]
            is_input = isinstance(layer, Input)
            shape = (height, width, layer.channels) if is_input else layer.shape(inputs)  # type: ignore[union-attr]
            shapes[layer.name] = shape
            rows.append(LayerCost(layer, shape, layer.macs(inputs), layer.parameters(inputs)))
        return rows

    def macs(self, height: int, width: int) -> Macs:
        """Return the MACs of one inference on a picture of height x width pixels; raises as
        `costs`.
        """
        return sum((row.macs for row in self.costs(height, width)), NO_MACS)

    def parameters(self) -> int:
        """Return how many numbers of the whole network training sets."""
        return sum(row.parameters for row in self.costs(self.smallest, self.smallest))


def check_size(reduction: int, height: int, width: int, smallest: int = 1) -> None:
    """Raise ConfigError unless `reduction` divides both sides, and they are `smallest` at least.

    The error names the nearest sizes that fit.
    """
    least = max(smallest, reduction)
    if height % reduction or width % reduction:
        low = [max(least, side // reduction * reduction) for side in (width, height)]
        high = [max(least, -(-side // reduction) * reduction) for side in (width, height)]
        raise ConfigError(
            f"{width}x{height} does not divide by {reduction}, as this network's poolings need; "
            f"the nearest sizes are {low[0]}x{low[1]} and {high[0]}x{high[1]}"
        )
    if height < least or width < least:
        raise ConfigError(
            f"{width}x{height} is too small for this network, which needs {least}x{least} at least"
        )


Weights = Mapping[str, Sequence[npt.NDArray[np.float32]]]  # by layer, in the order of Keras
