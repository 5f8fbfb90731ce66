"""Tells how sure a run's PSNR is and how halving went, as values for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.report.noise import advice, noise_in_words, noise_of, tied_groups, ties_in_words
from nas.storage.run_folder import RunFolder
from nas.study.halving import RUNG_NAMES, readings_of
from nas.study.seed_noise import Noise
from nas.study.trial_result import STOPPED, TrialResult
from nas.system.statistics import kendall_tau

FEW = 5  # fully trained ones below which a tau says nothing


@dataclass(frozen=True)
class Certainty:
    """What is known of a run's noise, with sentences for people.

    `said` tells the noise, `ties` which models of the front can't be told apart, `advice` what to
    change; it is None where the noise is small.
    """

    noise: Noise
    said: str
    ties: str
    advice: str | None


@dataclass(frozen=True)
class RungRow:
    """What happened at one rung of halving.

    `name` is the share of the training. `read` trials had a reading there, and `went_on` of them
    trained further. `tau` is Kendall's tau of the readings and the PSNR at the end, over the
    `whole` trials that were trained to their end; None for fewer than `FEW`. Those trials are
    alike, so it is lower than it would be over all.
    """

    name: str
    read: int
    went_on: int
    whole: int
    tau: float | None


def certainty(
    run: RunFolder, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> Certainty | None:
    """Return how sure the PSNR of `front` is; None where no network was trained twice."""
    noise = noise_of(run, results)
    if noise is None:
        return None
    return Certainty(
        noise, noise_in_words(noise), ties_in_words(tied_groups(front, noise)), advice(noise)
    )


def rung_rows(results: Sequence[TrialResult], metric: str = "psnr_db") -> tuple[RungRow, ...]:
    """Return a row for each rung that a trial was read at; none for a search without halving."""
    read = [(readings_of(result), result) for result in results]
    rows = []
    for rung, name in enumerate(RUNG_NAMES):
        here = [(gains, result) for gains, result in read if len(gains) > rung]
        on = [r for gains, r in here if len(gains) > rung + 1 or r.state != STOPPED]
        pairs = [
            (gains[rung][metric], result.value(metric))
            for gains, result in here
            if result.state == "complete" and metric in gains[rung] and metric in result.metrics
        ]
        if not here:
            break
        gains, ends = ([pair[place] for pair in pairs] for place in (0, 1))
        tau = kendall_tau(gains, ends) if len(pairs) >= FEW else None
        rows.append(RungRow(name, len(here), len(on), len(pairs), tau))
    return tuple(rows)
