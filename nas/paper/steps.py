"""Holds the parts of the staged study as values: the candidates of each step, and the scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from nas.errors import ConfigError
from nas.networks.candidate import Architecture, Candidate, Compression
from nas.study.study import Study
from nas.system.hashing import content_key

Networks = Mapping[str, Architecture]


@final
@dataclass(frozen=True)
class Entry:
    """One candidate of a step; `network` is the name under which the paper publishes its cells."""

    step: int
    network: str
    candidate: Candidate

    @property
    def pruned_percent(self) -> int | None:
        """Return the MAC reduction target of Table 4's row, None where nothing is pruned."""
        share = self.candidate.compression.pruned_share
        return round(100 * share) if share else None


@final
@dataclass(frozen=True)
class PaperStep:
    """A step of the paper's search.

    It tries `networks` as they are, or, where there are none, `compressions` of the network that an
    earlier step chose. `choice` is the network that the paper took on from here, None where a step
    chooses nothing.
    """

    number: int
    title: str
    networks: Networks = field(default_factory=dict)
    compressions: tuple[Compression, ...] = ()
    choice: str | None = None

    def entries(self, chosen: tuple[str, Architecture] | None = None) -> list[Entry]:
        """Return the step's candidates; `chosen` is the network to compress, by name."""
        if self.networks:
            return [Entry(self.number, n, Candidate(a)) for n, a in self.networks.items()]
        if chosen is None:
            raise ValueError(f"step {self.number} needs a network to compress")
        name, network = chosen
        return [Entry(self.number, name, Candidate(network, c)) for c in self.compressions]


@final
@dataclass(frozen=True)
class PaperScale:
    """The staged study at one size of networks, patches, steps and pictures.

    `says` declares the size in a few words, `narrowed` that the networks are not the paper's own
    but thinner ones of the same kinds. `needs_data` is the kind of data set that the scale stands
    for, None where any will do; `needs_pairs` how many pairs (to train on, held out) it then has.
    """

    name: str
    says: str
    study: Study
    steps: tuple[PaperStep, ...]
    narrowed: bool
    needs_data: str | None = None
    needs_pairs: tuple[int, int] | None = None


@final
@dataclass(frozen=True)
class NetworkList:
    """A space of architectures that are listed one by one: the parameter `network` is a name.

    Raises ConfigError where the list is empty.
    """

    networks: Networks

    def __post_init__(self) -> None:
        if not self.networks:
            raise ConfigError("a list of networks is empty; give at least one")

    def __hash__(self) -> int:
        return hash(content_key(self.to_dict()))

    @cached_property
    def reduction(self) -> int:
        """Return what a picture's sides must divide by for every network of the list."""
        import math

        return math.lcm(*(network.graph().reduction for network in self.networks.values()))

    def sample(self, trial: Any) -> Architecture:
        """Ask the trial for the parameter `network`."""
        return self.networks[trial.suggest_categorical("network", tuple(self.networks))]

    def to_parameters(self, architecture: Architecture) -> dict[str, Any]:
        """Return the parameter that `sample` turns into `architecture`; ConfigError if none."""
        for name, network in self.networks.items():
            if network == architecture:
                return {"network": name}
        raise ConfigError(
            f"{architecture.label} is not in the list, which has {', '.join(self.networks)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the list as JSON types."""
        return {"family": "listed", **{n: a.to_dict() for n, a in self.networks.items()}}


def all_networks(steps: Sequence[PaperStep]) -> dict[str, Architecture]:
    """Return every network that the steps name."""
    return {name: network for step in steps for name, network in step.networks.items()}


def networks_of(steps: Sequence[PaperStep], scale: PaperScale) -> dict[str, Architecture]:
    """Return every network that the steps train, by name.

    Steps that compress may compress any network of the last step before them that chooses.
    """
    named = all_networks(steps)
    if all(step.networks for step in steps):
        return named
    return named | dict([step for step in scale.steps if step.choice is not None][-1].networks)
