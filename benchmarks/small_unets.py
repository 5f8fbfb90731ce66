"""A table of 270 small U-Nets that were really trained and really timed, most of which do nothing.

Random networks of a space of 1,800: three up-samplings, two activations, one or two convolutions a
level, two or three levels, five widths. `read` gives them. PSNR is that of one training, or of two
to six with different seeds; the blurred pictures have `INPUT_DB`. A twelfth of the trainings died,
and networks of one convolution a level hardly learn. Latencies are those of LiteRT at 256x256 with
one thread, as float and as int8: the least of three passes' medians, on two cores of an AMD EPYC.
Five more networks, whose int8 file the runtime refused, are left out. All were trained in half an
hour, two side by side, 2026-11-22.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS, UNet

TABLE = Path(__file__).with_suffix(".csv")
INPUT_DB = 23.561
WIDTHS = (8, 12, 16, 24, 32)


@dataclass(frozen=True)
class Row:
    """A network of the table; `psnr_db_by_seed` has one number a training."""

    upsampling: Any
    activation: Any
    convolutions: int
    widths: tuple[int, ...]
    psnr_db_by_seed: tuple[float, ...]
    float_ms: float
    int8_ms: float

    @cached_property
    def network(self) -> UNet:
        """The architecture; its first kernel is 3x3."""
        return UNet(self.upsampling, self.activation, self.widths, self.convolutions, 3, True)


def read(path: Path = TABLE) -> list[Row]:
    """Return the networks that have both latencies."""
    with path.open(newline="") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            Row(
                row["upsampling"],
                row["activation"],
                int(row["convolutions"]),
                tuple(map(int, row["widths"].split())),
                tuple(map(float, row["psnr_db_by_seed"].split())),
                float(row["float_ms"]),
                float(row["int8_ms"]),
            )
            for row in lines
            if row["int8_ms"]
        ]


def suggested(trial: Any) -> dict[str, Any]:
    """Return a trial's parameters; the third width exists with three levels only."""
    found = {
        "upsampling": trial.suggest_categorical("upsampling", UPSAMPLINGS),
        "activation": trial.suggest_categorical("activation", ACTIVATIONS),
        "convolutions": trial.suggest_int("convolutions", 1, 2),
        "levels": trial.suggest_int("levels", 2, 3),
    }
    for level in range(found["levels"]):
        found[f"width{level}"] = trial.suggest_categorical(f"width{level}", WIDTHS)
    return found
