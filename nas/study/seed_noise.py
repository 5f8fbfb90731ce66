"""Noise that is known: how much of a difference in PSNR is the networks', and how much the seed's.

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
    """What pairs of seeds tell of a run's PSNR, in dB. Intervals are of 95 %.

    `freedom` is the number of degrees of freedom: the replicates that were scored; `failed` ones
    are not among them. `spread_db` is the deviation from seed to seed, pooled over networks, with
    its chi-square interval. `between_db` is the deviation over the run's `networks`, of one seed
    each. `tau` is Kendall's tau that two seeds' rankings of them would have (`expected_tau`), its
    interval from that of the ratio of variances (an F distribution); None for fewer than three
    networks. `kept_order` of `compared` pairs of
    replicated networks are in the same order with either seed.
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
        """How far one training's PSNR may be from the network's mean over seeds."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, (1 + CONFIDENCE) / 2)) * self.spread_db

    @property
    def resolved_db(self) -> float:
        """The least difference of two networks, of one training each, that is no seed's."""
        return math.sqrt(2) * self.half_width_db

    @property
    def swallows(self) -> bool:
        """Whether the noise swallows the differences between networks."""
        return self.tau is not None and self.tau < NOISY_TAU


def _scored(result: TrialResult) -> bool:
    return result.state == "complete" and "psnr_db" in result.metrics


def pooled(groups: Sequence[Sequence[float]], values: Sequence[float], failed: int = 0) -> Noise:
    """From the PSNR of networks by seed, two or more each, and of all networks with one seed.

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
    """Kendall's tau to expect between these networks' ranking and that of another seed.

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
    """How many pairs of groups are in the same order by their first two values, and how many."""
    pairs = [(a, b) for n, a in enumerate(groups) for b in groups[n + 1 :]]
    kept = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
    return kept, len(pairs)
