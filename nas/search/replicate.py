"""Trains candidates of a run again with another seed, to learn how much the seed decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.execution.trial.task import TrialProgress
from nas.study.seed_noise import _scored
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.system.hashing import content_key

if TYPE_CHECKING:
    from nas.search.loop import OpenSearch


CANDIDATES_EACH = 5  # of a search, for one that is trained again
WHOLE_EACH = 4  # of those that were trained whole


def replicate(search: OpenSearch) -> None:
    """Train again, with the executor of a search that has come to its end, what is still missing.

    Raises RunError as the search does.
    """
    study = search.study
    if not study.trains or not study.replicates:
        return
    home = search.run.replicates
    done = home.finished_numbers()
    numbers = chosen(search.run.results(), study.replicates, search.optuna_study.candidates(), done)
    asked = [one for one in map(search.optuna_study.asked, numbers) if one is not None]
    if not asked:
        return
    names = ", ".join(str(one.number) for one in asked)
    search.watcher.note(f"how much of it is noise: trials {names} again, with another seed")
    other = _other_seed(study)
    for one in asked:
        search.executor.submit(replace(search.task(one), study=other, run=home))
    ended = 0
    while ended < len(asked):
        result = search.executor.next()
        if isinstance(result, TrialResult):
            ended += 1
            now = f"{result.value('psnr_db'):.2f} dB" if _scored(result) else result.state
            note = f"with another seed: {now}"
            search.watcher.progress(TrialProgress(result.number, "replicated", note=note))


def _other_seed(study: Study) -> Study:
    """Return the study with another seed, and with quality as its only figure."""
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
    """Return the numbers of the trials to train again: cheap, middling and expensive networks.

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


def _cost(result: TrialResult) -> tuple[float, int]:
    names = ("gmacs_conv", *(n for n in result.metrics if n.startswith("latency_ms")))
    known = next((result.value(name) for name in names if name in result.metrics), 0.0)
    return known, result.number
