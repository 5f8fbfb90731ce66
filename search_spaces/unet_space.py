"""The space of U-Nets: choices for each axis, as a flat set of categorical Optuna parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, cast

import optuna

from nas.errors import ConfigError
from nas.networks.candidate import Architecture
from search_spaces.unet import UNet
from search_spaces.unet_axes import (
    ACTIVATIONS,
    PLAIN,
    UPSAMPLINGS,
    Activation,
    Block,
    Downsampling,
    Skip,
    Upsampling,
)

_COUNTS = ("decoder_convolutions", "bottleneck_convolutions")


@dataclass(frozen=True)
class UNetSpace:
    """Choices for each part of a `UNet`.

    `widths` holds the choices of every level; `width_0` is the parameter of full resolution, and a
    level's parameter is asked for only where the network has that level. Every width has to be a
    multiple of `width_multiple`: 16 or 32 where a device works on as many channels at once. An axis
    from `skip` on whose only choice is the paper's is no parameter at all. In
    `decoder_convolutions` and `bottleneck_convolutions` None stands for as many as `convolutions`.

    Raises ConfigError where a choice, or two choices together, can't be.
    """

    upsampling: tuple[Upsampling, ...] = UPSAMPLINGS
    activation: tuple[Activation, ...] = ACTIVATIONS
    levels: tuple[int, ...] = (3, 4, 5)
    widths: tuple[int, ...] = (16, 32, 64, 128)
    convolutions: tuple[int, ...] = (2, 3, 4)
    first_kernel: tuple[int, ...] = (3, 5, 7)
    global_residual: tuple[bool, ...] = (False, True)
    skip: tuple[Skip, ...] = ("concatenation",)
    downsampling: tuple[Downsampling, ...] = ("max-pool",)
    stem: tuple[int, ...] = (1,)
    block: tuple[Block, ...] = ("plain",)
    decoder_convolutions: tuple[int | None, ...] = (None,)
    bottleneck_convolutions: tuple[int | None, ...] = (None,)
    width_multiple: int = 4

    def __post_init__(self) -> None:
        for name in self._choices():
            choices = getattr(self, name)
            if not choices or len(set(choices)) != len(choices):
                raise ConfigError(f"UNetSpace.{name}={choices}: empty, or a choice twice")
        if self.width_multiple < 4 or self.width_multiple % 4:
            raise ConfigError(f"width_multiple={self.width_multiple}: expected a multiple of 4")
        for network in self._corners():  # the network itself knows what is valid
            UNet(**network)
        for width in self.widths:
            if width % self.width_multiple:
                raise ConfigError(
                    f"UNetSpace.widths={self.widths}: {width} is no multiple of "
                    f"width_multiple={self.width_multiple}"
                )

    def _corners(self) -> Iterator[dict[str, Any]]:
        """Yield networks such that a choice, or a pair of choices, that can't be is in one."""
        alone = ("upsampling", "activation", "first_kernel", "skip", "downsampling", "stem")
        for width in self.widths:
            yield {"widths": (width,) * min(self.levels)}
        for name in alone:
            yield from ({name: choice} for choice in getattr(self, name))
        together = ("block", "convolutions", *_COUNTS)
        for values in product(*(getattr(self, name) for name in together)):
            yield dict(zip(together, values, strict=True))

    @staticmethod
    def _choices() -> list[str]:
        """Return the names of the fields that hold choices."""
        return [field.name for field in fields(UNetSpace) if field.name != "width_multiple"]

    @property
    def _wider(self) -> tuple[str, ...]:
        """The axes beyond the paper's that are parameters of this space."""
        return tuple(name for name in PLAIN if getattr(self, name) != (PLAIN[name],))

    @property
    def reduction(self) -> int:
        """A picture's sides must divide by this number for every network of the space."""
        return int(max(self.stem) * 2 ** (max(self.levels) - 1))

    def sample(self, trial: optuna.trial.BaseTrial) -> UNet:
        """Ask the trial for every parameter."""
        levels = trial.suggest_categorical("levels", self.levels)
        return UNet(
            upsampling=cast("Upsampling", trial.suggest_categorical("upsampling", self.upsampling)),
            activation=cast("Activation", trial.suggest_categorical("activation", self.activation)),
            widths=tuple(
                trial.suggest_categorical(f"width_{level}", self.widths) for level in range(levels)
            ),
            convolutions=trial.suggest_categorical("convolutions", self.convolutions),
            first_kernel=trial.suggest_categorical("first_kernel", self.first_kernel),
            global_residual=trial.suggest_categorical("global_residual", self.global_residual),
            **{name: trial.suggest_categorical(name, getattr(self, name)) for name in self._wider},
        )

    def to_parameters(self, architecture: Architecture) -> dict[str, Any]:
        """Return the parameters that `sample` turns into `architecture`.

        Raises ConfigError, naming the parameter, where the space does not hold the network.
        """
        if not isinstance(architecture, UNet):
            raise ConfigError(
                f"the network {architecture.label!r} is not in the space, which has U-Nets alone; "
                "search_spaces.NetworkSpace holds other networks beside them"
            )
        parameters: dict[str, Any] = {
            "levels": len(architecture.widths),
            "upsampling": architecture.upsampling,
            "activation": architecture.activation,
            "convolutions": architecture.convolutions,
            "first_kernel": architecture.first_kernel,
            "global_residual": architecture.global_residual,
        }
        wider = {name: self._parameter(name, architecture) for name in PLAIN}
        for name, value in (parameters | wider).items():
            _check_choice(name, value, getattr(self, name))
        for level, width in enumerate(architecture.widths):
            _check_choice(f"width_{level}", width, self.widths)
            parameters[f"width_{level}"] = width
        return parameters | {name: wider[name] for name in self._wider}

    def _parameter(self, name: str, network: UNet) -> Any:
        """Return a network's value on an axis; a count that is not its own may stand as a
        number.
        """
        value = getattr(network, name)
        same = name in _COUNTS and value is None and None not in getattr(self, name)
        return network.convolutions if same else value

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON types, without the axes that are as in the paper."""
        names = [name for name in self._choices() if name not in PLAIN or name in self._wider]
        return {"family": UNet.family, **{name: list(getattr(self, name)) for name in names}}


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not in the space, which has {list(choices)}")
