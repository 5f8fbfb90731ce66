"""The candidates that a search samples: an architecture with its compression, as one
frozen value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args, runtime_checkable

from nas.errors import ConfigError, unknown
from nas.networks.graph import Graph
from nas.system.hashing import content_key

if TYPE_CHECKING:
    import optuna

Precision = Literal["float", "int8-ptq", "int8-qat", "int16-ptq"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""The precisions by name, the floating-point one first."""
MOST_PRUNED = 0.7
"""The largest share of the MACs that a candidate may have pruned."""


@runtime_checkable
class Architecture(Protocol):
    """A frozen value that describes a network; see `search_spaces.unet.UNet`."""

    @property
    def label(self) -> str:
        """A short name for people, for example "unet-resizebilinear-relu 8-16-24"."""
        ...

    def __hash__(self) -> int:
        """Return a hash that equal values share."""
        ...

    def graph(self) -> Graph:
        """Return the network's layers."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types; `family` says which class reads it back."""
        ...


@runtime_checkable
class Narrowable(Protocol):
    """An architecture that can give a small likeness of itself."""

    def narrowed(self) -> Architecture:
        """Return a likeness of a handful of channels and the fewest blocks, to try things out in
        seconds.
        """
        ...


@runtime_checkable
class Branched(Protocol):
    """An architecture that is trained with other layers than it ships with."""

    def training_graph(self) -> Graph:
        """Return the layers that are trained, whose branches `graph()` has as single layers."""
        ...


def training_graph(architecture: Architecture) -> Graph:
    """Return the layers that are trained of an architecture: mostly those that ship."""
    if isinstance(architecture, Branched):
        return architecture.training_graph()
    return architecture.graph()


Value = TypeVar("Value")


class Space(Protocol[Value]):
    """Values to choose from: architectures (`search_spaces.UNetSpace`) or compressions."""

    def sample(self, trial: optuna.trial.BaseTrial) -> Value:
        """Ask the trial for every parameter and return the value that they describe."""
        ...

    def to_parameters(self, value: Value, /) -> dict[str, Any]:
        """Return the Optuna parameters that `sample` turns into `value`; ConfigError if none do."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON types, for a study's fingerprint."""
        ...


class ArchitectureSpace(Space[Value], Protocol[Value]):
    """A space whose values are architectures."""

    @property
    def reduction(self) -> int:
        """A picture's sides must divide by this number for every network of the space."""
        ...


@dataclass(frozen=True)
class Compression:
    """A way to make an architecture's trained network smaller.

    `pruned_share` is the share of the network's MACs that pruning removes, from 0 to `MOST_PRUNED`.
    After that the network is quantized to `precision`. Raises ConfigError on a value out of range.
    """

    precision: Precision = "float"
    pruned_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.pruned_share <= MOST_PRUNED:
            raise ConfigError(
                f"pruned_share={self.pruned_share}: expected a share of the MACs from 0 to "
                f"{MOST_PRUNED}"
            )
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return {"pruned_share": self.pruned_share, "precision": self.precision}


@dataclass(frozen=True)
class Candidate:
    """An architecture and its compression."""

    architecture: Architecture
    compression: Compression = Compression()

    @property
    def label(self) -> str:
        """A short name for people, e.g. "unet-resizebilinear-relu 8-16-24 p30% int8-ptq"."""
        share = self.compression.pruned_share
        pruned = f" p{100 * share:g}%" if share else ""
        return f"{self.architecture.label}{pruned} {self.compression.precision}"

    @property
    def key(self) -> str:
        """12 hexadecimal digits that are equal exactly where the candidates are."""
        return content_key(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The candidate as JSON types."""
        return {
            "architecture": self.architecture.to_dict(),
            "compression": self.compression.to_dict(),
        }
