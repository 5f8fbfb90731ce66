"""DBPN (Haris et al., CVPR 2018) at full resolution, as Chiang et al. (CVPRW 2020) compare it.

They publish its MACs, not its widths: `DBPN()` is a reconstruction, found by arithmetic. The
original's first up-projection is removed, so that the network ends at the resolution of its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.errors import ConfigError
from nas.networks.graph import Add, Concat, Conv, Graph, Subtract, TransposeConv
from search_spaces.values import Layers, check_at_least, from_json, to_json


@final
@dataclass(frozen=True)
class DBPN:
    """`stages` pairs of a down- and an up-projection between full and 1/`factor` resolution.

    A projection goes there, back and there again, and corrects itself by the difference. All of it
    by `kernel` x `kernel` convolutions of `width` channels, plain or transposed, of stride
    `factor`; before it `features` channels of 3x3. nR and n0 in the original.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "dbpn"

    features: int = 128
    width: int = 32
    stages: int = 10
    kernel: int = 8
    factor: int = 4

    def __post_init__(self) -> None:
        check_at_least(self, 1, ("features", "width", "stages"))
        check_at_least(self, 2, ("factor",))
        if self.kernel < self.factor or (self.kernel - self.factor) % 2:
            raise ConfigError(
                f"DBPN.kernel={self.kernel}: expected the factor {self.factor} plus an even number"
            )

    @property
    def label(self) -> str:
        """A short name, for example "dbpn 128-32 x10 k8/4"."""
        return f"dbpn {self.features}-{self.width} x{self.stages} k{self.kernel}/{self.factor}"

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return to_json(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DBPN:
        """Return the value that `to_dict` wrote; ConfigError where it is not one."""
        return from_json(cls, values)

    def narrowed(self) -> DBPN:
        """Return a small likeness, to try things out in seconds."""
        features, width, stages = min(self.features, 16), min(self.width, 8), min(self.stages, 2)
        return DBPN(features, width, stages, self.kernel, self.factor)

    def graph(self) -> Graph:
        """Return the network's layers: `head1`, `head2`, `down1_conv1`, ...,
        `up1_conv`, ..., `output`.
        """
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers = Layers()
        x = layers.add(Conv("head1", ("input",), self.features, activation="relu"))
        x = layers.add(Conv("head2", (x,), self.width, kernel=1, activation="relu"))
        outputs = []
        for stage in range(1, self.stages + 1):
            x = self._down(layers, f"down{stage}", x)
            x = self._up(layers, f"up{stage}", x)
            outputs.append(x)
        if len(outputs) > 1:
            x = layers.add(Concat("concat", tuple(outputs)))
        layers.add(Conv("output", (x,), 3))
        return layers.graph()

    def _down(self, layers: Layers, name: str, source: str) -> str:
        low = self._conv(layers, f"{name}_conv1", source)
        high = self._deconv(layers, f"{name}_deconv", low)
        error = layers.add(Subtract(f"{name}_error", (high, source)))
        correction = self._conv(layers, f"{name}_conv2", error)
        return layers.add(Add(f"{name}_add", (correction, low)))

    def _up(self, layers: Layers, name: str, source: str) -> str:
        high = self._deconv(layers, f"{name}_deconv1", source)
        low = self._conv(layers, f"{name}_conv", high)
        error = layers.add(Subtract(f"{name}_error", (low, source)))
        correction = self._deconv(layers, f"{name}_deconv2", error)
        return layers.add(Add(f"{name}_add", (correction, high)))

    def _conv(self, layers: Layers, name: str, source: str) -> str:
        return layers.add(Conv(name, (source,), self.width, self.kernel, "relu", self.factor))

    def _deconv(self, layers: Layers, name: str, source: str) -> str:
        return layers.add(
            TransposeConv(name, (source,), self.width, self.factor, self.kernel, "relu")
        )
