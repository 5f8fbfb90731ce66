"""The noise of training: how much of a difference in PSNR is due to the seed.

After its trials a search trains a few of its networks once more, with another seed. Their pairs
give the deviation from seed to seed; with the deviation between networks follows how well this
schedule ranks at all. Replicates are no trials: the sampler never hears of them, they are not on
the front, and which networks are taken does not depend on their quality, as picking the best would
pick the lucky ones. They lie below `replicates/`, laid out as a run is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.study.trial_result import TrialResult

if TYPE_CHECKING:
    pass

CONFIDENCE = 0.95
NOISY_TAU = 0.5  # less, and more than every fourth pair of networks is ranked by its seeds


@dataclass(frozen=True)
class Noise:
    """The noise of a run's PSNR, from pairs of trainings that differ in their seed alone.

    All deviations are in dB; intervals hold 95 %.

    `freedom`: degrees of freedom, which are the replicates that were scored.
    `failed`: replicates without a score, not counted in `freedom`.
    `spread_db`: the deviation from seed to seed, pooled over networks.
    `spread_interval_db`: its chi-square interval.
    `networks`: how many networks the run scored, with one seed each.
    `between_db`: the deviation over these networks.
    `tau`: Kendall's tau to expect between two seeds' rankings of them (`expected_tau`); None for
    fewer than three networks.
    `tau_interval`: its interval, from that of the ratio of variances (an F distribution).
    `kept_order`: pairs of replicated networks that are in the same order with either seed.
    `compared`: how many pairs of replicated networks there are.
    """

    freedom: int
    failed: int
    spread_db: float
    spread_interval_db: tuple[float, float]
    networks: int
    between_db: float
    tau: float | None
    tau_interval: tuple[float, float] | None
    kept_order: int
    compared: int

    @property
    def half_width_db(self) -> float:
        """How far (dB) one training's PSNR may lie from the network's mean over seeds."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) * self.spread_db

    @property
    def resolved_db(self) -> float:
        """The least difference (dB) of two networks, trained once each, that no seed explains."""
        return math.sqrt(2) * self.half_width_db

    @property
    def swallows(self) -> bool:
        """True where the noise swallows the differences between networks."""
        return self.tau is not None and self.tau < NOISY_TAU


def _scored(result: TrialResult) -> bool:
    return result.state == "complete" and "psnr_db" in result.metrics


def pooled(groups: Sequence[Sequence[float]], values: Sequence[float], failed: int = 0) -> Noise:
    """Return the noise that groups of trainings show.

    Each of `groups` has the PSNR (dB) of one network with two or more seeds; `values` are those of
    all networks with one seed; `failed` counts replicates without a score.

    Groups of several runs of one schedule may be put together. ValueError where no group has two.
    """
    from scipy.special import chdtri, fdtri

    freedom = sum(len(group) - 1 for group in groups)
    if freedom < 1:
        raise ValueError("noise needs a network with two seeds at least")
    squares = sum(float(((np.array(g) - np.mean(g)) ** 2).sum()) for g in groups)
    spread = math.sqrt(squares / freedom)
    out = (1 - CONFIDENCE) / 2
    interval = tuple(math.sqrt(squares / float(chdtri(freedom, p))) for p in (out, 1 - out))
    count = len(values)
    between = float(np.std(values, ddof=1)) if count > 1 else 0.0
    tau = tau_interval = None
    if count > 2 and between > 0:
        ratio = (spread / between) ** 2
        tau = expected_tau(values, spread)
        ends = [ratio / float(fdtri(freedom, count - 1, p)) for p in (out, 1 - out)]
        worst, best = (expected_tau(values, between * math.sqrt(end)) for end in ends)
        tau_interval = (worst, best)
    kept, compared = _kept_order(groups)
    return Noise(
        freedom, failed, spread, (interval[0], interval[1]), count, between, tau, tau_interval,
        kept, compared,
    )  # fmt: skip


def expected_tau(values: Sequence[float], spread_db: float) -> float:
    """Return Kendall's tau to expect between these networks' ranking and that of another seed.

    The mean over pairs of the chance that their order stays, less that it turns. A pair's true
    difference is expected to be a part `kept` of the seen one, as that is noisy itself, and the
    other seed's is noisy again. For normally distributed networks it is Kendall's
    2/pi arcsin(kept); unlike that, a few networks that are far off do not make it look better.
    """
    from scipy.special import ndtr

    seen = np.array(values)
    noise, everything = spread_db**2, float(seen.var(ddof=1))
    if noise == 0 or everything == 0:
        return 1.0 if noise == 0 else 0.0
    kept = max(0.0, 1 - noise / everything)
    apart = np.abs(seen[:, None] - seen)[np.triu_indices(len(seen), 1)]
    stays = ndtr(kept * apart / np.sqrt(2 * noise * (1 + kept)))
    return float((2 * stays - 1).mean())


def _kept_order(groups: Sequence[Sequence[float]]) -> tuple[int, int]:
    """Return how many pairs of groups keep their order from first to second value, of how many."""
    pairs = [(a, b) for n, a in enumerate(groups) for b in groups[n + 1 :]]
    same = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
    return same, len(pairs)
