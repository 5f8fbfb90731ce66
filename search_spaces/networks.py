"""A space of whole networks beside U-Nets that are composed.

So networks from outside of a family can be baselines of its search: enqueued first, and drawn again
in other precisions, or pruned, like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import optuna

from nas.errors import ConfigError
from nas.networks.candidate import Architecture
from search_spaces.unet import UNet
from search_spaces.unet_space import UNetSpace

COMPOSED = "unet"  # the choice of `network` that asks for the parameters of a U-Net


def with_networks(space: object, networks: Mapping[str, Architecture]) -> NetworkSpace:
    """Return the space with `networks` beside what it has; ConfigError for a space of another
    family.
    """
    if isinstance(space, NetworkSpace):
        return NetworkSpace({**space.networks, **networks}, space.unets)
    if isinstance(space, UNetSpace):
        return NetworkSpace(networks, space)
    raise ConfigError(
        f"networks can be added to a UNetSpace or a NetworkSpace, not to {type(space).__name__}"
    )


@dataclass(frozen=True)
class NetworkSpace:
    """A space of which a value is one of `networks`, by its name, or a U-Net of `unets`.

    The parameter `network` decides which; those of a U-Net are asked for only where it is "unet". A
    U-Net that is also in `networks` is described by its name.

    Raises ConfigError where a name is "unet", or there are no networks.
    """

    networks: Mapping[str, Architecture]
    unets: UNetSpace = field(default_factory=UNetSpace)

    def __post_init__(self) -> None:
        if not self.networks:
            raise ConfigError("NetworkSpace.networks is empty; without any, UNetSpace does")
        if COMPOSED in self.networks:
            raise ConfigError(
                f"NetworkSpace.networks: {COMPOSED!r} is the choice of a U-Net of the space; "
                "give the network another name"
            )

    def __hash__(self) -> int:
        return hash((tuple(self.networks.items()), self.unets))

    @cached_property
    def reduction(self) -> int:
        """A picture's sides must divide by this number for every network of the space."""
        wholes = [network.graph().reduction for network in self.networks.values()]
        return math.lcm(self.unets.reduction, *wholes)

    def sample(self, trial: optuna.trial.BaseTrial) -> Architecture:
        """Ask the trial for `network`, and for a U-Net's parameters where it is one."""
        name = trial.suggest_categorical("network", (COMPOSED, *self.networks))
        return self.unets.sample(trial) if name == COMPOSED else self.networks[name]

    def to_parameters(self, architecture: Architecture) -> dict[str, Any]:
        """Return the parameters that `sample` turns into `architecture`.

        Raises ConfigError, naming the parameter, where the space does not hold the network.
        """
        for name, network in self.networks.items():
            if network == architecture:
                return {"network": name}
        if not isinstance(architecture, UNet):
            raise ConfigError(
                f"the network {architecture.label!r} is not in the space, which has U-Nets and "
                f"{list(self.networks)}"
            )
        return {"network": COMPOSED, **self.unets.to_parameters(architecture)}

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON types."""
        return {
            "family": "networks",
            "networks": {name: value.to_dict() for name, value in self.networks.items()},
            "unets": self.unets.to_dict(),
        }
