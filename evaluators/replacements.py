"""What replacing a part of the paper's U-Net costs in PSNR, where it was measured.

The paper has no U-Net with added skips or strided convolutions. What they cost at equal MACs was
measured on small U-Nets of short trainings (docs/replacements.md, by
`benchmarks/replacement_cost.py`). That is carried over to networks like the paper's with its whole
interval, as nothing better is known. What it costs to replace the block, the stem or the activation
is not carried over: it was measured, but no published cell says what such a network's latency is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError
from nas.networks.candidate import Architecture

_FAMILY = "unet"
_OWN = frozenset(
    {"family", "upsampling", "activation", "widths", "convolutions", "first_kernel",
     "global_residual"}
)  # fmt: skip
"""What the paper itself varies, or its curve counts."""
_ACTIVATIONS = ("relu", "prelu")


@final
@dataclass(frozen=True)
class Replacement:
    """A measured difference of PSNR (dB) to the paper's choice at equal MACs.

    The true one lies within `reach_db` of it at 95 %.
    """

    name: str
    difference_db: float
    reach_db: float

    @property
    def shift_db(self) -> float:
        """The difference that is carried over: none where the interval does not tell it from 0."""
        return self.difference_db if abs(self.difference_db) > self.reach_db else 0.0


MEASURED: dict[tuple[str, object], Replacement] = {
    ("skip", "addition"): Replacement("addition", 0.08, 0.18),
    ("downsampling", "strided-conv"): Replacement("strided-conv", 0.18, 0.18),
    ("downsampling", "space-to-depth"): Replacement("space-to-depth", 0.11, 0.18),
}
"""By axis and value: from docs/replacements.md, with PReLU, float, three seeds, one known shake."""


def replacements(architecture: Architecture) -> tuple[Replacement, ...]:
    """Return what a network replaces of the paper's U-Net; nothing for other families.

    Raises ConfigError where what that costs is not carried over.
    """
    values = architecture.to_dict()
    if values["family"] != _FAMILY:
        return ()
    replaced = {axis: value for axis, value in values.items() if axis not in _OWN}
    if values["activation"] not in _ACTIVATIONS:
        replaced["activation"] = values["activation"]
    for axis, value in replaced.items():
        if (axis, value) not in MEASURED:
            raise ConfigError(
                f"{axis}={value!r}: what it costs in PSNR is not carried over from small networks "
                "to the paper's; train it, or leave it out of the space"
            )
    return tuple(MEASURED[one] for one in replaced.items())


def together(replaced: Sequence[Replacement]) -> tuple[float, float]:
    """Return the sum of what is carried over (dB), and how far it may be off."""
    shift = sum(one.shift_db for one in replaced)
    return shift, math.hypot(*(one.reach_db for one in replaced))
