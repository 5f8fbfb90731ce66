"""The U-Net family: one frozen value describes a network, one space the choices.

The layers follow the U-Net of "Deploying Image Deblurring across Mobile Devices" (Chiang et al.,
CVPRW 2020). The paper publishes MAC counts, not widths; `PAPER` below is a reconstruction whose
counts match every published one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from nas.errors import ConfigError, unknown
from nas.networks.graph import Graph
from search_spaces.unet_axes import (
    ACTIVATIONS,
    ALL_ACTIVATIONS,
    BLOCKS,
    DOWNSAMPLINGS,
    PLAIN,
    SKIPS,
    STEMS,
    UPSAMPLINGS,
    Activation,
    Block,
    Downsampling,
    Skip,
    Upsampling,
)
from search_spaces.unet_layers import unet_graph
from search_spaces.values import from_json

__all__ = ["ACTIVATIONS", "PAPER", "SHORT", "UPSAMPLINGS", "Activation", "UNet", "Upsampling"]

_CHOICES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "upsampling": ("up-sampling", UPSAMPLINGS),
    "activation": ("activation", ALL_ACTIVATIONS),
    "skip": ("skip", SKIPS),
    "downsampling": ("down-sampling", DOWNSAMPLINGS),
    "block": ("block", BLOCKS),
}
SHORT = {  # what a label says of an axis that is not as in the paper
    "addition": "add",
    "strided-conv": "strided",
    "space-to-depth": "s2d",
    "depthwise-separable": "separable",
    "inverted-bottleneck": "inverted",
}


@dataclass(frozen=True)
class UNet:
    """An encoder and a decoder with skips.

    `widths` are the channels of each level, full resolution first: level k works at 1/2^k of the
    height and width. Every level has `convolutions` convolutions on the way down and as many on the
    way up (`decoder_convolutions`, where given); the deepest has `bottleneck_convolutions`, where
    given. All are 3x3 but the very first.

    `upsampling` is a 2x2 transposed convolution to half of the channels, or depth-to-space alone (a
    quarter), or bilinear resizing alone (all). What comes up is concatenated with the `skip`; where
    that is an "addition", a 1x1 convolution before it (of the transposed one itself) gives it the
    level's channels first. `downsampling` keeps the channels: a max-pooling, a 3x3 convolution of
    stride 2, or space-to-depth and a 1x1 convolution, both with the activation.

    With a `stem` of 2 or 4, space-to-depth divides the height and width by so much first, and the
    last layer is its inverse: then full resolution is `stem` times the first level's.

    `block` is what takes the place of a 3x3 convolution (but for the network's first): itself
    ("plain"); "residual": after a level's first convolution, the others add their result to their
    input, two by two; "depthwise-separable": 3x3 for each channel, then 1x1; "inverted-bottleneck":
    1x1 to four times the width, 3x3 for each channel, 1x1 back, added to its input; "branched":
    trained as a sum of branches, and shipped as the plain one. With `global_residual` the network
    adds what it computes to the picture.

    Raises ConfigError on a value out of range, or on values that can't be together.
    """

    family: ClassVar[str] = "unet"

    upsampling: Upsampling = "resize-bilinear"
    activation: Activation = "relu"
    widths: tuple[int, ...] = (32, 64, 128, 128, 128)
    convolutions: int = 4
    first_kernel: int = 7
    global_residual: bool = False
    skip: Skip = "concatenation"
    downsampling: Downsampling = "max-pool"
    stem: int = 1
    block: Block = "plain"
    decoder_convolutions: int | None = None
    bottleneck_convolutions: int | None = None

    def __post_init__(self) -> None:
        for name, (words, choices) in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(words, getattr(self, name), choices)
        if self.stem not in STEMS:
            raise ConfigError(f"stem={self.stem}: expected 1 (none), 2 or 4")
        if len(self.widths) < 2:
            raise ConfigError(f"widths={self.widths}: a U-Net has at least 2 levels")
        if any(width < 4 or width % 4 for width in self.widths):
            raise ConfigError(
                f"widths={self.widths}: each must be a positive multiple of 4, so that "
                "depth-to-space and the halving transposed convolution divide it"
            )
        if self.first_kernel < 1 or self.first_kernel % 2 == 0:
            raise ConfigError(f"first_kernel={self.first_kernel}: expected an odd number")
        self._check_counts()

        for name in ("decoder_convolutions", "bottleneck_convolutions"):
            if getattr(self, name) == self.convolutions:  # one value for one network
                object.__setattr__(self, name, None)

    def _check_counts(self) -> None:
        for name in ("convolutions", "decoder_convolutions", "bottleneck_convolutions"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ConfigError(f"{name}={count}: at least 1 a level")
        most = max(self.count("down", 0), self.count("up", 0), self._bottleneck)
        if self.block == "residual" and most < 2:
            raise ConfigError(
                "block='residual' with convolutions=1: a level's first convolution changes the "
                "channels, so only those after it can add their input; give 2 at least"
            )

    @property
    def _bottleneck(self) -> int:
        return self.bottleneck_convolutions or self.convolutions

    def count(self, way: str, level: int) -> int:
        """Return how many convolutions a level has on the way "down" or "up"."""
        if way == "up":
            return self.decoder_convolutions or self.convolutions
        return self._bottleneck if level == len(self.widths) - 1 else self.convolutions

    @property
    def label(self) -> str:
        """A short name, for example "unet-resizebilinear-relu 8-16-24 x2 k5 res".

        Axes that are not as in the paper follow, for example "add strided stem2".
        """
        counts = f"x{self.convolutions}"
        if self.decoder_convolutions or self.bottleneck_convolutions:
            counts += f"+{self._bottleneck}+{self.count('up', 0)}"
        changed = [
            SHORT.get(value, f"stem{value}" if name == "stem" else value)
            for name, value in self._changed().items()
            if not name.endswith("convolutions")
        ]
        words = [
            f"unet-{self.upsampling.replace('-', '')}-{self.activation.replace('-', '')}",
            "-".join(map(str, self.widths)),
            counts,
            f"k{self.first_kernel}",
            *["res"] * self.global_residual,
            *changed,
        ]
        return " ".join(words)

    def _changed(self) -> dict[str, Any]:
        """Return the axes that are not as in the paper, by name."""
        return {name: own for name, was in PLAIN.items() if (own := getattr(self, name)) != was}

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types, without the axes that are as in the paper."""
        values = {name: value for name, value in asdict(self).items() if name not in PLAIN}
        return {"family": self.family, **values, "widths": list(self.widths), **self._changed()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> UNet:
        """Return the value that `to_dict` wrote; raises ConfigError on a missing or a
        wrong entry.
        """
        return from_json(cls, values, optional=PLAIN)

    def graph(self) -> Graph:
        """Return the network's layers, named by level: `down0_conv1`, `up0_conv1`, `output`."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        return unet_graph(self)

    def training_graph(self) -> Graph:
        """Return the layers that are trained: those that ship but for "branched" blocks."""
        return unet_graph(self, wide=True) if self.block == "branched" else self._graph


PAPER = UNet()
"""The reconstruction of the paper's U-Net."""
