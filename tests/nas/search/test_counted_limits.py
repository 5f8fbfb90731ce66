"""Limits on what is counted from a graph."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from nas.search.counted_limits import CountedLimits
from nas.study.study import Study
from studies import STUDIES

STUDY = STUDIES["portable-today"]


def gmacs_of(study: Study, trial: optuna.Trial) -> float:
    """Count by the evaluator's own way to the graph."""
    width, height = study.size
    return study.sample(trial).architecture.graph().macs(height, width).conv / 1e9


def test_a_candidate_is_allowed_where_its_macs_are_within_the_limit() -> None:
    limits = CountedLimits.of(STUDY)
    assert limits is not None
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []
    for _ in range(12):
        trial = study.ask()
        within = gmacs_of(STUDY, trial) <= 110
        assert limits(trial.params) == within
        seen.append(within)
    assert set(seen) == {True, False}


@pytest.mark.parametrize("constraint", ["psnr_db>=30", "latency_ms[npu:sm8650]<=5"])
def test_other_limits_need_a_trial(constraint: str) -> None:
    assert CountedLimits.of(replace(STUDY, constraints=(constraint,))) is None
