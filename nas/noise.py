"""Noise that is known: how much of a difference in PSNR is the networks', and how much the seed's.

After its trials a search trains a few of its networks once more, with another seed. Their pairs
give the deviation from seed to seed; with the deviation between networks follows how well this
schedule ranks at all. Replicates are no trials: the sampler never hears of them, they are not on
the front, and which networks are taken does not depend on their quality, as picking the best would
pick the lucky ones. They lie below `replicates/`, laid out as a run is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nas.canonical import content_key
from nas.metrics import Metric
from nas.results import TrialResult
from nas.store import RunFolder
from nas.study import Study
from nas.task import TrialProgress

if TYPE_CHECKING:
    from nas.loop import Loop

FOLDER = "replicates"
CANDIDATES_EACH = 5  # of a search, for one that is trained again
WHOLE_EACH = 4  # of those that were trained whole
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


def replicate(loop: Loop) -> None:
    """Train again, with the executor of a search that has come to its end, what is still missing.

    Raises RunError as the search does.
    """
    study = loop.study
    if not study.trains or not study.replicates:
        return
    home = RunFolder(loop.run.path / FOLDER)
    done = home.finished_numbers()
    numbers = chosen(loop.run.results(), study.replicates, loop.memory.candidates(), done)
    asked = [one for one in map(loop.memory.asked, numbers) if one is not None]
    if not asked:
        return
    names = ", ".join(str(one.number) for one in asked)
    loop.watcher.note(f"how much of it is noise: trials {names} again, with another seed")
    other = _other_seed(study)
    for one in asked:
        loop.executor.submit(replace(loop.task(one), study=other, run=home))
    ended = 0
    while ended < len(asked):
        result = loop.executor.next()
        if isinstance(result, TrialResult):
            ended += 1
            now = f"{result.value('psnr_db'):.2f} dB" if _scored(result) else result.state
            note = f"with another seed: {now}"
            loop.watcher.progress(TrialProgress(result.number, "replicated", note=note))


def _other_seed(study: Study) -> Study:
    """The same trainings with another seed, and nothing but their quality looked at."""
    scoring = tuple(
        e
        for e in study.evaluators
        if e.needs == "weights" and "psnr_db" in e.metrics(study.devices)
    )
    return replace(
        study,
        seed=study.seed + 1,
        evaluators=scoring,
        objectives=("psnr_db",),
        constraints=(),
        halving=False,
    )


def chosen(results: Sequence[TrialResult], most: int, candidates: int, done: set[int]) -> list[int]:
    """The numbers of the trials to train again: of cheap networks, middling and dear ones alike.

    At most one for every `CANDIDATES_EACH` candidates and every `WHOLE_EACH` trained ones that were
    begun; `done` ones count.
    """
    networks: dict[str, TrialResult] = {}
    for result in results:
        if _scored(result):
            networks.setdefault(content_key(result.candidate["architecture"]), result)
    order = sorted(networks.values(), key=_cost)
    count = min(most, candidates // CANDIDATES_EACH, math.ceil(len(order) / WHOLE_EACH))
    picks = [order[int((2 * n + 1) * len(order) / (2 * count))].number for n in range(count)]
    return [number for number in picks if number not in done][: max(0, count - len(done))]


def _scored(result: TrialResult) -> bool:
    return result.state == "complete" and "psnr_db" in result.metrics


def _cost(result: TrialResult) -> tuple[float, int]:
    names = ("gmacs_conv", *(n for n in result.metrics if n.startswith("latency_ms")))
    known = next((result.value(name) for name in names if name in result.metrics), 0.0)
    return known, result.number


def noise_of(run: RunFolder, results: Sequence[TrialResult]) -> Noise | None:
    """What a run's replicates tell; None where there are none that were scored."""
    home = RunFolder(run.path / FOLDER)
    first = {result.number: result for result in results if _scored(result)}
    again = [r for r in home.results() if r.number in first and first[r.number].key == r.key]
    groups = [(first[r.number].value("psnr_db"), r.value("psnr_db")) for r in again if _scored(r)]
    if not groups:
        return None
    values = [result.value("psnr_db") for result in first.values()]
    return pooled(groups, values, failed=len(again) - len(groups))


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


def with_intervals(results: Sequence[TrialResult], noise: Noise | None) -> list[TrialResult]:
    """The results, each measured PSNR with the interval in which its mean over seeds lies.

    The figure's conditions then say what the interval is, wherever they are shown.
    """
    if noise is None:
        return list(results)
    meaning = (
        f"interval: where the network's mean over seeds lies ({CONFIDENCE:.0%}), from "
        f"{noise.freedom} trained again"
    )
    found = []
    for result in results:
        metric = result.metrics.get("psnr_db")
        if metric is not None and metric.source == "measured" and metric.interval is None:
            ends = (metric.value - noise.half_width_db, metric.value + noise.half_width_db)
            metrics: Mapping[str, Metric] = {
                **result.metrics,
                "psnr_db": replace(
                    metric,
                    interval=ends,
                    conditions="; ".join(filter(None, (metric.conditions, meaning))),
                ),
            }
            result = replace(result, metrics=metrics)
        found.append(result)
    return found


def not_apart(members: Sequence[TrialResult], noise: Noise) -> list[tuple[TrialResult, ...]]:
    """Groups of models whose PSNR can't be told apart, the best first.

    In a group no two differ by more than seeds do; each is as large as it can be, so one model may
    be in several. Precisions of one training are no group: seeds don't part them.
    """
    scored = [m for m in members if "psnr_db" in m.metrics]
    ordered = sorted(scored, key=lambda m: -m.value("psnr_db"))
    groups: list[tuple[TrialResult, ...]] = []
    reached = 0
    for first, best in enumerate(ordered):
        least = best.value("psnr_db") - noise.resolved_db
        end = sum(m.value("psnr_db") >= least for m in ordered)
        if end <= reached:
            continue  # inside the group before
        reached = end
        group = tuple(ordered[first:end])
        if len({m.weights or m.key for m in group}) > 1:
            groups.append(group)
    return groups


def in_words(noise: Noise) -> str:
    """What is known of the noise, in a sentence or two."""
    low, high = noise.spread_interval_db
    again = "1 network" if noise.freedom == 1 else f"{noise.freedom} networks"
    told = (
        f"From seed to seed PSNR deviates by {noise.spread_db:.2f} dB (95 %: {low:.2f} to "
        f"{high:.2f}; {again} trained again)"
    )
    if noise.tau is not None and noise.tau_interval is not None:
        low, high = noise.tau_interval
        told += (
            f", between the {noise.networks} complete ones by {noise.between_db:.2f} dB: two seeds "
            f"would rank them with a Kendall's tau of about {noise.tau:.2f} "
            f"({low:.2f} to {high:.2f})"
        )
    if noise.failed:
        told += f". {noise.failed} more failed with the other seed"
    return told + "."


def advice(noise: Noise) -> str | None:
    """What to change where the noise swallows the differences; None where it does not."""
    if not noise.swallows:
        return None
    return (
        f"The noise of this schedule swallows the differences between networks: below "
        f"{noise.resolved_db:.2f} dB they say nothing. Train longer (schedule.steps), with larger "
        "batches, or let the space hold networks that differ more"
    )


def ties_in_words(groups: Sequence[Sequence[TrialResult]], most: int = 4) -> str:
    """Which models can't be told apart by PSNR; empty where all can."""
    if not groups:
        return ""
    named = ["trials " + ", ".join(str(one.number) for one in group) for group in groups[:most]]
    left = len(groups) - most
    more = f"; and {left} more group{'s' if left > 1 else ''}" if left > 0 else ""
    return f"Not told apart by PSNR: {'; '.join(named)}{more}."
