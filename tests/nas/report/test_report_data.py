from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import RunError
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


def test_names_for_people() -> None:
    assert title("latency_ms[host]") == "Latency on host"
    assert title("psnr_db") == "PSNR"
    assert title("regret") == "regret"
    metrics = {"latency_ms[a b]": Metric(1, "measured"), "init_ms[a b]": Metric(2, "measured")}
    assert list(latency_metrics(TrialResult(0, "k", "", {}, "complete", {}, metrics))) == ["a b"]


def test_a_run_without_trials(tmp_path: Path) -> None:
    data = gather(make_run(tmp_path, 0))
    assert data.results == data.front == data.picks == data.effects == data.causes == ()


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run's folder: it has no run\.json"):
        gather(RunFolder(tmp_path))
