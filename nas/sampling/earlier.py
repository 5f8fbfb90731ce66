"""What trials of an earlier study say of candidates, as further columns of rows.

Each value of those trials is learned by a surrogate of its own; its expectation is a feature of the
new study's candidates. How much of it holds here, and with which sign, the new study's trials
decide: the slope along a feature starts at nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

from nas.sampling.gaussian import TRAINED, GaussianProcess
from nas.sampling.kernel import Rows
from nas.sampling.space import Encoding

Floats = npt.NDArray[np.float64]
LEAST = 8  # trials of the space, that anything can be learned from
_MOST = 150  # trials that are learned from, the last ones
_FITTED = 80  # of which hyperparameters are fitted to
_PROPORTIONAL = 3.0  # times as large as the least: such values are taken as logarithms


@final
class EarlierValues:
    """Surrogates of earlier trials' values (m columns) for rows of a space."""

    def __init__(self, trials: Sequence[FrozenTrial], encoding: Encoding) -> None:
        """Learn from the complete trials that have the space's parameters, if `LEAST` do.

        Raises FitError.
        """
        fit = [
            trial
            for trial in trials
            if trial.state == TrialState.COMPLETE and encoding.holds(trial) and trial.values
        ]
        width = max((len(trial.values) for trial in fit), default=0)
        fit = [trial for trial in fit if len(trial.values) == width][-_MOST:]
        self.count = len(fit) if len(fit) >= LEAST else 0
        self._encoding = encoding
        self._surrogates: list[GaussianProcess] = []
        self.which: list[int] = []
        """The earlier values, by index, that there is a surrogate of."""
        if not self.count:
            return
        rows = self._inputs(encoding.rows(fit))
        for index, column in enumerate(np.array([trial.values for trial in fit], np.float64).T):
            known = np.isfinite(column)
            if known.sum() < LEAST:
                continue
            values = column[known]
            if values.min() > 0 and values.max() > _PROPORTIONAL * values.min():
                values = np.log(values)
            part = np.unique(np.linspace(0, len(values) - 1, _FITTED).astype(np.intp))
            surrogate = GaussianProcess.fitted(rows.at(known), values, part, TRAINED)
            if isinstance(surrogate, GaussianProcess):
                self._surrogates.append(surrogate)
                self.which.append(index)

    def __call__(self, rows: Floats) -> Floats:
        """Return what is expected of each value (n, m) of rows (n, parameters)."""
        if not self._surrogates or not len(rows):
            return np.empty((len(rows), len(self._surrogates)))
        x = self._inputs(rows)
        return np.stack([surrogate.predict(x)[0] for surrogate in self._surrogates], axis=1)

    def weights(self, rows: Floats, values: Floats) -> dict[int, float]:
        """Return how far new trials' values (n) follow each earlier value, by its index.

        1: a candidate that is expected a deviation higher is a deviation higher; 0: expectations
        say nothing; below 0: they say the opposite. It is what a surrogate of parameters and
        expectations makes of the trials in `rows` (n, parameters), as the sampler's does.
        Empty for fewer than `LEAST` trials. Raises FitError.
        """
        if not self._surrogates or len(rows) < LEAST:
            return {}
        expected = self(rows)
        deviation = expected.std(axis=0)
        off = (expected - expected.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
        plain, count = self._encoding.features(rows), len(self._surrogates)
        x = np.concatenate([plain, 0.5 + 0.25 * off], axis=1)
        flags = np.concatenate([self._encoding.categorical, np.zeros(count, bool)])
        every = np.arange(len(rows))
        surrogate = GaussianProcess.fitted(Rows.of(x, flags, count), values, every, TRAINED)
        if not isinstance(surrogate, GaussianProcess):
            return dict.fromkeys(self.which, 0.0)
        return dict(zip(self.which, surrogate.along_features().tolist(), strict=True))

    def _inputs(self, rows: Floats) -> Rows:
        return Rows.of(self._encoding.features(rows), self._encoding.categorical)
