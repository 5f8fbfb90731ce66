"""The kinds of layers that networks are made of, each a frozen value, without TensorFlow.

Every kind has a `name`, unique in its network, and the names of its `inputs`. How it is counted is
told by `nas.networks.layer_costs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nas.errors import ConfigError
from nas.networks.layer_costs import BaseLayer, Shape, TooSmallError, Work, element_wise

Activation = Literal["linear", "relu"]
Padding = Literal["same", "valid"]


@final
@dataclass(frozen=True)
class Input(BaseLayer):
    """The picture, values from 0 to 1. Its shape is given to `Graph.costs`."""

    name: str
    channels: int = 3
    inputs: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Conv(BaseLayer):
    """A convolution; ReLU fused where `activation` says so. `kernel` is a side, or (height, width).

    SAME padding needs sides that `stride` divides.
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
        """`channels` channels; height and width by stride and padding."""
        height, width = _slid(self.name, inputs[0], self.window, self.stride, self.padding)
        return (height, width, self.channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """k^2 * Cin * Cout an output pixel, and the bias under `profiler`."""
        height, width, _ = self.shape(inputs)
        pair = self.window[0] * self.window[1] * height * width
        return Work(pair, 0.5 * height * width * self.bias)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Weights and biases."""
        return (self.window[0] * self.window[1] * inputs[0][2] + self.bias) * self.channels


@final
@dataclass(frozen=True)
class TransposeConv(BaseLayer):
    """A transposed convolution of stride `factor`, SAME padding, with a bias.

    Its kernel is as large as the stride where `kernel` says nothing else.
    """

    name: str
    inputs: tuple[str]
    channels: int
    factor: int = 2
    kernel: int | None = None
    activation: Activation = "linear"

    @property
    def side(self) -> int:
        """The kernel's."""
        return self.kernel or self.factor

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width times `factor`."""
        height, width, _ = inputs[0]
        return (height * self.factor, width * self.factor, self.channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """k^2 * Cin * Cout a pixel of the input, and the bias under `profiler`."""
        height, width, _ = inputs[0]
        return Work(self.side**2 * height * width, element_wise(self.shape(inputs)).each)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Weights and biases."""
        return self.side**2 * inputs[0][2] * self.channels + self.channels


@final
@dataclass(frozen=True)
class PReLU(BaseLayer):
    """x where positive, a learned slope times x where not; one slope a channel."""

    name: str
    inputs: tuple[str]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """A negation, a multiplication and an addition an element under `profiler`."""
        return element_wise(inputs[0], operations=3)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """The slopes."""
        return inputs[0][2]


@final
@dataclass(frozen=True)
class ReLU(BaseLayer):
    """x where positive, else 0; for what can't have it fused: sums and normalised values."""

    name: str
    inputs: tuple[str]


@final
@dataclass(frozen=True)
class Tanh(BaseLayer):
    """The hyperbolic tangent."""

    name: str
    inputs: tuple[str]


@final
@dataclass(frozen=True)
class BatchNorm(BaseLayer):
    """Batch normalisation; in an inference a factor and a summand a channel."""

    name: str
    inputs: tuple[str]

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """The factors and the summands, but not the moving mean and variance."""
        return 2 * inputs[0][2]


@final
@dataclass(frozen=True)
class Scale(BaseLayer):
    """Every element times a constant."""

    name: str
    inputs: tuple[str]
    factor: float

    def work(self, inputs: Sequence[Shape]) -> Work:
        """One multiplication an element under `profiler`."""
        return element_wise(inputs[0])


@final
@dataclass(frozen=True)
class MaxPool(BaseLayer):
    """The maximum over `factor` x `factor` pixels, stride `factor`.

    With a `kernel` over windows of that side, without padding: those that don't fit are left out.
    """

    name: str
    inputs: tuple[str]
    factor: int = 2
    kernel: int | None = None

    @property
    def side(self) -> int:
        """The window's."""
        return self.kernel or self.factor

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width divided by `factor`; ConfigError where that leaves a remainder."""
        height, width, channels = inputs[0]
        if self.kernel is not None:
            window = (self.kernel, self.kernel)
            return (*_slid(self.name, inputs[0], window, self.factor, "valid"), channels)
        if height % self.factor or width % self.factor:
            raise ConfigError(
                f"{self.name}: can't pool {width}x{height} by {self.factor} without a remainder"
            )
        return (height // self.factor, width // self.factor, channels)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """The window's pixels at 0.5 each, an output, under `profiler`."""
        return element_wise(self.shape(inputs), operations=self.side**2)


@final
@dataclass(frozen=True)
class AveragePool(BaseLayer):
    """The mean over `kernel` x `kernel` pixels, stride 1, of those that lie in the picture."""

    name: str
    inputs: tuple[str]
    kernel: int = 3

    def work(self, inputs: Sequence[Shape]) -> Work:
        """kernel^2 an output at 0.5 under `profiler`."""
        return element_wise(inputs[0], operations=self.kernel**2)


@final
@dataclass(frozen=True)
class DepthToSpace(BaseLayer):
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


@final
@dataclass(frozen=True)
class SpaceToDepth(BaseLayer):
    """factor x factor pixels become groups of factor^2 channels."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width divided by `factor`, channels times its square."""
        height, width, channels = inputs[0]
        if height % self.factor or width % self.factor:
            raise ConfigError(f"{self.name}: {width}x{height} doesn't divide by {self.factor}")
        return (height // self.factor, width // self.factor, channels * self.factor**2)


@final
@dataclass(frozen=True)
class ResizeBilinear(BaseLayer):
    """Bilinear resizing by a whole factor, half-pixel centres."""

    name: str
    inputs: tuple[str]
    factor: int = 2

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Height and width times `factor`."""
        height, width, channels = inputs[0]
        return (height * self.factor, width * self.factor, channels)


@final
@dataclass(frozen=True)
class ResizeNearest(BaseLayer):
    """The first input resized to 1/`divisor` of the second's height and width, rounded up.

    To the nearest pixel, half-pixel centres.
    """

    name: str
    inputs: tuple[str, str]
    divisor: int = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The second's height and width over `divisor`, the first's channels."""
        return (*_divided_up(inputs[1], self.divisor), inputs[0][2])


@final
@dataclass(frozen=True)
class ZeroPad(BaseLayer):
    """Zeros around the first input, to 1/`divisor` of the second's height and width, rounded up.

    As many before as after, or one more after.
    """

    name: str
    inputs: tuple[str, str]
    divisor: int = 1

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The second's height and width over `divisor`, the first's channels."""
        height, width = _divided_up(inputs[1], self.divisor)
        if height < inputs[0][0] or width < inputs[0][1]:
            raise ConfigError(f"{self.name}: {inputs[0]} is larger than {width}x{height} already")
        return (height, width, inputs[0][2])


@final
@dataclass(frozen=True)
class Concat(BaseLayer):
    """The inputs' channels one after another."""

    name: str
    inputs: tuple[str, ...]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The common height and width, the sum of the channels."""
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
        """The common shape."""
        if inputs[0] != inputs[1]:
            raise ConfigError(f"{self.name}: can't add {inputs[0]} and {inputs[1]}")
        return inputs[0]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """One addition an element under `profiler`."""
        return element_wise(inputs[0])


@final
@dataclass(frozen=True)
class Subtract(BaseLayer):
    """The first of two tensors of one shape less the second."""

    name: str
    inputs: tuple[str, str]

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """The common shape."""
        if inputs[0] != inputs[1]:
            raise ConfigError(f"{self.name}: can't subtract {inputs[1]} from {inputs[0]}")
        return inputs[0]

    def work(self, inputs: Sequence[Shape]) -> Work:
        """One subtraction an element under `profiler`."""
        return element_wise(inputs[0])


Layer = (
    Input | Conv | TransposeConv | PReLU | ReLU | Tanh | BatchNorm | Scale | MaxPool | AveragePool
    | DepthToSpace | SpaceToDepth | ResizeBilinear | ResizeNearest | ZeroPad | Concat | Add
    | Subtract
)  # fmt: skip


def _slid(
    name: str, shape: Shape, window: tuple[int, int], stride: int, padding: Padding
) -> tuple[int, int]:
    """Height and width of what a window that slides over a picture gives."""
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


def _divided_up(shape: Shape, divisor: int) -> tuple[int, int]:
    return (-(-shape[0] // divisor), -(-shape[1] // divisor))


def layer_kind(layer: Layer) -> str:
    """The layer's operation in the words of `nas describe`, e.g. "Conv 3x3 + ReLU"."""
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
