"""The choices that an elastic U-Net holds, and candidates as rows of whole numbers.

It works on the JSON of spaces and architectures, so that it depends on no family's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import ConfigError

FAMILY = "unet"  # of architectures and spaces
ACTIVATIONS = ("relu", "prelu")  # that it can compute
Choice = npt.NDArray[np.int32]
# The entries of a row before the widths.
HEAD = ("upsampling", "activation", "levels", "convolutions", "first_kernel", "global_residual")


@final
@dataclass(frozen=True)
class Elastic:
    """The choices of a space of U-Nets; numbers are in rising order, and `widths` has a row for
    each level.
    """

    upsampling: tuple[str, ...]
    activation: tuple[str, ...]
    levels: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]
    convolutions: tuple[int, ...]
    first_kernel: tuple[int, ...]
    global_residual: tuple[bool, ...]

    @classmethod
    def of(cls, space: Mapping[str, Any]) -> Elastic:
        """Return the choices of a space that `UNetSpace.to_dict()` gave.

        Its `widths` may also have a row of choices for each level. Raises ConfigError where the
        space holds anything else than U-Nets.
        """
        if space.get("family") != FAMILY or "widths" not in space:
            what = space.get("family") or " and ".join(sorted(space))
            raise ConfigError(
                f"a supernet is made of a space of U-Nets (UNetSpace), but this study's space is "
                f"of {what}; search it without --supernet"
            )
        others = sorted(space.keys() - {"family", "widths", *HEAD})
        others += [f"activation {one}" for one in space["activation"] if one not in ACTIVATIONS]
        if others:
            raise ConfigError(
                f"a supernet does not share {', '.join(others)} of this space, as its U-Nets have "
                "the paper's axes alone: search without --supernet, or leave those axes out"
            )
        numbers = ("levels", "convolutions", "first_kernel", "global_residual")
        widths = space["widths"]
        if not isinstance(widths[0], list | tuple):
            widths = [widths] * max(space["levels"])
        return cls(
            upsampling=tuple(space["upsampling"]),
            activation=tuple(space["activation"]),
            widths=tuple(tuple(sorted(row)) for row in widths),
            **{name: tuple(sorted(space[name])) for name in numbers},
        )

    @property
    def deepest(self) -> int:
        """The largest number of levels."""
        return self.levels[-1]

    def widest(self, level: int) -> int:
        """Return the largest number of channels of a level."""
        return self.widths[level][-1]

    @property
    def reduction(self) -> int:
        """A picture's sides must divide by this number."""
        return int(2 ** (self.deepest - 1))

    def encode(self, architecture: Mapping[str, Any]) -> Choice:
        """Return a U-Net's JSON as a row: the entries of `HEAD`, then the widths, 0 where it has no
        level.

        Names become places among the choices, truth values 0 or 1. Raises ConfigError, naming the
        entry, where the supernet does not hold the network.
        """
        if architecture.get("family") != FAMILY:
            raise ConfigError(f"a supernet holds U-Nets only, no {architecture.get('family')!r}")
        for name in sorted(architecture.keys() - {"family", "widths", *HEAD}):
            raise ConfigError(
                f"{name}={architecture[name]!r} is not in the supernet, which does not share "
                "this axis"
            )
        widths = list(architecture["widths"])
        values = {**architecture, "levels": len(widths)}
        for name in HEAD:
            self._check(name, values[name], getattr(self, name))
        for level, width in enumerate(widths):
            self._check(f"width_{level}", width, self.widths[level])
        row = [
            self.upsampling.index(values["upsampling"]),
            self.activation.index(values["activation"]),
            *(int(values[name]) for name in HEAD[2:]),
            *widths,
            *[0] * (self.deepest - len(widths)),
        ]
        return np.array(row, np.int32)

    def random(self, rng: np.random.Generator) -> Choice:
        """Return a candidate each of whose choices is drawn on its own."""
        return self._row(rng, slice(None))

    def largest(self, rng: np.random.Generator) -> Choice:
        """Return the largest candidate; operations, and whether the input is added at the end, are
        drawn.
        """
        return self._row(rng, slice(-1, None))

    def smallest(self, rng: np.random.Generator) -> Choice:
        """Return the smallest candidate; operations, and whether the input is added at the end, are
        drawn.
        """
        return self._row(rng, slice(0, 1))

    def _row(self, rng: np.random.Generator, part: slice) -> Choice:
        """Return a candidate whose sizes are drawn from a part of their choices."""
        levels = int(rng.choice(self.levels[part]))
        row = [
            int(rng.integers(len(self.upsampling))),
            int(rng.integers(len(self.activation))),
            levels,
            int(rng.choice(self.convolutions[part])),
            int(rng.choice(self.first_kernel[part])),
            int(rng.choice(self.global_residual)),
            *(int(rng.choice(widths[part])) for widths in self.widths[:levels]),
            *[0] * (self.deepest - levels),
        ]
        return np.array(row, np.int32)

    @staticmethod
    def _check(name: str, value: Any, choices: tuple[Any, ...]) -> None:
        if value not in choices:
            raise ConfigError(
                f"{name}={value!r} is not in the supernet, which holds {list(choices)}: it was "
                "trained for another space"
            )
