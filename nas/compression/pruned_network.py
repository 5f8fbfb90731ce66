"""A pruned network as an ordinary architecture: another one's layers with fewer channels each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

from nas.compression.channels import with_channels
from nas.errors import ConfigError
from nas.networks.candidate import Architecture
from nas.networks.graph import Graph


@final
@dataclass(frozen=True)
class PrunedNetwork:
    """The layers of `base`, with the filters that `channels` gives for each layer by name.

    Raises ConfigError where a layer is unknown or the widths don't fit together.
    """

    family: ClassVar[str] = "pruned"

    base: Architecture
    channels: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        try:
            self._graph.costs(*[self._graph.smallest] * 2)
        except ConfigError as error:
            raise ConfigError(f"a pruned {self.base.label} can't be: {error}") from error

    @classmethod
    def of(cls, base: Architecture, channels: Mapping[str, int]) -> PrunedNetwork:
        """Return the value, its layers in the order of the network's."""
        names = [layer.name for layer in base.graph().layers if layer.name in channels]
        return cls(base, tuple((name, channels[name]) for name in names))

    @property
    def label(self) -> str:
        """A short name, for example "unet-resizebilinear-relu 8-16-24 x2 k5 pruned 30.2%"."""
        return f"{self.base.label} pruned {self.pruned_share:.1%}"

    @property
    def pruned_share(self) -> float:
        """The share of the base's MACs (by the profiler's convention) that pruning removed."""
        return pruned_share(self.base.graph(), self._graph)

    def graph(self) -> Graph:
        """Return the network's layers."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        return with_channels(self.base.graph(), dict(self.channels))

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return {
            "family": self.family,
            "base": self.base.to_dict(),
            "channels": dict(self.channels),
        }

    @classmethod
    def from_dict(
        cls, values: dict[str, Any], read: Callable[[dict[str, Any]], Architecture]
    ) -> PrunedNetwork:
        """Return the value that `to_dict` wrote; `read` reads the base. Raises ConfigError."""
        base, channels = values.get("base"), values.get("channels")
        if not isinstance(base, dict) or not isinstance(channels, dict):
            raise ConfigError("a pruned network has the entries 'base' and 'channels'")
        return cls.of(read(base), {str(name): int(count) for name, count in channels.items()})


def pruned_share(base: Graph, narrow: Graph) -> float:
    """Return the share of `base`'s MACs that `narrow` saves, at any picture size.

    It is counted by the profiler's convention, in which the paper states its targets: all of a
    network's counts grow with the pixels, so the share does not depend on them. (Not quite all
    where windows are not padded: there it is counted at 1280x720.)
    """
    return 1 - macs(narrow) / macs(base)


def macs(graph: Graph) -> float:
    """Return the profiler's MACs at the graph's reference size: a measure of cost to compare by."""
    return graph.macs(*graph.counting_size).profiler
