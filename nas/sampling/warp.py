"""The warp of a quality's losses: the worse part of the trials is drawn together.

A training that fails is far worse than any network that works. A surrogate of the plain losses
would see little else, and would take the difference between two good networks for noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
WORSE = 0.4  # the share of trials that is drawn together
BEND = 0.5  # of the range of the better ones: a loss that far beyond them counts 0.69 times
_FURTHEST = 30.0  # bends beyond the start, for losses that come back: e^30 is far enough


@final
@dataclass(frozen=True)
class Warp:
    """A map w(y) that leaves a loss y as it is up to `start`, and grows by the logarithm beyond.

    w = start + bend * log(1 + (y - start) / bend); order is kept, and value and slope are
    continuous.
    """

    start: float
    bend: float

    @classmethod
    def of(cls, losses: Floats) -> Warp:
        """Return the warp by the better part of finite losses (n), n >= 1."""
        start = float(np.quantile(losses, 1 - WORSE))
        return cls(start, max(BEND * (start - float(losses.min())), 1e-3))

    def __call__(self, losses: Floats) -> Floats:
        """Return warped losses, of the same shape."""
        beyond = np.maximum(losses - self.start, 0.0)
        return np.where(beyond > 0, self.start + self.bend * np.log1p(beyond / self.bend), losses)

    def back(self, warped: Floats) -> Floats:
        """Return the losses of warped ones."""
        beyond = np.clip((warped - self.start) / self.bend, 0.0, _FURTHEST)
        return np.where(beyond > 0, self.start + self.bend * np.expm1(beyond), warped)
