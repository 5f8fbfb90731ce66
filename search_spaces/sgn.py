"""SGN (Gu et al., ICCV 2019), as Chiang et al. (CVPRW 2020) compare it.

They publish its MACs, not its widths: `SGN()` is a reconstruction, found by arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.errors import ConfigError
from nas.networks.graph import Add, Concat, Conv, DepthToSpace, Graph, ReLU, SpaceToDepth
from search_spaces.values import Layers, check_at_least, from_json, to_json


@final
@dataclass(frozen=True)
class SGN:
    """A self-guidance network: each shuffled copy of the picture, the coarsest first, guides the
    next.

    Level k of `levels` works at 1/2^k of the height and width on `width` * 2^k channels: a
    convolution of the shuffled picture, one that takes in the guidance from below, a residual block
    of three, one more, depth-to-space. At full resolution (K and m + 3 in the original)
    `convolutions` follow after the one that takes in the guidance. All are 3x3.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "sgn"

    width: int = 32
    levels: int = 3
    convolutions: int = 11

    def __post_init__(self) -> None:
        check_at_least(self, 1, ("levels", "convolutions"))
        check_at_least(self, 2, ("width",))
        if self.width % 2:
            raise ConfigError(f"SGN.width={self.width}: must be even, for depth-to-space")

    @property
    def label(self) -> str:
        """A short name, for example "sgn 32 l3 x11"."""
        return f"sgn {self.width} l{self.levels} x{self.convolutions}"

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return to_json(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SGN:
        """Return the value that `to_dict` wrote; ConfigError where it is not one."""
        return from_json(cls, values)

    def narrowed(self) -> SGN:
        """Return a small likeness, to try things out in seconds."""
        return SGN(min(self.width, 8), min(self.levels, 2), min(self.convolutions, 2))

    def graph(self) -> Graph:
        """Return the network's layers: `level3_shuffle`, ..., `level3_guidance`,
        `main1`, `output`.
        """
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers, guidance = Layers(), ""
        for level in reversed(range(1, self.levels + 1)):
            guidance = self._level(layers, level, guidance)
        x = layers.add(Conv("head", ("input",), self.width, activation="relu"))
        x = layers.add(Concat("head_concat", (x, guidance)))
        x = layers.add(Conv("main0", (x,), self.width, activation="relu"))
        for index in range(1, self.convolutions + 1):
            x = layers.add(Conv(f"main{index}", (x,), self.width, activation="relu"))
        layers.add(Conv("output", (x,), 3))
        return layers.graph()

    def _level(self, layers: Layers, level: int, guidance: str) -> str:
        name, width = f"level{level}", self.width * 2**level
        x = layers.add(SpaceToDepth(f"{name}_shuffle", ("input",), 2**level))
        x = layers.add(Conv(f"{name}_head", (x,), width, activation="relu"))
        if guidance:
            x = layers.add(Concat(f"{name}_concat", (x, guidance)))
            x = layers.add(Conv(f"{name}_merge", (x,), width, activation="relu"))
        y = layers.add(Conv(f"{name}_conv1", (x,), width, activation="relu"))
        y = layers.add(Conv(f"{name}_conv2", (y,), width, activation="relu"))
        y = layers.add(Conv(f"{name}_conv3", (y,), width))
        x = layers.add(Add(f"{name}_add", (y, x)))
        x = layers.add(ReLU(f"{name}_relu", (x,)))
        x = layers.add(Conv(f"{name}_tail", (x,), width, activation="relu"))
        return layers.add(DepthToSpace(f"{name}_guidance", (x,)))
