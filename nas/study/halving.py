"""Successive halving with several objectives: which candidate to train on, and forecasts.

A candidate is trained to a sixteenth of its schedule, read, and waits. A quarter of those that wait
at a rung go on to the next, at a quarter of the schedule, and a quarter of those to its end. The
candidate that goes on is the one that adds most to the hypervolume of those that went on before it.
Costs such as latencies are known from the start; quality is forecast from the readings. All
functions are pure: the same standings give the same decision.

Sources: Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020 (asynchronous
halving); Guerreiro et al., "Greedy Hypervolume Subset Selection in Low Dimensions", 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nas.study.hypervolume import contribution
from nas.study.objectives import MARGIN, Objective
from nas.study.trial_result import TrialResult
from nas.training.schedule import Schedule

ETA = 4
SHARES = (1 / 16, 1 / 4)
RUNG_NAMES = ("1/16", "1/4")
# The metrics that a reading scores: `nas.execution.trial.rung_reading.SCORES`.
READING_METRICS = ("psnr_db", "ssim")
PRIOR_PAIRS = 2.0  # how many pairs the prior is worth: a gain stays as it is
LEAST_SLOPE = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """How far a candidate of a search with halving has come.

    `number`: the trial's.
    `costs`: the objectives that were known before training, by metric.
    `gains`: for each rung that was read, the quality above that of the blurred pictures, by metric.
    `group`: names the compression; candidates of one group share what compression takes away.
    `final`: the quality at the end of the training, by metric; None where there is none.
    `spared`: the candidate is trained to the end whatever its readings are (a baseline).
    `out`: the trial ended without a final quality: it failed, broke a bound, or was stopped.
    `stopped`: the trial ended at a rung because others were better.
    """

    number: int
    costs: Mapping[str, float]
    gains: tuple[Mapping[str, float], ...]
    group: str = ""
    final: Mapping[str, float] | None = None
    spared: bool = False
    out: bool = False
    stopped: bool = False

    @classmethod
    def of(cls, result: TrialResult, objectives: Sequence[Objective]) -> Standing:
        """Return the standing of a trial that waits at a rung, or was stopped there."""
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
    """Return after how many steps of the schedule each reading is taken."""
    return tuple(math.ceil(schedule.steps * share) for share in SHARES)


def reading_name(metric: str, rung: int) -> str:
    """Return the name of a reading among a result's metrics, such as "psnr_db_gain[1/16]"."""
    return f"{metric}_gain[{RUNG_NAMES[rung]}]"


def readings_of(result: TrialResult) -> tuple[dict[str, float], ...]:
    """Return a result's readings by metric, one mapping for each rung that was read."""
    readings = []
    for rung in range(len(RUNG_NAMES)):
        names = {metric: reading_name(metric, rung) for metric in READING_METRICS}
        gains = {m: result.value(name) for m, name in names.items() if name in result.metrics}
        if not gains:
            break
        readings.append(gains)
    return tuple(readings)


@dataclass
class Forecast:
    """The gain that is expected at the end of a training, from the gain at a rung.

    `lines`: for each rung, intercept and slope of the line that leads to the next rung, the last
    one's to the end of the training. They are fitted by least squares and held to a slope of 1 by
    `PRIOR_PAIRS`; that candidates were chosen by their readings does not bias such lines.
    `drops`: what each group's compression adds to the gain (it is negative where quality is lost),
    which only the end shows: the mean residual, drawn to 0 by one pair.

    Without any data a gain is expected to stay as it is.
    """

    lines: list[tuple[float, float]] = field(default_factory=list)
    drops: dict[str, float] = field(default_factory=dict)

    @classmethod
    def learned(cls, standings: Sequence[Standing], metric: str, input_quality: float) -> Forecast:
        """Return the forecast of `metric` that all standings support.

        `input_quality` is the metric of the blurred pictures.
        """
        lines = []
        for rung in range(len(SHARES) - 1):
            here = [s.gains[rung][metric] for s in standings if len(s.gains) > rung]
            on = [s for s in standings if len(s.gains) > rung + 1]
            pairs = [(s.gains[rung][metric], s.gains[rung + 1][metric]) for s in on]
            lines.append(_line(pairs, here))
        line, drops = _last_line(standings, metric, input_quality)
        return cls([*lines, line], drops)

    def gain(self, standing: Standing, metric: str) -> float:
        """Return the gain that is expected at the end of the training of a read candidate."""
        value = standing.gains[-1][metric]
        for intercept, slope in self.lines[len(standing.gains) - 1 :]:
            value = intercept + slope * value
        return value + self.drops.get(standing.group, 0.0)


def _last_line(
    standings: Sequence[Standing], metric: str, input_quality: float
) -> tuple[tuple[float, float], dict[str, float]]:
    """Return the line from the last rung to the end, and the drops of the groups, in two passes."""
    last = len(SHARES) - 1
    here = [s.gains[last][metric] for s in standings if len(s.gains) > last]
    pairs = [
        (s.group, s.gains[last][metric], s.final[metric] - input_quality)
        for s in standings
        if s.final is not None and len(s.gains) > last
    ]
    line, drops = (0.0, 1.0), dict[str, float]()
    for _ in range(2):
        line = _line([(x, y - drops.get(group, 0.0)) for group, x, y in pairs], here)
        residuals: dict[str, list[float]] = {}
        for group, x, y in pairs:
            residuals.setdefault(group, []).append(y - line[0] - line[1] * x)
        drops = {group: sum(some) / (len(some) + 1) for group, some in residuals.items()}
    return line, drops


def _line(pairs: Sequence[tuple[float, float]], here: Sequence[float]) -> tuple[float, float]:
    """Return intercept and slope of the line through `pairs`, held to a slope of 1 by a prior.

    `here` are all gains at the rung that the line starts from: they give the prior its scale.
    """
    if not pairs:
        return 0.0, 1.0
    x, y = np.array(pairs).T
    prior = PRIOR_PAIRS * float(np.var(here))
    across = float(((x - x.mean()) * (y - y.mean())).sum()) + prior
    along = float(((x - x.mean()) ** 2).sum()) + prior
    slope = max(LEAST_SLOPE, across / along) if along > 0 else 1.0
    return float(y.mean() - slope * x.mean()), slope


def expected(
    standings: Sequence[Standing],
    objectives: Sequence[Objective],
    input_quality: Mapping[str, float],
) -> dict[int, list[float]]:
    """Return each read candidate's objectives by its number, forecast where they are not known.

    `input_quality` is that of the blurred pictures, by metric.
    """
    readable = [s for s in standings if s.gains]
    quality = [o.metric for o in objectives if o.metric in READING_METRICS]
    forecasts = {m: Forecast.learned(readable, m, input_quality[m]) for m in quality}
    values_by_number = {}
    for standing in readable:
        values = dict(standing.costs)
        for metric, forecast in forecasts.items():
            values[metric] = input_quality[metric] + forecast.gain(standing, metric)
        values |= standing.final or {}
        values_by_number[standing.number] = [values[objective.metric] for objective in objectives]
    return values_by_number


def promotion(
    standings: Sequence[Standing],
    objectives: Sequence[Objective],
    input_quality: Mapping[str, float],
    busy: Set[int] = frozenset(),
    bounds: Mapping[str, float] | None = None,
) -> int | None:
    """Return the number of the candidate to train on now; None where none may go on.

    `input_quality` is that of the blurred pictures, by metric. `busy` are the numbers of the
    candidates in training: one that was read and trains was promoted before. `bounds` are the
    largest costs that are of use, by metric. The highest rung comes first. At each rung one for
    every `ETA` that came so far may go on, and every spared one.
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
        values = values or expected(standings, objectives, input_quality)
        losses = {s.number: _losses(values[s.number], objectives) for s in here}
        limit = _reference_point(list(losses.values()), objectives, input_quality, bounds or {})
        points = np.array([losses[s.number] for s in waiting])
        others = np.array([losses[s.number] for s in promoted]).reshape(-1, len(objectives))
        choice = best_addition(points, others, limit)
        if choice is None:
            # No candidate seems of use. The forecast may be wrong, and only more training mends it.
            choice = best_addition(points, others, _lowered(limit, points, objectives))
        if choice is not None:
            return waiting[choice].number
    return None


def _lowered(limit: Floats, points: Floats, objectives: Sequence[Objective]) -> Floats:
    """Return the reference point moved back to the points' median quality; costs keep theirs."""
    quality = np.array([objective.metric in READING_METRICS for objective in objectives])
    middle = np.median(points, axis=0) + 1e-9
    return np.where(quality, np.maximum(limit, middle), limit)


def _waits(standing: Standing, rung: int, busy: Set[int]) -> bool:
    """Return whether the candidate waits at `rung`."""
    over = standing.out or standing.final is not None or standing.number in busy
    return len(standing.gains) == rung + 1 and not over


def _went_on(standing: Standing, rung: int, busy: Set[int]) -> bool:
    """Return whether the candidate was promoted past `rung`.

    A failure after promotion counts; a candidate that was stopped at the rung does not.
    """
    ended = standing.final is not None or (standing.out and not standing.stopped)
    return len(standing.gains) > rung + 1 or ended or standing.number in busy


def best_addition(points: Floats, chosen: Floats, reference_point: Floats) -> int | None:
    """Return the index of the point (n, k) that adds most to the hypervolume of `chosen` (m, k).

    All are losses. If no point adds anything, the front of `chosen` is removed and the points are
    compared with the rest of it, so that second-best points come in their order. None where no
    point is better than the reference point (k) in every objective.
    """
    import moocore

    while True:
        on_front = moocore.is_nondominated(chosen) if len(chosen) else np.zeros(0, bool)
        front = np.ascontiguousarray(chosen[on_front].T)
        gains = [contribution(point, front, reference_point) for point in points]
        if max(gains) > 0:
            return int(np.argmax(gains))
        if not len(chosen):
            return None
        chosen = chosen[~moocore.is_nondominated(chosen, keep_weakly=True)]


def _losses(values: Sequence[float], objectives: Sequence[Objective]) -> list[float]:
    return [objective.loss(value) for value, objective in zip(values, objectives, strict=True)]


def _reference_point(
    losses: Sequence[Sequence[float]],
    objectives: Sequence[Objective],
    input_quality: Mapping[str, float],
    bounds: Mapping[str, float],
) -> Floats:
    """Return the reference point (k) of a rung, as losses.

    For quality it is the input quality; for a cost its bound, or `MARGIN` times the largest one.
    """
    limits = []
    for objective, column in zip(objectives, zip(*losses, strict=True), strict=True):
        if objective.metric in input_quality:
            limits.append(objective.loss(input_quality[objective.metric]))
        elif objective.metric in bounds:
            limits.append(objective.loss(bounds[objective.metric]))
        else:
            spread = (max(column) - min(column)) or 1.0
            beyond = math.log10(MARGIN) if objective.is_logarithmic else spread
            limits.append(max(column) + beyond)
    return np.array(limits)
