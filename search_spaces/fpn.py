"""DeblurGAN-v2's generator (Kupyn et al., ICCV 2019), as Chiang et al. (CVPRW 2020) compare it.

A feature pyramid on Inception-ResNet-v2. They publish its MACs, not its widths: `FPN()` is a
reconstruction, found by arithmetic: heads of 112 channels where the original has 128. The original
starts from weights of ImageNet; here it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.errors import ConfigError
from nas.networks.graph import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Graph,
    MaxPool,
    ReLU,
    ResizeNearest,
    Scale,
    Tanh,
    ZeroPad,
)
from nas.networks.layer_costs import Padding
from search_spaces.values import Layers, check_at_least, from_json, to_json

SCALE_35, SCALE_17 = 0.17, 0.10  # of the residual blocks' sums, as in Inception-ResNet-v2


@final
@dataclass(frozen=True)
class FPN:
    """Inception-ResNet-v2 up to 1/32 of the resolution, and a pyramid that leads back.

    `stem` are the channels of the first convolution; all others of the backbone are in proportion
    (320, 1088 and 2080 of them at the ends of its last three stages, with 32). `blocks35` and
    `blocks17` are its residual blocks at 1/8 and 1/16; `pyramid` and `head` the channels of the
    pyramid and of its heads. Adds what it computes to the picture.

    Its backbone's windows are not padded, so it needs pictures of 75x75 at least; any size above.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "fpn"

    stem: int = 32
    blocks35: int = 10
    blocks17: int = 20
    pyramid: int = 256
    head: int = 112

    def __post_init__(self) -> None:
        check_at_least(self, 1, ("pyramid",))
        check_at_least(self, 0, ("blocks35", "blocks17"))
        check_at_least(self, 2, ("stem", "head"))
        if self.stem % 2 or self.head % 2:
            raise ConfigError(
                f"FPN.stem={self.stem}, head={self.head}: both must be even, since layers of "
                "the network have one and a half times, or half of them"
            )

    @property
    def label(self) -> str:
        """A short name, for example "fpn 32-256-112 x10 x20"."""
        widths = f"{self.stem}-{self.pyramid}-{self.head}"
        return f"fpn {widths} x{self.blocks35} x{self.blocks17}"

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return to_json(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FPN:
        """Return the value that `to_dict` wrote; ConfigError where it is not one."""
        return from_json(cls, values)

    def narrowed(self) -> FPN:
        """Return a small likeness, to try things out in seconds."""
        blocks = (min(self.blocks35, 1), min(self.blocks17, 1))
        return FPN(min(self.stem, 8), *blocks, min(self.pyramid, 8), min(self.head, 8))

    def graph(self) -> Graph:
        """Return the network's layers: `enc0`, ..., `block35_1_a`, ..., `lateral4`, ..., `output`.

        A convolution `x` that is normalised is followed by `x_norm` and `x_relu`.
        """
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers = Layers()
        maps = self._backbone(layers)
        pyramid = self._pyramid(layers, maps)
        heads = [self._head(layers, level, source) for level, source in pyramid.items()]
        x = layers.add(Concat("heads", tuple(heads)))
        x = _normalised(layers, "smooth1", x, self.head)
        x = layers.add(ResizeNearest("up1", (x, "input"), 2))
        x = layers.add(Add("lateral0_add", (x, self._lateral(layers, 0, maps[0], self.head))))
        x = _normalised(layers, "smooth2", x, self.head // 2)
        x = layers.add(ResizeNearest("up0", (x, "input")))
        x = layers.add(Conv("output", (x,), 3))
        x = layers.add(Tanh("tanh", (x,)))
        layers.add(Add("residual", (x, "input")))
        return layers.graph()

    def _of(self, channels: int) -> int:
        """Return so many of the original's backbone channels, in proportion to the stem."""
        return channels * self.stem // 32

    def _conv(
        self, layers: Layers, name: str, source: str, channels: int,
        kernel: int | tuple[int, int] = 3, stride: int = 1, padding: Padding = "same",
    ) -> str:  # fmt: skip
        return _normalised(layers, name, source, self._of(channels), kernel, stride, padding)

    def _backbone(self, layers: Layers) -> list[str]:
        """Add the backbone; return its feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        enc0 = self._conv(layers, "enc0", "input", 32, 3, 2, "valid")
        x = self._conv(layers, "enc1_a", enc0, 32, padding="valid")
        x = self._conv(layers, "enc1_b", x, 64)
        enc1 = layers.add(MaxPool("enc1", (x,), 2, kernel=3))
        x = self._conv(layers, "enc2_a", enc1, 80, 1)
        x = self._conv(layers, "enc2_b", x, 192, padding="valid")
        enc2 = layers.add(MaxPool("enc2", (x,), 2, kernel=3))
        x = self._mixed_5b(layers, enc2)
        for block in range(1, self.blocks35 + 1):
            x = self._block35(layers, f"block35_{block}", x)
        enc3 = x = self._mixed_6a(layers, x)
        for block in range(1, self.blocks17 + 1):
            x = self._block17(layers, f"block17_{block}", x)
        return [enc0, enc1, enc2, enc3, self._mixed_7a(layers, x)]

    def _mixed_5b(self, layers: Layers, source: str) -> str:
        a = self._conv(layers, "mixed5b_a", source, 96, 1)
        b = self._conv(layers, "mixed5b_b1", source, 48, 1)
        b = self._conv(layers, "mixed5b_b2", b, 64, 5)
        c = self._conv(layers, "mixed5b_c1", source, 64, 1)
        c = self._conv(layers, "mixed5b_c2", c, 96)
        c = self._conv(layers, "mixed5b_c3", c, 96)
        d = layers.add(AveragePool("mixed5b_pool", (source,)))
        d = self._conv(layers, "mixed5b_d", d, 64, 1)
        return layers.add(Concat("mixed5b", (a, b, c, d)))

    def _block35(self, layers: Layers, name: str, source: str) -> str:
        a = self._conv(layers, f"{name}_a", source, 32, 1)
        b = self._conv(layers, f"{name}_b1", source, 32, 1)
        b = self._conv(layers, f"{name}_b2", b, 32)
        c = self._conv(layers, f"{name}_c1", source, 32, 1)
        c = self._conv(layers, f"{name}_c2", c, 48)
        c = self._conv(layers, f"{name}_c3", c, 64)
        x = layers.add(Concat(f"{name}_concat", (a, b, c)))
        return self._added(layers, name, x, source, 320, SCALE_35)

    def _mixed_6a(self, layers: Layers, source: str) -> str:
        a = self._conv(layers, "mixed6a_a", source, 384, 3, 2, "valid")
        b = self._conv(layers, "mixed6a_b1", source, 256, 1)
        b = self._conv(layers, "mixed6a_b2", b, 256)
        b = self._conv(layers, "mixed6a_b3", b, 384, 3, 2, "valid")
        c = layers.add(MaxPool("mixed6a_pool", (source,), 2, kernel=3))
        return layers.add(Concat("mixed6a", (a, b, c)))

    def _block17(self, layers: Layers, name: str, source: str) -> str:
        a = self._conv(layers, f"{name}_a", source, 192, 1)
        b = self._conv(layers, f"{name}_b1", source, 128, 1)
        b = self._conv(layers, f"{name}_b2", b, 160, (1, 7))
        b = self._conv(layers, f"{name}_b3", b, 192, (7, 1))
        x = layers.add(Concat(f"{name}_concat", (a, b)))
        return self._added(layers, name, x, source, 1088, SCALE_17)

    def _mixed_7a(self, layers: Layers, source: str) -> str:
        a = self._conv(layers, "mixed7a_a1", source, 256, 1)
        a = self._conv(layers, "mixed7a_a2", a, 384, 3, 2, "valid")
        b = self._conv(layers, "mixed7a_b1", source, 256, 1)
        b = self._conv(layers, "mixed7a_b2", b, 288, 3, 2, "valid")
        c = self._conv(layers, "mixed7a_c1", source, 256, 1)
        c = self._conv(layers, "mixed7a_c2", c, 288)
        c = self._conv(layers, "mixed7a_c3", c, 320, 3, 2, "valid")
        d = layers.add(MaxPool("mixed7a_pool", (source,), 2, kernel=3))
        return layers.add(Concat("mixed7a", (a, b, c, d)))

    def _added(
        self, layers: Layers, name: str, x: str, source: str, channels: int, scale: float
    ) -> str:
        """The end of a residual block."""
        x = layers.add(Conv(f"{name}_up", (x,), self._of(channels), kernel=1))
        x = layers.add(Scale(f"{name}_scale", (x,), scale))
        x = layers.add(Add(f"{name}_add", (x, source)))
        return layers.add(ReLU(f"{name}_relu", (x,)))

    def _lateral(self, layers: Layers, level: int, source: str, channels: int) -> str:
        """Add a 1x1 convolution, padded by as much as an unpadded window cut off."""
        name = f"lateral{level}"
        x = layers.add(Conv(name, (source,), channels, kernel=1, bias=False))
        return layers.add(ZeroPad(f"{name}_pad", (x, "input"), 2 ** (level + 1)))

    def _pyramid(self, layers: Layers, maps: list[str]) -> dict[int, str]:
        """Add maps of `pyramid` channels from 1/32 (level 4) to 1/4 (level 1), from the
        top down.
        """
        x = self._lateral(layers, 4, maps[4], self.pyramid)
        pyramid = {4: x}
        for level in (3, 2, 1):
            lateral = self._lateral(layers, level, maps[level], self.pyramid)
            x = layers.add(ResizeNearest(f"topdown{level}_resize", (x, lateral)))
            x = layers.add(Add(f"topdown{level}_add", (lateral, x)))
            x = _normalised(layers, f"topdown{level}", x, self.pyramid)
            pyramid[level] = x
        return pyramid

    def _head(self, layers: Layers, level: int, source: str) -> str:
        name = f"head{level}"
        x = layers.add(Conv(f"{name}_conv1", (source,), self.head, activation="relu", bias=False))
        x = layers.add(Conv(f"{name}_conv2", (x,), self.head, activation="relu", bias=False))
        if level == 1:
            return x
        return layers.add(ResizeNearest(f"{name}_resize", (x, "input"), 4))


def _normalised(
    layers: Layers, name: str, source: str, channels: int, kernel: int | tuple[int, int] = 3,
    stride: int = 1, padding: Padding = "same",
) -> str:  # fmt: skip
    """Add a convolution without a bias, a batch normalisation, which has one, and a ReLU."""
    x = layers.add(
        Conv(name, (source,), channels, kernel, stride=stride, padding=padding, bias=False)
    )
    x = layers.add(BatchNorm(f"{name}_norm", (x,)))
    return layers.add(ReLU(f"{name}_relu", (x,)))
