"""What a report says of how sure its PSNR is, and of how halving went, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.report.noise import advice, noise_in_words, noise_of, tied_groups, ties_in_words
from nas.storage.run_folder import RunFolder
from nas.study.halving import RUNGS, readings_of
from nas.study.seed_noise import Noise
from nas.study.trial_result import STOPPED, TrialResult
from nas.system.statistics import kendall_tau

FEW = 5  # fully trained ones below which a tau says nothing


@dataclass(frozen=True)
class Certainty:
    """The noise, in words: `said`, which models of the front can't be told apart, what to do."""

    noise: Noise
    said: str
    ties: str
    advice: str | None


@dataclass(frozen=True)
class RungRow:
    """A rung: how many were read there, how many went on, and how its order agreed with the end's.

    `tau` is Kendall's over the `whole` that were trained to the end; None for fewer than `FEW`. Of
    those alone, which are alike, it is lower than it would be over all.
    """

    name: str
    read: int
    went_on: int
    whole: int
    tau: float | None


def certainty(
    run: RunFolder, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> Certainty | None:
    """None where no network was trained twice."""
    noise = noise_of(run, results)
    if noise is None:
        return None
    return Certainty(
        noise, noise_in_words(noise), ties_in_words(tied_groups(front, noise)), advice(noise)
    )


def rung_rows(results: Sequence[TrialResult], metric: str = "psnr_db") -> tuple[RungRow, ...]:
    """A row for each rung that a trial was read at; none for a search without halving."""
    read = [(readings_of(result), result) for result in results]
    rows = []
    for rung, name in enumerate(RUNGS):
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
