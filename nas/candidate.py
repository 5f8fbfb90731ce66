"""What a search samples: an architecture and how it is compressed, as one value with a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args

from nas.canonical import content_key
from nas.errors import unknown
from nas.graph import Graph

if TYPE_CHECKING:
    import optuna

Precision = Literal["float", "int8-ptq"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Architecture(Protocol):
    """A frozen value that describes a network; see `search_spaces.unet.UNet`."""

    @property
    def label(self) -> str:
        """A short name for people, e.g. "unet-resizebilinear-relu 8-16-24"."""
        ...

    def graph(self) -> Graph:
        """The network's layers."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON types; `family` says which class reads it back."""
        ...


Value = TypeVar("Value")


class Space(Protocol[Value]):
    """Values to choose from: architectures (`search_spaces.UNetSpace`) or compressions."""

    def sample(self, trial: optuna.trial.BaseTrial) -> Value:
        """Ask the trial for every parameter and return the value that they describe."""
        ...

    def to_parameters(self, value: Value, /) -> dict[str, Any]:
        """The Optuna parameters that `sample` turns into `value`; ConfigError if none do."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The space as JSON types, for a study's fingerprint."""
        ...


class ArchitectureSpace(Space[Value], Protocol[Value]):
    """A space of architectures."""

    @property
    def reduction(self) -> int:
        """What a picture's sides must divide by for every network of the space."""
        ...


@dataclass(frozen=True)
class Compression:
    """How an architecture's trained network is made smaller: for now, its precision."""

    precision: Precision = "float"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON types."""
        return {"precision": self.precision}


@dataclass(frozen=True)
class Candidate:
    """An architecture and its compression."""

    architecture: Architecture
    compression: Compression = Compression()

    @property
    def label(self) -> str:
        """A short name for people, e.g. "unet-resizebilinear-relu 8-16-24 int8-ptq"."""
        return f"{self.architecture.label} {self.compression.precision}"

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
