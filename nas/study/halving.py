"""Successive halving with several objectives: who is trained on, and what an early reading tells.

A candidate is trained to a sixteenth of its schedule, read, and waits. A quarter of those that wait
at a rung go on to the next, at a quarter of the schedule, and a quarter of those to its end. Who
goes on is whoever adds most to the hypervolume of those that did, with costs such as latencies
known from the start and quality as it is expected to become. Pure functions: the same standings,
the same decision.

Sources: Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020 (asynchronous
halving); Guerreiro et al., "Greedy Hypervolume Subset Selection in Low Dimensions", 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nas.study.objectives import MARGIN, Objective
from nas.study.trial_result import TrialResult
from nas.training.schedule import Schedule

ETA = 4
SHARES = (1 / 16, 1 / 4)
RUNGS = ("1/16", "1/4")
READ = ("psnr_db", "ssim")  # what a reading can tell of: `nas.execution.trial.rung_reading.SCORES`
PRIOR_PAIRS = 2.0  # how many pairs "differences stay as they are" is worth
LEAST_SLOPE = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """Where a candidate stands.

    `known` are the objectives that were known before training, `gains` what each reading gave over
    the blurred pictures, by metric, a rung after the other. `final` is the quality at the end of
    the training. `group` names its compression. A `spared` one is trained to the end in any case.
    `out`: it ended without being trained to the end; `pruned`: because others were better.
    """

    number: int
    known: Mapping[str, float]
    gains: tuple[Mapping[str, float], ...]
    group: str = ""
    final: Mapping[str, float] | None = None
    spared: bool = False
    out: bool = False
    pruned: bool = False

    @classmethod
    def of(cls, result: TrialResult, objectives: Sequence[Objective]) -> Standing:
        """Of a trial that waits at a rung, or was pruned there."""
        compression = result.candidate["compression"]
        share = compression["pruned_share"]
        return cls(
            result.number,
            {o.metric: result.value(o.metric) for o in objectives if o.metric in result.metrics},
            readings_of(result),
            f"{compression['precision']} {share:g}",
            spared=result.baseline,
        )


def rung_steps(schedule: Schedule) -> tuple[int, ...]:
    """After how many steps the readings are taken."""
    return tuple(math.ceil(schedule.steps * share) for share in SHARES)


def reading_name(metric: str, rung: int) -> str:
    """How a reading is called among a result's figures: "psnr_db_gain[1/16]"."""
    return f"{metric}_gain[{RUNGS[rung]}]"


def readings_of(result: TrialResult) -> tuple[dict[str, float], ...]:
    """A result's readings, a rung after the other."""
    found = []
    for rung in range(len(RUNGS)):
        names = {metric: reading_name(metric, rung) for metric in READ}
        gains = {m: result.value(name) for m, name in names.items() if name in result.metrics}
        if not gains:
            break
        found.append(gains)
    return tuple(found)


@dataclass
class Forecast:
    """What a gain at a rung is expected to become, learned from candidates that went further.

    From a rung to the next, and from the last one to the end, a line: by least squares, held to a
    slope of 1 by `PRIOR_PAIRS`. Who went on was chosen by the reading, which such a line doesn't
    mind. What a compression takes away shows at the end only: it is learned as the mean of what is
    left, drawn to 0 by one pair. While nothing is known, a gain is expected to stay as it is.
    """

    lines: list[tuple[float, float]] = field(default_factory=list)
    drops: dict[str, float] = field(default_factory=dict)

    @classmethod
    def learned(cls, standings: Sequence[Standing], metric: str, untouched: float) -> Forecast:
        """From all standings; `untouched` is the metric of the blurred pictures."""
        found = cls()
        for rung in range(len(SHARES) - 1):
            here = [s.gains[rung][metric] for s in standings if len(s.gains) > rung]
            on = [s for s in standings if len(s.gains) > rung + 1]
            pairs = [(s.gains[rung][metric], s.gains[rung + 1][metric]) for s in on]
            found.lines.append(_line(pairs, here))
        last = len(SHARES) - 1
        here = [s.gains[last][metric] for s in standings if len(s.gains) > last]
        ended = [s for s in standings if s.final is not None and len(s.gains) > last]
        rows = [(s.gains[last][metric], (s.final or {})[metric] - untouched) for s in ended]
        for _ in range(2):
            kinds = [found.drops.get(s.group, 0.0) for s in ended]
            pairs = [(x, y - drop) for (x, y), drop in zip(rows, kinds, strict=True)]
            line = _line(pairs, here)
            left: dict[str, list[float]] = {}
            for standing, (x, y) in zip(ended, rows, strict=True):
                left.setdefault(standing.group, []).append(y - line[0] - line[1] * x)
            found.drops = {kind: sum(some) / (len(some) + 1) for kind, some in left.items()}
        found.lines.append(line)
        return found

    def gain(self, standing: Standing, metric: str) -> float:
        """The expected gain at the end of the training of one that has a reading."""
        value = standing.gains[-1][metric]
        for intercept, slope in self.lines[len(standing.gains) - 1 :]:
            value = intercept + slope * value
        return value + self.drops.get(standing.group, 0.0)


def _line(pairs: Sequence[tuple[float, float]], here: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope."""
    if not pairs:
        return 0.0, 1.0
    x, y = np.array(pairs).T
    prior = PRIOR_PAIRS * float(np.var(here))
    across = float(((x - x.mean()) * (y - y.mean())).sum()) + prior
    along = float(((x - x.mean()) ** 2).sum()) + prior
    slope = max(LEAST_SLOPE, across / along) if along > 0 else 1.0
    return float(y.mean() - slope * x.mean()), slope


def expected(
    standings: Sequence[Standing], objectives: Sequence[Objective], untouched: Mapping[str, float]
) -> dict[int, list[float]]:
    """Each read candidate's objectives, as they are, or are expected to become, by its number."""
    readable = [s for s in standings if s.gains]
    quality = [o.metric for o in objectives if o.metric in READ]
    forecasts = {m: Forecast.learned(readable, m, untouched[m]) for m in quality}
    found = {}
    for standing in readable:
        values = dict(standing.known)
        for metric, forecast in forecasts.items():
            values[metric] = untouched[metric] + forecast.gain(standing, metric)
        values |= standing.final or {}
        found[standing.number] = [values[objective.metric] for objective in objectives]
    return found


def promotion(
    standings: Sequence[Standing],
    objectives: Sequence[Objective],
    untouched: Mapping[str, float],
    busy: Set[int] = frozenset(),
    bounds: Mapping[str, float] | None = None,
) -> int | None:
    """The number of the candidate to train on now, None where none has deserved it.

    `busy` are the numbers of those in training: one that was read there was promoted before.
    `bounds` are the largest costs that are of use. The highest rung comes first; at each, one for
    every `ETA` that came so far may go on, besides the spared ones.
    """
    read = [s for s in standings if s.gains]
    values: dict[int, list[float]] = {}
    for rung in reversed(range(len(SHARES))):
        here = [s for s in read if len(s.gains) > rung]
        waiting = [s for s in here if _waits(s, rung, busy)]
        spared = [s.number for s in waiting if s.spared]
        if spared:
            return min(spared)
        promoted = [s for s in here if _went_on(s, rung, busy)]
        room = sum(not s.spared for s in here) // ETA - sum(not s.spared for s in promoted)
        if not waiting or room <= 0:
            continue
        values = values or expected(standings, objectives, untouched)
        losses = {s.number: _losses(values[s.number], objectives) for s in here}
        corner = _corner(list(losses.values()), objectives, untouched, bounds or {})
        points = np.array([losses[s.number] for s in waiting])
        others = np.array([losses[s.number] for s in promoted]).reshape(-1, len(objectives))
        chosen = best_addition(points, others, corner)
        if (
            chosen is None
        ):  # nobody seems of use: that may be a wrong forecast, which only they mend
            chosen = best_addition(points, others, _lowered(corner, points, objectives))
        if chosen is not None:
            return waiting[chosen].number
    return None


def _lowered(corner: Floats, points: Floats, objectives: Sequence[Objective]) -> Floats:
    """The corner with a quality that the better half has; costs keep theirs."""
    quality = np.array([objective.metric in READ for objective in objectives])
    middle = np.median(points, axis=0) + 1e-9
    return np.where(quality, np.maximum(corner, middle), corner)


def _waits(standing: Standing, rung: int, busy: Set[int]) -> bool:
    over = standing.out or standing.final is not None or standing.number in busy
    return len(standing.gains) == rung + 1 and not over


def _went_on(standing: Standing, rung: int, busy: Set[int]) -> bool:
    """Also one that failed on the way; one that never went on is pruned at the rung's reading."""
    ended = standing.final is not None or (standing.out and not standing.pruned)
    return len(standing.gains) > rung + 1 or ended or standing.number in busy


def best_addition(points: Floats, chosen: Floats, corner: Floats) -> int | None:
    """The index of the point (n, k) that adds most to the hypervolume of the chosen ones (m, k).

    All are losses. Where none adds anything, the chosen ones' front is taken away and it is asked
    again, so that second-best ones come in their order. None where no point is inside the corner.
    """
    import moocore

    while True:
        gains = _gains(points, chosen, corner)
        if gains.max() > 0:
            return int(np.argmax(gains))
        if not len(chosen):
            return None
        chosen = chosen[~moocore.is_nondominated(chosen, keep_weakly=True)]


def _gains(points: Floats, chosen: Floats, corner: Floats) -> Floats:
    """How much each point adds: its box, less what the chosen ones dominate of it."""
    import moocore

    gains: Floats = np.prod(np.maximum(corner - points, 0.0), axis=1)
    if not len(chosen):
        return gains
    front = chosen[moocore.is_nondominated(chosen)]
    for index in np.flatnonzero(gains > 0):
        point = points[index]
        if (front <= point).all(axis=1).any():
            gains[index] = 0.0
            continue
        shared = np.maximum(front, point)
        shared = shared[(shared < corner).all(axis=1)]
        if len(shared):
            common = moocore.hypervolume(np.ascontiguousarray(shared), ref=corner)
            gains[index] = max(0.0, float(gains[index]) - float(common))
    return gains


def _losses(values: Sequence[float], objectives: Sequence[Objective]) -> list[float]:
    return [objective.loss(value) for value, objective in zip(values, objectives, strict=True)]


def _corner(
    losses: Sequence[Sequence[float]],
    objectives: Sequence[Objective],
    untouched: Mapping[str, float],
    bounds: Mapping[str, float],
) -> Floats:
    """Doing nothing, for quality; for a cost its bound, or `MARGIN` times the largest there is."""
    corner = []
    for objective, column in zip(objectives, zip(*losses, strict=True), strict=True):
        if objective.metric in untouched:
            corner.append(objective.loss(untouched[objective.metric]))
        elif objective.metric in bounds:
            corner.append(objective.loss(bounds[objective.metric]))
        else:
            spread = (max(column) - min(column)) or 1.0
            beyond = math.log10(MARGIN) if objective.is_logarithmic else spread
            corner.append(max(column) + beyond)
    return np.array(corner)
