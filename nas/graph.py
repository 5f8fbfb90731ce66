"""A network as a value: its layers, their shapes and their MACs, without TensorFlow.

Everything that needs to know a network's structure (the Keras builder, the MAC formulas, `nas
describe`, pruning) reads this one description, so none of them can disagree about it.
Tensors are channels-last; a shape is (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

from nas.errors import ConfigError

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulate operations of one inference, in the two conventions kept side by side.

    `conv` counts convolutions and transposed convolutions only (a transposed one k^2 * Cin * Cout a
    pixel of its *input*). `profiler` is half of what TensorFlow's profiler calls FLOPs: `conv`, and
    0.5 an element for every bias, element-wise addition and multiplication, 0.5 * k^2 an output of
    a pooling; concatenation, resizing, depth-to-space and ReLU count nothing.
    """

    conv: float
    profiler: float

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.conv + other.conv, self.profiler + other.profiler)


NO_MACS = Macs(0, 0)


def _element_wise(shape: Shape, operations: int = 1) -> Macs:
    height, width, channels = shape
    return Macs(0, 0.5 * operations * height * width * channels)


@final
@dataclass(frozen=True)
class Input:
    """The picture, values from 0 to 1."""

    name: str
    channels: int = 3
    inputs: tuple[str, ...] = ()

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Not defined: an input's shape is given to `Graph.shapes`."""
        raise AssertionError("the shape of an input is given, not derived")

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """None."""
        return NO_MACS

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


@final
@dataclass(frozen=True)
class Conv:
    """A convolution, stride 1, SAME padding, with a bias; ReLU fused where `activation` says so."""

    name: str
    inputs: tuple[str]
    channels: int
    kernel: int = 3
    activation: Literal["linear", "relu"] = "linear"

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The input's height and width, `channels` channels."""
        return (*inputs[0][:2], self.channels)

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """k^2 * Cin * Cout an output pixel, and the bias under `profiler`."""
        height, width, channels = inputs[0]
        conv = self.kernel**2 * channels * self.channels * height * width
        return Macs(conv, conv) + _element_wise(self.shape(inputs))

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Weights and biases."""
        return self.kernel**2 * inputs[0][2] * self.channels + self.channels


@final
@dataclass(frozen=True)
class TransposeConv:
    """A transposed convolution whose kernel equals its stride, with a bias."""

    name: str
    inputs: tuple[str]
    channels: int
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width times `factor`."""
        height, width, _ = inputs[0]
        return (height * self.factor, width * self.factor, self.channels)

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """k^2 * Cin * Cout a pixel of the input, and the bias under `profiler`."""
        height, width, channels = inputs[0]
        conv = self.factor**2 * channels * self.channels * height * width
        return Macs(conv, conv) + _element_wise(self.shape(inputs))

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Weights and biases."""
        return self.factor**2 * inputs[0][2] * self.channels + self.channels


@final
@dataclass(frozen=True)
class PReLU:
    """x where positive, a learned slope times x where not; one slope a channel."""

    name: str
    inputs: tuple[str]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The input's."""
        return inputs[0]

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """A negation, a multiplication and an addition an element under `profiler`."""
        return _element_wise(inputs[0], operations=3)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """The slopes."""
        return inputs[0][2]


@final
@dataclass(frozen=True)
class MaxPool:
    """The maximum over `factor` x `factor` pixels, stride `factor`."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width divided by `factor`; ConfigError where that leaves a remainder."""
        height, width, channels = inputs[0]
        if height % self.factor or width % self.factor:
            raise ConfigError(
                f"{self.name}: can't pool {width}x{height} by {self.factor} without a remainder"
            )
        return (height // self.factor, width // self.factor, channels)

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """factor^2 an output at 0.5 under `profiler`."""
        return _element_wise(self.shape(inputs), operations=self.factor**2)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


@final
@dataclass(frozen=True)
class DepthToSpace:
    """Groups of factor^2 channels become factor x factor pixels."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width times `factor`, channels divided by its square."""
        height, width, channels = inputs[0]
        if channels % self.factor**2:
            raise ConfigError(f"{self.name}: {channels} channels don't divide by {self.factor**2}")
        return (height * self.factor, width * self.factor, channels // self.factor**2)

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """None."""
        return NO_MACS

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


@final
@dataclass(frozen=True)
class ResizeBilinear:
    """Bilinear resizing by a whole factor, half-pixel centres."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width times `factor`."""
        height, width, channels = inputs[0]
        return (height * self.factor, width * self.factor, channels)

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """None."""
        return NO_MACS

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


@final
@dataclass(frozen=True)
class Concat:
    """The inputs' channels one after another."""

    name: str
    inputs: tuple[str, ...]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The common height and width, the sum of the channels."""
        if len({shape[:2] for shape in inputs}) != 1:
            raise ConfigError(f"{self.name}: can't concatenate {list(inputs)}")
        return (*inputs[0][:2], sum(shape[2] for shape in inputs))

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """None."""
        return NO_MACS

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


@final
@dataclass(frozen=True)
class Add:
    """The sum of two tensors of one shape."""

    name: str
    inputs: tuple[str, str]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The common shape."""
        if inputs[0] != inputs[1]:
            raise ConfigError(f"{self.name}: can't add {inputs[0]} and {inputs[1]}")
        return inputs[0]

    def macs(self, inputs: Sequence[Shape]) -> Macs:
        """One addition an element under `profiler`."""
        return _element_wise(inputs[0])

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """None."""
        return 0


Layer = (
    Input | Conv | TransposeConv | PReLU | MaxPool | DepthToSpace | ResizeBilinear | Concat | Add
)


@final
@dataclass(frozen=True)
class LayerCost:
    """One layer of a graph at one resolution: its output's shape, MACs and parameters."""

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
        known: set[str] = set()
        for layer in self.layers:
            missing = [name for name in layer.inputs if name not in known]
            if missing or layer.name in known:
                raise ValueError(f"layer {layer.name!r}: unknown inputs {missing} or a name twice")
            known.add(layer.name)

    @cached_property
    def reduction(self) -> int:
        """What height and width must divide by: the product of the poolings on the deepest path."""
        depth: dict[str, int] = {}
        for layer in self.layers:
            factor = max((depth[name] for name in layer.inputs), default=1)
            match layer:
                case MaxPool():
                    factor *= layer.factor
                case TransposeConv() | DepthToSpace() | ResizeBilinear():
                    factor //= layer.factor
            depth[layer.name] = factor
        return max(depth.values())

    def costs(self, height: int, width: int) -> list[LayerCost]:
        """Every layer's shape, MACs and parameters for a picture of height x width pixels.

        Raises ConfigError where the poolings don't divide the picture.
        """
        check_size(self.reduction, height, width)
        shapes: dict[str, Shape] = {}
        rows = []
        for layer in self.layers:
            inputs = [shapes[name] for name in layer.inputs]
            given = isinstance(layer, Input)
            shape = (height, width, layer.channels) if given else layer.shape(inputs)  # type: ignore[union-attr]
            shapes[layer.name] = shape
            rows.append(LayerCost(layer, shape, layer.macs(inputs), layer.parameters(inputs)))
        return rows

    def macs(self, height: int, width: int) -> Macs:
        """Of one inference on a picture of height x width pixels; raises as `costs`."""
        return sum((row.macs for row in self.costs(height, width)), NO_MACS)

    def parameters(self) -> int:
        """Trainable numbers of the whole network."""
        side = self.reduction
        return sum(row.parameters for row in self.costs(side, side))


def check_size(reduction: int, height: int, width: int) -> None:
    """Raise ConfigError, naming the nearest sizes that fit, unless `reduction` divides both."""
    if height < reduction or width < reduction or height % reduction or width % reduction:
        low = [max(reduction, side // reduction * reduction) for side in (width, height)]
        high = [-(-side // reduction) * reduction for side in (width, height)]
        raise ConfigError(
            f"{width}x{height} does not divide by {reduction}, as this network's poolings need; "
            f"the nearest sizes are {low[0]}x{low[1]} and {high[0]}x{high[1]}"
        )


def layer_kind(layer: Layer) -> str:
    """The layer's operation in the words of `nas describe`, e.g. "Conv 3x3"."""
    kernel = f" {layer.kernel}x{layer.kernel}" if isinstance(layer, Conv) else ""
    fused = " + ReLU" if isinstance(layer, Conv) and layer.activation == "relu" else ""
    return f"{type(layer).__name__}{kernel}{fused}"
