"""EDSR (Lim et al., CVPRW 2017) without its up-sampler, as Chiang et al. (CVPRW 2020) compare it.

They publish its MACs, not its widths: `EDSR()` is a reconstruction, found by arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.networks.graph import Add, Conv, Graph
from search_spaces.values import Layers, check_at_least, from_json, to_json


@final
@dataclass(frozen=True)
class EDSR:
    """`blocks` residual blocks of two 3x3 convolutions, all at full resolution, `width` channels.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "edsr"

    width: int = 32
    blocks: int = 14

    def __post_init__(self) -> None:
        check_at_least(self, 1, ("width", "blocks"))

    @property
    def label(self) -> str:
        """A short name, for example "edsr 32 x14"."""
        return f"edsr {self.width} x{self.blocks}"

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return to_json(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EDSR:
        """Return the value that `to_dict` wrote; ConfigError where it is not one."""
        return from_json(cls, values)

    def narrowed(self) -> EDSR:
        """Return a small likeness, to try things out in seconds."""
        return EDSR(min(self.width, 8), min(self.blocks, 2))

    def graph(self) -> Graph:
        """Return the network's layers: `head`, `block1_conv1`, ..., `tail`, `output`."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers = Layers()
        head = x = layers.add(Conv("head", ("input",), self.width))
        for block in range(1, self.blocks + 1):
            name = f"block{block}"
            y = layers.add(Conv(f"{name}_conv1", (x,), self.width, activation="relu"))
            y = layers.add(Conv(f"{name}_conv2", (y,), self.width))
            x = layers.add(Add(f"{name}_add", (y, x)))
        x = layers.add(Conv("tail", (x,), self.width))
        x = layers.add(Add("tail_add", (x, head)))
        layers.add(Conv("output", (x,), 3))
        return layers.graph()
