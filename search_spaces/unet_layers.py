"""Builds the layers of a U-Net from its axes."""

from __future__ import annotations

from typing import Protocol, final

from nas.networks.convolutions import Activation as Fused
from nas.networks.graph import (
    Add,
    BranchedConv,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    Graph,
    LeakyReLU,
    MaxPool,
    PReLU,
    ReLU,
    ResizeBilinear,
    SpaceToDepth,
    TransposeConv,
)
from search_spaces.unet_axes import (
    EXPANSION,
    LEAK,
    Activation,
    Block,
    Downsampling,
    Skip,
    Upsampling,
)
from search_spaces.values import Layers

_FUSED: dict[Activation, Fused] = {"relu": "relu", "relu6": "relu6"}  # else a layer of its own


class Axes(Protocol):
    """The values that decide a U-Net's layers; `search_spaces.unet.UNet` says what they mean."""

    @property
    def upsampling(self) -> Upsampling: ...  # noqa: D102
    @property
    def activation(self) -> Activation: ...  # noqa: D102
    @property
    def widths(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def first_kernel(self) -> int: ...  # noqa: D102
    @property
    def global_residual(self) -> bool: ...  # noqa: D102
    @property
    def skip(self) -> Skip: ...  # noqa: D102
    @property
    def downsampling(self) -> Downsampling: ...  # noqa: D102
    @property
    def stem(self) -> int: ...  # noqa: D102
    @property
    def block(self) -> Block: ...  # noqa: D102

    def count(self, way: str, level: int) -> int:
        """Return how many convolutions a level has on the way "down" or "up"."""
        ...


def unet_graph(axes: Axes, wide: bool = False) -> Graph:
    """Return the layers of a U-Net, named by level: `down0_conv1`, `up0_conv1`, `output`.

    With `wide` they are those that are trained, which differ from those that ship where the block
    is "branched".
    """
    return _UNetLayers(axes, wide).graph()


@final
class _UNetLayers:
    def __init__(self, axes: Axes, wide: bool) -> None:
        self._axes = axes
        self._wide = wide
        self._layers = Layers()

    def graph(self) -> Graph:
        axes, add = self._axes, self._layers.add
        x = "input"
        if axes.stem > 1:
            x = add(SpaceToDepth("stem_shuffle", (x,), axes.stem))
        skips, deepest = [], len(axes.widths) - 1
        for level in range(deepest + 1):
            if level:
                skips.append(x)
                x = self._down(level, x)
            x = self._stage("down", level, x)
        for level in reversed(range(deepest)):
            x = self._joined(level, x, skips[level])
            x = self._stage("up", level, x)
        x = add(Conv("output", (x,), channels=3 * axes.stem**2))
        if axes.stem > 1:
            x = add(DepthToSpace("output_shuffle", (x,), axes.stem))
        if axes.global_residual:
            add(Add("residual", (x, "input")))
        return self._layers.graph()

    def _down(self, level: int, x: str) -> str:
        """Halve the height and width; the channels stay those of the level above."""
        add, width, name = self._layers.add, self._axes.widths[level - 1], f"pool{level}"
        match self._axes.downsampling:
            case "max-pool":
                return add(MaxPool(name, (x,)))
            case "strided-conv":
                x = add(Conv(f"{name}_conv", (x,), width, 3, self._fused, stride=2))
            case "space-to-depth":
                x = add(SpaceToDepth(f"{name}_shuffle", (x,)))
                x = add(Conv(f"{name}_conv", (x,), width, 1, self._fused))
        return self._activated(x, f"{name}_act")

    def _joined(self, level: int, x: str, skip: str) -> str:
        """Double the height and width, and take in the skip."""
        add, name = self._layers.add, f"up{level}"
        width, below = self._axes.widths[level], self._axes.widths[level + 1]
        adds = self._axes.skip == "addition"
        match self._axes.upsampling:
            case "transpose-conv":
                x = add(TransposeConv(f"{name}_transpose", (x,), width if adds else below // 2))
            case "depth-to-space":
                if adds:
                    x = add(Conv(f"{name}_project", (x,), 4 * width, 1))
                x = add(DepthToSpace(f"{name}_shuffle", (x,)))
            case "resize-bilinear":
                if adds:
                    x = add(Conv(f"{name}_project", (x,), width, 1))
                x = add(ResizeBilinear(f"{name}_resize", (x,)))
        return add(Add(f"add{level}", (x, skip)) if adds else Concat(f"concat{level}", (x, skip)))

    def _stage(self, way: str, level: int, x: str) -> str:
        """Apply a level's convolutions; only the first may change the number of channels."""
        count, index = self._axes.count(way, level), 1
        while index <= count:
            x, used = self._block(f"{way}{level}", index, count - index + 1, x)
            index += used
        return x

    def _block(self, stage: str, index: int, left: int, x: str) -> tuple[str, int]:
        """Add the block that begins at a stage's convolution `index`, of which `left` are left.

        Returns its output, and how many of them it takes. The network's first one is always plain.
        """
        if stage == "down0" and index == 1:
            return self._convolution(stage, index, x, self._axes.first_kernel), 1
        match self._axes.block:
            case "residual" if index > 1:
                return self._residual(stage, index, x, min(2, left)), min(2, left)
            case "depthwise-separable":
                x = self._layers.add(DepthwiseConv(f"{stage}_depthwise{index}", (x,)))
                return self._convolution(stage, index, x, 1), 1
            case "inverted-bottleneck":
                return self._inverted(stage, index, x), 1
        return self._convolution(stage, index, x), 1

    def _convolution(self, stage: str, index: int, x: str, kernel: int = 3) -> str:
        """Add a convolution with its activation."""
        name, width = f"{stage}_conv{index}", self._width(stage)
        if self._wide and self._axes.block == "branched":
            x = self._layers.add(BranchedConv(name, (x,), width, kernel, self._fused))
        else:
            x = self._layers.add(Conv(name, (x,), width, kernel, self._fused))
        return self._activated(x, stage, index)

    def _residual(self, stage: str, index: int, x: str, size: int) -> str:
        """Add `size` convolutions whose result is added to their input, then the activation."""
        y = x
        if size == 2:
            y = self._convolution(stage, index, y)
            index += 1
        y = self._layers.add(Conv(f"{stage}_conv{index}", (y,), self._width(stage)))
        x = self._layers.add(Add(f"{stage}_add{index}", (y, x)))
        if self._axes.activation in ("relu", "relu6"):
            ceiling = 6.0 if self._axes.activation == "relu6" else None
            return self._layers.add(ReLU(f"{stage}_relu{index}", (x,), ceiling))
        return self._activated(x, stage, index)

    def _inverted(self, stage: str, index: int, x: str) -> str:
        """Add a 1x1 to `EXPANSION` times the width, 3x3 for each channel, 1x1 back, and the input.

        A stage's first one adds no input, which has other channels.
        """
        add, width = self._layers.add, self._width(stage)
        y = add(Conv(f"{stage}_expand{index}", (x,), EXPANSION * width, 1, self._fused))
        y = self._activated(y, f"{stage}_expand_act{index}")
        y = add(DepthwiseConv(f"{stage}_depthwise{index}", (y,), 3, self._fused))
        y = self._activated(y, f"{stage}_depthwise_act{index}")
        y = add(Conv(f"{stage}_conv{index}", (y,), width, 1))
        return y if index == 1 else add(Add(f"{stage}_add{index}", (y, x)))

    def _width(self, stage: str) -> int:
        return self._axes.widths[int(stage.removeprefix("down").removeprefix("up"))]

    @property
    def _fused(self) -> Fused:
        return _FUSED.get(self._axes.activation, "linear")

    def _activated(self, x: str, stage: str, index: int | None = None) -> str:
        """Add the activation where no convolution has it inside; `index` numbers it in a stage."""
        kind, fused = self._axes.activation, self._fused != "linear"
        if fused:
            return x
        word = "prelu" if kind == "prelu" else "leaky"
        name = stage if index is None else f"{stage}_{word}{index}"
        layer = PReLU(name, (x,)) if kind == "prelu" else LeakyReLU(name, (x,), LEAK)
        return self._layers.add(layer)
