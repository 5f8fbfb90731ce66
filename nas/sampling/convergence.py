"""Convergence: when further trials are not expected to add to the hypervolume.

A sampler that was asked to (`EhviSampler(keep_gains=True)`) keeps beside each trial what it
expected of it. What is said of a study follows from these attributes alone, so a study that goes on
says the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

Floats = npt.NDArray[np.float64]
KEY = "ehvi:expected"
"""The system attribute of a trial that keeps what was expected of it."""
WINDOW = 10
"""The last trials whose expectations are averaged, and how many trials are looked ahead."""
LEAST_GAIN = 0.02
"""So small a share of the hypervolume is not worth that many trials.

What came was a tenth to a fifth of what was expected, on two of three benchmarks. That the noise is
larger is no reason to end: where a search has just found something new, it is, for a while.
"""


@final
@dataclass(frozen=True)
class ExpectedGain:
    """What a trial was expected to add when it was drawn, as shares of the hypervolume so far.

    `gain` is the expected gain, `noise` the deviation that the noise of single trials gives the
    hypervolume: by so much it would differ had the trials on the front come out otherwise.
    """

    gain: float
    noise: float


@final
@dataclass(frozen=True)
class Convergence:
    """What `trials` further trials are expected to add, beside the noise; both are shares.

    `gain` is an upper bound: each trial that adds something leaves less to the next.
    """

    trials: int
    gain: float
    noise: float

    @property
    def reached(self) -> bool:
        """Whether further trials are not expected to add to the hypervolume."""
        return self.gain <= LEAST_GAIN

    def __str__(self) -> str:
        """Return a phrase, such as "10 further trials are expected to add 0.4 % to the ..."."""
        return (
            f"{self.trials} further trials are expected to add at most {self.gain:.1%} to the "
            f"hypervolume; the noise of single trials makes {self.noise:.1%} of it"
        )


def keep(study: Study, trial: FrozenTrial, expected: ExpectedGain) -> None:
    """Keep in the study what is expected of a trial."""
    study._storage.set_trial_system_attr(trial._trial_id, KEY, asdict(expected))


def expected_of(trial: FrozenTrial) -> ExpectedGain | None:
    """Return what was expected of a trial when it was drawn; None where nothing was kept."""
    try:
        told: Any = trial.system_attrs[KEY]
        found = ExpectedGain(float(told["gain"]), float(told["noise"]))
    except (KeyError, TypeError, ValueError):
        return None
    return found if np.isfinite([found.gain, found.noise]).all() else None


def convergence_of(trials: Sequence[FrozenTrial]) -> Convergence | None:
    """Return what further trials are expected to add, by the last `WINDOW` that were drawn.

    None before so many were drawn with an expectation that was kept.
    """
    last = list(itertools.islice(_expectations(trials), WINDOW))
    if len(last) < WINDOW:
        return None
    gain = float(np.mean([one.gain for one in last]))
    noise = float(np.median([one.noise for one in last]))
    return Convergence(WINDOW, WINDOW * gain, noise)


def _expectations(trials: Sequence[FrozenTrial]) -> Iterator[ExpectedGain]:
    """Give what was expected of the trials, the last one first; those that failed are left out."""
    for trial in reversed(trials):
        found = expected_of(trial)
        if found is not None and trial.state != TrialState.FAIL:
            yield found


def noise_of(points: Floats, reference_point: Floats, deviations: Floats) -> float:
    """Return the deviation of the hypervolume of points (n, k), each of whose losses is uncertain.

    `deviations` (k) are those of the objectives. To first order: what each point's loss takes from
    the hypervolume when it is a deviation worse, as the root of the sum of squares.
    """
    import moocore

    if not len(points):
        return 0.0
    front = points[moocore.is_nondominated(points)]
    whole = hypervolume_of(front, reference_point)
    lost = 0.0
    for place, axis in itertools.product(range(len(front)), np.flatnonzero(deviations > 0)):
        worse = front.copy()
        worse[place, axis] += deviations[axis]
        lost += (whole - hypervolume_of(worse, reference_point)) ** 2
    return float(np.sqrt(lost))


def hypervolume_of(points: Floats, reference_point: Floats) -> float:
    """Return the hypervolume of points (n, k) that are losses; 0 where none is inside."""
    import moocore

    inside = points[(points < reference_point).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=reference_point)) if len(inside) else 0.0
