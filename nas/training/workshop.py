"""The values that all trainings of a run share, as one. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.training.schedule import Schedule

if TYPE_CHECKING:
    from nas.data import Pack

Progress = Callable[[str, int, int, float], None]
"""A listener gets the stage in words, the steps done, all steps, and the mean L1 loss since the
last call.
"""


@dataclass(frozen=True)
class Workshop:
    """Everything that a training needs beside its network.

    `pack` holds the training patches. `schedule` is that of the float training; prunings and
    quantizations derive their own from it. `seed` decides first weights and the order of patches.
    Weights are stored in `folder`, each training in a folder of its own named by the training's
    key. `progress` hears of every slice of steps.
    """

    pack: Pack
    schedule: Schedule
    seed: int
    folder: Path
    progress: Progress

    def under(self, schedule: Schedule) -> Workshop:
        """Return the same workshop with another schedule."""
        return replace(self, schedule=schedule)
