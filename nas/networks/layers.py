"""The kinds of layers that networks are made of, each a frozen value, without TensorFlow.

Every kind has a `name`, unique in its network, and the names of its `inputs`. How it is counted is
told by `nas.networks.layer_costs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError
from nas.networks.convolutions import BranchedConv, Conv, DepthwiseConv, TransposeConv
from nas.networks.layer_costs import (
    BaseLayer,
    Shape,
    Work,
    element_wise,
    sides_over,
    window_sides,
)


@final
@dataclass(frozen=True)
class Input(BaseLayer):
    """The picture, with values from 0 to 1. Its shape is given to `Graph.costs`."""

    name: str
    channels: int = 3
    inputs: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class PReLU(BaseLayer):
    """A function that keeps positive values and multiplies others by a slope, learned for each
    channel.
    """

    name: str
    inputs: tuple[str]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return a negation, a multiplication and an addition an element, under `profiler`."""
        return element_wise(inputs[0], operations=3)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many slopes there are, one for each channel."""
        return inputs[0][2]


@final
@dataclass(frozen=True)
class LeakyReLU(BaseLayer):
    """A function that keeps positive values and multiplies others by a fixed `slope`."""

    name: str
    inputs: tuple[str]
    slope: float = 0.1

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return one multiplication an element, under `profiler`."""
        return element_wise(inputs[0])


@final
@dataclass(frozen=True)
class ReLU(BaseLayer):
    """A function that keeps positive values and gives 0 for others, and `ceiling` for larger ones.

    It stands where no convolution can have it inside: after sums and normalisations.
    """

    name: str
    inputs: tuple[str]
    ceiling: float | None = None


@final
@dataclass(frozen=True)
class Tanh(BaseLayer):
    """A layer that takes the hyperbolic tangent of every element."""

    name: str
    inputs: tuple[str]


@final
@dataclass(frozen=True)
class BatchNorm(BaseLayer):
    """Batch normalisation, which in an inference is a factor and a summand for each channel."""

    name: str
    inputs: tuple[str]

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many factors and summands there are; the moving mean and variance
        don't count.
        """
        return 2 * inputs[0][2]


@final
@dataclass(frozen=True)
class Scale(BaseLayer):
    """A layer that multiplies every element by a constant."""

    name: str
    inputs: tuple[str]
    factor: float

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return one multiplication an element, under `profiler`."""
        return element_wise(inputs[0])


@final
@dataclass(frozen=True)
class MaxPool(BaseLayer):
    """The maximum over `factor` x `factor` pixels, stride `factor`.

    With a `kernel` the windows have that side and no padding: those that don't fit are left out.
    """

    name: str
    inputs: tuple[str]
    factor: int = 2
    kernel: int | None = None

    @property
    def side(self) -> int:
        """The side of the window, in pixels."""
        return self.kernel or self.factor

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return height and width divided by `factor`; ConfigError where that leaves a
        remainder.
        """
        height, width, channels = inputs[0]
        if self.kernel is not None:
            window = (self.kernel, self.kernel)
            return (*window_sides(self.name, inputs[0], window, self.factor, "valid"), channels)
        if height % self.factor or width % self.factor:
            raise ConfigError(
                f"{self.name}: can't pool {width}x{height} by {self.factor} without a remainder"
            )
        return (height // self.factor, width // self.factor, channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return the window's pixels at 0.5 each, for every output, under `profiler`."""
        return element_wise(self.shape(inputs), operations=self.side**2)


@final
@dataclass(frozen=True)
class AveragePool(BaseLayer):
    """The mean over `kernel` x `kernel` pixels, stride 1, of those that lie in the picture."""

    name: str
    inputs: tuple[str]
    kernel: int = 3

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return kernel^2 an output at 0.5 each, under `profiler`."""
        return element_wise(inputs[0], operations=self.kernel**2)


@final
@dataclass(frozen=True)
class DepthToSpace(BaseLayer):
    """A layer that turns groups of factor^2 channels into factor x factor pixels."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return height and width times `factor`, channels divided by its square."""
        height, width, channels = inputs[0]
        if channels % self.factor**2:
            raise ConfigError(f"{self.name}: {channels} channels don't divide by {self.factor**2}")
        return (height * self.factor, width * self.factor, channels // self.factor**2)


@final
@dataclass(frozen=True)
class SpaceToDepth(BaseLayer):
    """A layer that turns factor x factor pixels into groups of factor^2 channels."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return height and width divided by `factor`, channels times its square."""
        height, width, channels = inputs[0]
        if height % self.factor or width % self.factor:
            raise ConfigError(f"{self.name}: {width}x{height} doesn't divide by {self.factor}")
        return (height // self.factor, width // self.factor, channels * self.factor**2)


@final
@dataclass(frozen=True)
class ResizeBilinear(BaseLayer):
    """A layer that resizes bilinearly by a whole factor, with half-pixel centres."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return height and width times `factor`."""
        height, width, channels = inputs[0]
        return (height * self.factor, width * self.factor, channels)


@final
@dataclass(frozen=True)
class ResizeNearest(BaseLayer):
    """A layer that resizes its first input to 1/`divisor` of the second's sides, rounded up.

    Each output takes the nearest pixel; pixels have half-pixel centres.
    """

    name: str
    inputs: tuple[str, str]
    divisor: int = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the second input's height and width over `divisor`, the first's channels."""
        return (*sides_over(inputs[1], self.divisor), inputs[0][2])


@final
@dataclass(frozen=True)
class ZeroPad(BaseLayer):
    """A layer that pads its first input with zeros, to 1/`divisor` of the second's sides, rounded
    up.

    It puts as many before as after, or one more after.
    """

    name: str
    inputs: tuple[str, str]
    divisor: int = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the second input's height and width over `divisor`, the first's channels."""
        height, width = sides_over(inputs[1], self.divisor)
        if height < inputs[0][0] or width < inputs[0][1]:
            raise ConfigError(f"{self.name}: {inputs[0]} is larger than {width}x{height} already")
        return (height, width, inputs[0][2])


@final
@dataclass(frozen=True)
class Concat(BaseLayer):
    """A layer that puts the inputs' channels one after another."""

    name: str
    inputs: tuple[str, ...]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the common height and width, with the sum of the channels."""
        if len({shape[:2] for shape in inputs}) != 1:
            raise ConfigError(f"{self.name}: can't concatenate {list(inputs)}")
        return (*inputs[0][:2], sum(shape[2] for shape in inputs))


@final
@dataclass(frozen=True)
class Add(BaseLayer):
    """The sum of two tensors of one shape."""

    name: str
    inputs: tuple[str, str]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the common shape; ConfigError where there is none."""
        if inputs[0] != inputs[1]:
            raise ConfigError(f"{self.name}: can't add {inputs[0]} and {inputs[1]}")
        return inputs[0]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return one addition an element, under `profiler`."""
        return element_wise(inputs[0])


@final
@dataclass(frozen=True)
class Subtract(BaseLayer):
    """A layer that subtracts the second of two tensors of one shape from the first."""

    name: str
    inputs: tuple[str, str]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return the common shape; ConfigError where there is none."""
        if inputs[0] != inputs[1]:
            raise ConfigError(f"{self.name}: can't subtract {inputs[1]} from {inputs[0]}")
        return inputs[0]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return one subtraction an element, under `profiler`."""
        return element_wise(inputs[0])


Layer = (
    Input | Conv | DepthwiseConv | BranchedConv | TransposeConv | PReLU | LeakyReLU | ReLU | Tanh
    | BatchNorm | Scale | MaxPool | AveragePool | DepthToSpace | SpaceToDepth | ResizeBilinear
    | ResizeNearest | ZeroPad | Concat | Add | Subtract
)  # fmt: skip


NETWORK_FORMAT = 2
"""Counted up where layers become other operations than before, so that their files have another
structure. Since 2, transposed convolutions may have the padding "valid", and in files for GPUs no
ReLU inside; see `changed_in_format`.
"""


def changed_in_format(layer: Layer, for_gpu: bool = False) -> bool:
    """Return whether the layer becomes another operation than in the format before.

    `for_gpu`: in files that LiteRT's GPU shall take.
    """
    if not isinstance(layer, TransposeConv):
        return False
    return layer.padding == "valid" or (for_gpu and layer.activation == "relu")


def layer_kind(layer: Layer) -> str:
    """Return the layer's operation in the words of `nas describe`, for example "Conv
    3x3 + ReLU".
    """
    words = [type(layer).__name__]
    match layer:
        case Conv():
            words.append(f"{layer.window[0]}x{layer.window[1]}")
            words += [f"stride {layer.stride}"] * (layer.stride > 1)
            words += ["valid"] * (layer.padding == "valid")
        case DepthwiseConv() | BranchedConv():
            words.append(f"{layer.kernel}x{layer.kernel}")
        case TransposeConv(kernel=int(side)) | MaxPool(kernel=int(side)):
            words.append(f"{side}x{side} stride {layer.factor}")
        case LeakyReLU():
            words.append(f"{layer.slope:g}")
        case ReLU(ceiling=float(most)):
            words.append(f"to {most:g}")
    match layer:
        case (
            Conv(activation=("relu" | "relu6") as inside)
            | DepthwiseConv(activation=("relu" | "relu6") as inside)
            | BranchedConv(activation=("relu" | "relu6") as inside)
            | TransposeConv(activation=("relu" | "relu6") as inside)
        ):
            words.append("+ ReLU" if inside == "relu" else "+ ReLU6")
    return " ".join(words)
