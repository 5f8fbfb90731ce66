"""Says in sentences what the noise of a run's seeds means for its front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.seed_noise import CONFIDENCE, Noise, _scored, pooled
from nas.study.trial_result import TrialResult


def noise_of(run: RunFolder, results: Sequence[TrialResult]) -> Noise | None:
    """Return the noise that a run's replicates show; None where none of them was scored."""
    home = run.replicates
    first = {result.number: result for result in results if _scored(result)}
    again = [r for r in home.results() if r.number in first and first[r.number].key == r.key]
    groups = [(first[r.number].value("psnr_db"), r.value("psnr_db")) for r in again if _scored(r)]
    if not groups:
        return None
    values = [result.value("psnr_db") for result in first.values()]
    return pooled(groups, values, failed=len(again) - len(groups))


def with_intervals(results: Sequence[TrialResult], noise: Noise | None) -> list[TrialResult]:
    """Return the results, each measured PSNR with the interval in which its mean over seeds lies.

    The figure's conditions then say what the interval is, wherever they are shown.
    """
    if noise is None:
        return list(results)
    meaning = (
        f"interval: where the network's mean over seeds lies ({CONFIDENCE:.0%}), from "
        f"{noise.freedom} trained again"
    )
    widened = []
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
        widened.append(result)
    return widened


def tied_groups(members: Sequence[TrialResult], noise: Noise) -> list[tuple[TrialResult, ...]]:
    """Return groups of models whose PSNR can't be told apart, the best first.

    In a group no two models differ by more than seeds do. Each group is as large as it can be, so
    one model may be in several. Precisions of one training form no group: seeds do not part them.
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


def noise_in_words(noise: Noise) -> str:
    """Say what is known of the noise, in a sentence or two."""
    low, high = noise.spread_interval_db
    again = "1 network" if noise.freedom == 1 else f"{noise.freedom} networks"
    text = (
        f"From seed to seed PSNR deviates by {noise.spread_db:.2f} dB (95 %: {low:.2f} to "
        f"{high:.2f}; {again} trained again)"
    )
    if noise.tau is not None and noise.tau_interval is not None:
        # Of tau, for people: the share of pairs that two rankings have in the same order.
        share, low, high = (50 * (1 + tau) for tau in (noise.tau, *noise.tau_interval))
        text += (
            f", between the {noise.networks} complete ones by {noise.between_db:.2f} dB: another "
            f"seed would leave {share:.0f} % of their pairs in this order ({low:.0f} to {high:.0f} "
            "%)"
        )
    if noise.failed:
        text += f". {noise.failed} more failed with the other seed"
    return text + "."


def advice(noise: Noise) -> str | None:
    """Say what to change where the noise swallows the differences; None where it does not."""
    if not noise.swallows:
        return None
    return (
        f"The noise of this schedule swallows the differences between networks: below "
        f"{noise.resolved_db:.2f} dB they say nothing. Train longer (schedule.steps), with larger "
        "batches, or let the space hold networks that differ more"
    )


def ties_in_words(groups: Sequence[Sequence[TrialResult]], most: int = 4) -> str:
    """Name models that can't be told apart by PSNR, `most` groups of them; empty without groups."""
    if not groups:
        return ""
    named = ["trials " + ", ".join(str(model.number) for model in group) for group in groups[:most]]
    left = len(groups) - most
    more = f"; and {left} more group{'s' if left > 1 else ''}" if left > 0 else ""
    return f"Equally sharp within noise: {'; '.join(named)}{more}."
