"""The U-Net family: one frozen value describes a network, one space the choices.

The layers follow the U-Net of "Deploying Image Deblurring across Mobile Devices" (Chiang et al.,
CVPRW 2020). The paper publishes MAC counts, not widths; `PAPER` below is a reconstruction whose
counts match every published one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal, cast, get_args

import optuna

from nas.errors import ConfigError, unknown
from nas.networks.candidate import Architecture
from nas.networks.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Input,
    Layer,
    MaxPool,
    PReLU,
    ResizeBilinear,
    TransposeConv,
)
from search_spaces.values import from_json

Upsampling = Literal["transpose-conv", "depth-to-space", "resize-bilinear"]
Activation = Literal["relu", "prelu"]
# The choices of both, by name.
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


@dataclass(frozen=True)
class UNet:
    """An encoder and a decoder with skips.

    `widths` are the channels of each level, full resolution first: level k works at 1/2^k of the
    height and width. Every level has `convolutions` convolutions on the way down and as many on the
    way up; all are 3x3 but the very first. Up-sampling is a 2x2 transposed convolution to half of
    the channels, or depth-to-space alone (a quarter), or bilinear resizing alone (all). With
    `global_residual` the network adds what it computes to the picture.

    Raises ConfigError on a value out of range.
    """

    family: ClassVar[str] = "unet"

    upsampling: Upsampling = "resize-bilinear"
    activation: Activation = "relu"
    widths: tuple[int, ...] = (32, 64, 128, 128, 128)
    convolutions: int = 4
    first_kernel: int = 7
    global_residual: bool = False

    def __post_init__(self) -> None:
        if self.upsampling not in UPSAMPLINGS:
            raise unknown("up-sampling", self.upsampling, UPSAMPLINGS)
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if len(self.widths) < 2:
            raise ConfigError(f"widths={self.widths}: a U-Net has at least 2 levels")
        if any(width < 4 or width % 4 for width in self.widths):
            raise ConfigError(
                f"widths={self.widths}: each must be a positive multiple of 4, so that "
                "depth-to-space and the halving transposed convolution divide it"
            )
        if self.convolutions < 1:
            raise ConfigError(f"convolutions={self.convolutions}: at least 1 a level")
        if self.first_kernel < 1 or self.first_kernel % 2 == 0:
            raise ConfigError(f"first_kernel={self.first_kernel}: expected an odd number")

    @property
    def label(self) -> str:
        """A short name, for example "unet-resizebilinear-relu 8-16-24 x2 k5 res"."""
        return (
            f"unet-{self.upsampling.replace('-', '')}-{self.activation} "
            f"{'-'.join(map(str, self.widths))} x{self.convolutions} k{self.first_kernel}"
            f"{' res' if self.global_residual else ''}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON types."""
        return {"family": self.family, **asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> UNet:
        """Return the value that `to_dict` wrote; raises ConfigError on a missing or a
        wrong entry.
        """
        return from_json(cls, values)

    def graph(self) -> Graph:
        """Return the network's layers, named by level: `down0_conv1`, `up0_conv1`, `output`."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        layers: list[Layer] = [Input("input")]
        skips = []
        deepest = len(self.widths) - 1
        for level in range(deepest + 1):
            if level:
                skips.append(layers[-1].name)
                layers.append(MaxPool(f"pool{level}", (layers[-1].name,)))
            self._convolutions(layers, f"down{level}", level)
        for level in reversed(range(deepest)):
            up = self._up(f"up{level}", layers[-1].name, self.widths[level + 1])
            layers += [up, Concat(f"concat{level}", (up.name, skips[level]))]
            self._convolutions(layers, f"up{level}", level)
        layers.append(Conv("output", (layers[-1].name,), channels=3))
        if self.global_residual:
            layers.append(Add("residual", ("output", "input")))
        return Graph(tuple(layers))

    def _convolutions(self, layers: list[Layer], stage: str, level: int) -> None:
        for index in range(1, self.convolutions + 1):
            name = f"{stage}_conv{index}"
            kernel = self.first_kernel if name == "down0_conv1" else 3
            fused: Literal["relu", "linear"] = "relu" if self.activation == "relu" else "linear"
            layers.append(Conv(name, (layers[-1].name,), self.widths[level], kernel, fused))
            if self.activation == "prelu":
                layers.append(PReLU(f"{stage}_prelu{index}", (name,)))

    def _up(self, stage: str, source: str, channels: int) -> Layer:
        match self.upsampling:
            case "transpose-conv":
                return TransposeConv(f"{stage}_transpose", (source,), channels // 2)
            case "depth-to-space":
                return DepthToSpace(f"{stage}_shuffle", (source,))
            case "resize-bilinear":
                return ResizeBilinear(f"{stage}_resize", (source,))


PAPER = UNet()
"""The reconstruction of the paper's U-Net."""


@dataclass(frozen=True)
class UNetSpace:
    """Choices for each part of a `UNet`, as a flat set of categorical Optuna parameters.

    `widths` holds the choices of every level; `width_0` is the parameter of full resolution, and a
    level's parameter is asked for only where the network has that level.
    """

    upsampling: tuple[Upsampling, ...] = UPSAMPLINGS
    activation: tuple[Activation, ...] = ACTIVATIONS
    levels: tuple[int, ...] = (3, 4, 5)
    widths: tuple[int, ...] = (16, 32, 64, 128)
    convolutions: tuple[int, ...] = (2, 3, 4)
    first_kernel: tuple[int, ...] = (3, 5, 7)
    global_residual: tuple[bool, ...] = (False, True)

    def __post_init__(self) -> None:
        for field in fields(self):
            choices = getattr(self, field.name)
            if not choices or len(set(choices)) != len(choices):
                raise ConfigError(f"UNetSpace.{field.name}={choices}: empty, or a choice twice")
        for upsampling, activation, width, convolutions, kernel in product(
            self.upsampling, self.activation, self.widths, self.convolutions, self.first_kernel
        ):  # the network itself knows what is valid
            UNet(upsampling, activation, (width,) * min(self.levels), convolutions, kernel)

    @property
    def reduction(self) -> int:
        """A picture's sides must divide by this number for every network of the space."""
        return int(2 ** (max(self.levels) - 1))

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
        for name, value in parameters.items():
            _check_choice(name, value, getattr(self, name))
        for level, width in enumerate(architecture.widths):
            _check_choice(f"width_{level}", width, self.widths)
            parameters[f"width_{level}"] = width
        return parameters

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON types."""
        values = {field.name: list(getattr(self, field.name)) for field in fields(self)}
        return {"family": UNet.family, **values}


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not in the space, which has {list(choices)}")
