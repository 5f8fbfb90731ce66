from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import RunError
from nas.report.definitions import definitions
from nas.report.effects import explained, flatten, parameters_of
from nas.report.report_data import gather, latency_metrics
from nas.report.titles import title
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from tests.helpers.fake_run import INPUT_PSNR, make_results, make_run


def test_everything_adds_up(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path / "a", 80))
    results = make_results(80)
    assert data.name == "a"
    assert sum(data.states.values()) == len(data.results) == 80
    assert data.states["failed"] > 0
    assert data.states["infeasible"] > 0
    ended = sum(len(cause.trials) for cause in data.causes)
    assert ended == 80 - data.states["complete"]
    assert sum(data.timings_s.values()) == pytest.approx(
        sum(sum(result.timings_s.values()) for result in results)
    )
    assert list(data.timings_s.values()) == sorted(data.timings_s.values(), reverse=True)
    assert len(data.history) == 80
    assert data.input_psnr_db == INPUT_PSNR
    assert data.sources == {"computed", "synthetic"}


def test_causes_name_the_error_and_the_constraint(tmp_path: Path) -> None:
    causes = {cause.what: cause for cause in gather(make_run(tmp_path, 80)).causes}
    assert causes.keys() == {"TrainingError", "latency_ms[host]<=60"}
    assert causes["TrainingError"].state == "failed"
    assert "repeats its input" in causes["TrainingError"].example
    assert causes["latency_ms[host]<=60"].example.startswith("the farthest is over by ")


def test_picks_are_the_ends_of_the_front_and_its_bend(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 80))
    picks = {pick.title: pick.result for pick in data.picks}
    assert list(picks) == ["Sharpest", "Balanced", "Fastest on host"]
    best = max(r.value("psnr_db") for r in data.results if r.state == "complete")
    fastest = min(r.value("latency_ms[host]") for r in data.results if r.state == "complete")
    assert picks["Sharpest"].value("psnr_db") == best
    assert picks["Fastest on host"].value("latency_ms[host]") == fastest


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


def test_names_for_people() -> None:
    assert title("latency_ms[host]") == "Latency on host"
    assert title("psnr_db") == "PSNR"
    assert title("regret") == "regret"
    metrics = {"latency_ms[a b]": Metric(1, "measured"), "init_ms[a b]": Metric(2, "measured")}
    assert list(latency_metrics(TrialResult(0, "k", "", {}, "complete", {}, metrics))) == ["a b"]


def test_trials_scored_by_a_form_that_agrees_are_one_line_with_the_agreements() -> None:
    def scored(number: int, agreement: int) -> TrialResult:
        on = f"heldout, by its float32 form ({agreement} dB from int16 on a crop of 128x128)"
        metrics = {"psnr_db": Metric(30.0, "measured", conditions=on)}
        return TrialResult(number, "k", "", {}, "complete", {}, metrics)

    (line,) = definitions([scored(0, 98), scored(1, 71), scored(2, 83)])
    assert line.trials == 3
    assert line.conditions == (
        "heldout, by its float32 form (71 to 98 dB from int16 on a crop of 128x128)"
    )


def test_a_run_without_trials(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 0))
    assert data.results == data.front == data.picks == data.effects == data.causes == ()


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run's folder: it has no run\.json"):
        gather(RunFolder(tmp_path))
