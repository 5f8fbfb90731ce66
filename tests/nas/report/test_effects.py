"""What each choice does, from made-up trials and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.report import gather
from nas.report.effects import explained, find_effects, flatten, parameters_of
from nas.study.objectives import Objective
from nas.study.trial_result import TrialResult
from tests.helpers.fake_run import make_run


def test_effects_hold_every_trial_that_has_the_metric(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 80))
    found = {(effect.parameter, effect.metric): effect for effect in data.effects}
    precision = found["precision", "psnr_db"]
    assert [name for name, _ in precision.groups] == ["float", "int8-ptq"]
    numbers = sorted(number for _, trials in precision.groups for number, _ in trials)
    assert numbers == [r.number for r in data.results if r.state == "complete"]
    shares = [e.share or 0 for e in data.effects if e.metric == "psnr_db"]
    assert shares == sorted(shares, reverse=True)
    assert [name for name, _ in found["width_0", "psnr_db"].groups] == ["8", "12", "16", "24", "32"]


def test_a_choice_that_is_not_made_comes_last(tmp_path: Path) -> None:
    results = gather(make_run(tmp_path, 30)).results
    complete = [result for result in results if result.state == "complete"]
    own = [
        replace(result, parameters={"decoder_convolutions": (None, 3, 1)[index % 3]})
        for index, result in enumerate(complete)
    ]
    (effect,) = find_effects(own, [Objective.of("psnr_db")])
    assert [name for name, _ in effect.groups] == ["1", "3", "not set"]


def test_explained_is_one_for_what_decides_and_nothing_for_noise() -> None:
    random = np.random.default_rng(3)
    decides = [np.full(20, 1.0), np.full(20, 2.0)]
    assert explained(decides) == 1.0
    noise = [explained([random.normal(size=40) for _ in range(4)]) or 0.0 for _ in range(200)]
    assert np.mean(noise) < 0.03  # eta squared would have 3/159 = .019 and no zeros
    assert min(noise) == 0.0


def test_explained_by_hand() -> None:
    """Groups (1, 2, 3, 4) and (3, 4, 5, 6): total 20, within 10, noise 10/6."""
    groups = [np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])]
    assert explained(groups) == pytest.approx((18 - 10 - 10 / 6) / 18)
    assert explained(groups[:1]) is None
    assert explained([np.array([1.0]), np.array([2.0])]) is None
    assert explained([np.ones(5), np.ones(5)]) is None


def test_a_candidate_is_flattened_where_the_parameters_were_not_kept() -> None:
    candidate = {
        "architecture": {"family": "unet", "widths": [8, 16], "activation": "relu"},
        "compression": {"precision": "float"},
    }
    result = TrialResult(0, "k", "", candidate, "complete")
    assert parameters_of(result) == {
        "family": "unet",
        "widths_0": 8,
        "widths_1": 16,
        "activation": "relu",
        "precision": "float",
    }
    assert flatten({"a": {"x": 1}, "b": {"x": 2}}) == {"x": 1, "b.x": 2}
