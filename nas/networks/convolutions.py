"""The kinds of layers that convolve, each a frozen value, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nas.networks.layer_costs import (
    BaseLayer,
    Padding,
    Shape,
    Work,
    element_wise,
    window_sides,
)

Activation = Literal["linear", "relu", "relu6"]
"""The functions that a convolution can have inside it."""


@final
@dataclass(frozen=True)
class Conv(BaseLayer):
    """A convolution, with a ReLU or a ReLU6 inside it where `activation` says so.

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
class DepthwiseConv(BaseLayer):
    """A convolution of each channel by a kernel of its own, SAME padding, stride 1, with a bias."""

    name: str
    inputs: tuple[str]
    kernel: int = 3
    activation: Activation = "linear"

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return k^2 an element of the output, and the bias under `profiler`."""
        height, width, _ = inputs[0]
        return Work(own=self.kernel**2 * height * width, each=0.5 * height * width)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many weights and biases there are."""
        return (self.kernel**2 + 1) * inputs[0][2]


@final
@dataclass(frozen=True)
class BranchedConv(BaseLayer):
    """A convolution that is trained as a sum of branches, and ships as a single one.

    Its branches are `kernel` x `kernel`, 1x1, and 1x1 to twice the channels followed by `kernel` x
    `kernel`. All are linear, so that their sum is one convolution of `kernel` x `kernel`
    (`nas.networks.branches` computes it). It belongs into graphs for training alone; it costs what
    ships, but for its parameters.
    """

    name: str
    inputs: tuple[str]
    channels: int
    kernel: int = 3
    activation: Activation = "linear"

    @property
    def shipped(self) -> Conv:
        """The convolution that it ships as."""
        return Conv(self.name, self.inputs, self.channels, self.kernel, self.activation)

    def shape(self, inputs: Sequence[Shape]) -> Shape:
        """Return `channels` channels, with the same height and width."""
        return self.shipped.shape(inputs)

    def work(self, inputs: Sequence[Shape]) -> Work:
        """Return the work of the convolution that ships."""
        return self.shipped.work(inputs)

    def parameters(self, inputs: Sequence[Shape]) -> int:
        """Return how many numbers training sets in all branches, and the bias."""
        cin, cout, area = inputs[0][2], self.channels, self.kernel**2
        return (area + 1) * cin * cout + 2 * cout * (cin + area * cout) + cout
