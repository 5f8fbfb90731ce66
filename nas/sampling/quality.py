"""The surrogate of an objective that only a training tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import numpy.typing as npt

from nas.sampling.expected_improvement import below
from nas.sampling.gaussian import PLAIN, TRAINED, GaussianProcess
from nas.sampling.kernel import Rows
from nas.sampling.warp import Warp

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_FITTED = 80  # points that hyperparameters are fitted to


Surrogate = GaussianProcess | float


@final
@dataclass(frozen=True)
class Quality:
    """What is believed of one objective's losses, which are normal once they are warped."""

    surrogate: Surrogate
    warp: Warp

    @classmethod
    def of(cls, x: Rows, losses: Floats, old: Bools) -> Quality:
        """Return what trials (n), each with a loss, say; hyperparameters are fitted to `old` ones.

        With features there is more to learn from few trials, and more that may be luck: then noise
        is expected to be larger. Raises FitError.
        """
        warp = Warp.of(losses[old] if old.any() else losses)
        return cls(_fitted(x, warp(losses), old), warp)

    def believing(self, x: Rows) -> Quality:
        """Return the same as if candidates that run (m) had ended as expected."""
        return replace(self, surrogate=_believing(self.surrogate, x))

    def expected(self, x: Rows) -> Floats:
        """Return the middle (m) of what is believed, as losses."""
        return self.warp.back(posterior(self.surrogate, x)[0])

    def below(self, x: Rows, edges: Floats) -> Floats:
        """Return E[max(0, edge - loss)] as (edges, m)."""
        mean, deviation = posterior(self.surrogate, x)
        return below(edges, mean, deviation, self.warp)


def _fitted(x: Rows, y: Floats, old: Bools) -> Surrogate:
    rows = np.flatnonzero(old) if old.any() else np.arange(len(y))
    part = np.linspace(0, len(rows) - 1, min(len(rows), _FITTED)).astype(np.intp)
    return GaussianProcess.fitted(x, y, np.unique(rows[part]), TRAINED if x.features else PLAIN)


def _believing(surrogate: Surrogate, x: Rows) -> Surrogate:
    return surrogate if isinstance(surrogate, float) else surrogate.believing(x)


def posterior(surrogate: Surrogate, x: Rows) -> tuple[Floats, Floats]:
    """Return means and deviations (m) of a surrogate; a constant is nearly certain."""
    if isinstance(surrogate, float):
        return np.full(len(x), surrogate), np.full(len(x), 1e-6)
    return surrogate.predict(x)
