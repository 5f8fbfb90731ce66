"""The kinds of layers that networks are made of, each a frozen value, without TensorFlow.

Every kind has a `name`, unique in its network, and the names of its `inputs`. How it is counted is
told by `nas.networks.layer_costs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nas.errors import ConfigError
from nas.networks.layer_costs import (
    BaseLayer,
    Padding,
    Shape,
    Work,
    element_wise,
    sides_over,
    window_sides,
)

Activation = Literal["linear", "relu"]


@final
@dataclass(frozen=True)
class Input(BaseLayer):
    """The picture, with values from 0 to 1. Its shape is given to `Graph.costs`."""

    name: str
    channels: int = 3
    inputs: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Conv(BaseLayer):
    """A convolution, with a ReLU inside it where `activation` says so.

    `kernel` is a side, or (height, width). SAME padding needs sides that `stride` divides.
    """

    name: str
    inputs: tuple[str]
    channels: int
    kernel: int | tuple[int, int] = 3
    activation: Activation = "linear"
    stride: int = 1
    padding: Padding = "same"
    bias: bool = True

    @property
    def window(self) -> tuple[int, int]:
        """The kernel's height and width."""
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return `channels` channels, with height and width by stride and padding."""
        height, width = window_sides(self.name, inputs[0], self.window, self.stride, self.padding)
        return (height, width, self.channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return k^2 * Cin * Cout an output pixel, and the bias under `profiler`."""
        height, width, _ = self.shape(inputs)
        pair = self.window[0] * self.window[1] * height * width
        return Work(pair, 0.5 * height * width * self.bias)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many weights and biases there are."""
        return (self.window[0] * self.window[1] * inputs[0][2] + self.bias) * self.channels


@final
@dataclass(frozen=True)
class TransposeConv(BaseLayer):
    """A transposed convolution of stride `factor`, with a bias, whose output is `factor` times as
    high and wide.

    Its kernel is as large as the stride where `kernel` gives no other side.
    """

    name: str
    inputs: tuple[str]
    channels: int
    factor: int = 2
    kernel: int | None = None
    activation: Activation = "linear"

    @property
    def side(self) -> int:
        """The side of the kernel, in pixels."""
        return self.kernel or self.factor

    @property
    def padding(self) -> Padding:
        """ "valid" where the kernel is as large as the stride, else "same".

        There both compute the same, but LiteRT's plugin for Snapdragon NPUs refuses "same" on
        pictures with an odd side.
        """
        return "valid" if self.side == self.factor else "same"

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return `channels` channels, with height and width times `factor`."""
        height, width, _ = inputs[0]
        return (height * self.factor, width * self.factor, self.channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return k^2 * Cin * Cout a pixel of the input, and the bias under `profiler`."""
        height, width, _ = inputs[0]
        return Work(self.side**2 * height * width, element_wise(self.shape(inputs)).each)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many weights and biases there are."""
        return self.side**2 * inputs[0][2] * self.channels + self.channels


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
class ReLU(BaseLayer):
    """A function that keeps positive values and gives 0 for others.

    It stands where no convolution can have it inside: after sums and normalisations.
    """

    name: str
    inputs: tuple[str]


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
    Input | Conv | TransposeConv | PReLU | ReLU | Tanh | BatchNorm | Scale | MaxPool | AveragePool
    | DepthToSpace | SpaceToDepth | ResizeBilinear | ResizeNearest | ZeroPad | Concat | Add
    | Subtract
)  # fmt: skip


NETWORK_FORMAT = 2
"""Counted up where layers become other operations than before, so that their files have another
structure. Since 2, transposed convolutions may have the padding "valid"; see `changed_in_format`.
"""


def changed_in_format(layer: Layer) -> bool:
    """Return whether the layer becomes another operation than in the format before."""
    return isinstance(layer, TransposeConv) and layer.padding == "valid"


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
        case TransposeConv(kernel=int(side)) | MaxPool(kernel=int(side)):
            words.append(f"{side}x{side} stride {layer.factor}")
    if isinstance(layer, (Conv, TransposeConv)) and layer.activation == "relu":
        words.append("+ ReLU")
    return " ".join(words)
