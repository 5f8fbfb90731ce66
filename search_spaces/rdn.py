"""RDN (Zhang et al., CVPR 2018) without its up-sampler, as Chiang et al. (CVPRW 2020) compare it.

They publish its MACs, not its widths: `RDN()` is a reconstruction, found by arithmetic. It is
configuration A of the original with all four numbers halved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.networks.graph import Add, Concat, Conv, Graph
from search_spaces.values import Layers, check_at_least, from_json, to_json


@final
@dataclass(frozen=True)
class RDN:
    """`blocks` residual dense blocks at full resolution.

    A block's `convolutions` of `growth` channels each see all before them; a 1x1 convolution takes
    the result back to `width`. The outputs of all blocks are fused. D, C, G and G0 in the original.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "rdn"

    width: int = 32
    growth: int = 16
    convolutions: int = 3
    blocks: int = 10

    def __post_init__(self) -> None:
        check_at_least(self, 1, ("width", "growth", "convolutions", "blocks"))

    @property
    def label(self) -> str:
        """A short name, for example "rdn 32 g16 x3 x10"."""
        return f"rdn {self.width} g{self.growth} x{self.convolutions} x{self.blocks}"

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return to_json(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RDN:
        """Return the value that `to_dict` wrote; ConfigError where it is not one."""
        return from_json(cls, values)

    def narrowed(self) -> RDN:
        """Return a small likeness, to try things out in seconds."""
        convolutions, blocks = min(self.convolutions, 2), min(self.blocks, 2)
        return RDN(min(self.width, 8), min(self.growth, 8), convolutions, blocks)

    def graph(self) -> Graph:
        """Return the network's layers: `head1`, `head2`, `block1_conv1`, ..., `fuse1`,
        ..., `output`.
        """
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers = Layers()
        first = layers.add(Conv("head1", ("input",), self.width))
        x = layers.add(Conv("head2", (first,), self.width))
        outputs = []
        for block in range(1, self.blocks + 1):
            x = self._block(layers, f"block{block}", x)
            outputs.append(x)
        if len(outputs) > 1:
            x = layers.add(Concat("fuse_concat", tuple(outputs)))
        x = layers.add(Conv("fuse1", (x,), self.width, kernel=1))
        x = layers.add(Conv("fuse2", (x,), self.width))
        x = layers.add(Add("fuse_add", (x, first)))
        layers.add(Conv("output", (x,), 3))
        return layers.graph()

    def _block(self, layers: Layers, name: str, source: str) -> str:
        x = source
        for index in range(1, self.convolutions + 1):
            y = layers.add(Conv(f"{name}_conv{index}", (x,), self.growth, activation="relu"))
            x = layers.add(Concat(f"{name}_concat{index}", (x, y)))
        x = layers.add(Conv(f"{name}_fuse", (x,), self.width, kernel=1))
        return layers.add(Add(f"{name}_add", (x, source)))
