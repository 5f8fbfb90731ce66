from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import ConfigError
from nas.report import open_front
from nas.report.choice import RunFront, quality_of
from nas.report.explanation import explain_choice, explain_run, explain_trial, reason
from nas.study.metric import Metric
from nas.study.objectives import Objective
from nas.study.pareto import front
from nas.study.picker import offers_of
from nas.study.trial_result import Failure, TrialResult
from tests.helpers.fake_run import make_run, replicate

OBJECTIVES = (Objective.of("psnr_db"), Objective.of("latency_ms[host]"))


def trial(number: int, psnr_db: float, ms: float) -> TrialResult:
    metrics = {"psnr_db": Metric(psnr_db, "measured"), "latency_ms[host]": Metric(ms, "measured")}
    weights = f"weights/{number}.h5"
    return TrialResult(
        number, f"key{number}", f"net-{number}", {}, "complete", metrics=metrics, weights=weights
    )


def run_front(results: list[TrialResult], resolved: float = 0.0) -> RunFront:
    members = tuple(front(results, OBJECTIVES))
    offers = tuple(offers_of(members, ["host"]))
    return RunFront(OBJECTIVES, tuple(results), members, None, OBJECTIVES[0], offers, resolved)


def test_the_result_names_what_is_alike_the_fastest_of_it_and_the_next_step() -> None:
    results = [trial(0, 32.0, 280.0), trial(1, 31.8, 85.0), trial(2, 31.9, 107.0)]
    results += [trial(3, 31.0, 20.0), trial(4, 30.0, 10.0), trial(5, 30.5, 300.0)]
    assert explain_run(run_front(results, 0.3), {"host": "this PC"}.__getitem__) == [
        "Three models are equally sharp within noise (0.30 dB): trials 1, 2, 0.",
        "Trial 1 is the fastest of them: 31.80 dB, 85.0 ms on this PC, 3.29 times faster than "
        "trial 0, which has the best figure.",
        "The next faster one, trial 3, costs 0.80 dB: 31.00 dB, 20.0 ms on this PC, 4.25 times "
        "faster.",
    ]
    assert math.isclose(280 / 85, 3.29, rel_tol=0.01)


def test_without_noise_the_best_figure_counts_and_that_is_said() -> None:
    results = [trial(0, 32.0, 280.0), trial(1, 31.8, 85.0)]
    first, unknown, step = explain_run(run_front(results))
    assert first == "Trial 0 is the sharpest: 32.00 dB, 280 ms on host."
    assert unknown.startswith("How much of the differences is noise is not known")
    assert step.startswith("The next faster one, trial 1, costs 0.20 dB: ")
    untrained = [replace(result, weights=None) for result in results]
    assert explain_run(run_front(untrained)) == [first, step]
    assert explain_run(run_front([results[0]]))[-1] == unknown
    assert explain_run(run_front([])) == [
        "No model yet: no finished trials, none of them complete and within the constraints."
    ]


def test_another_quality_than_psnr_is_good_not_sharp() -> None:
    metrics = {"ssim": Metric(0.91, "measured"), "bytes": Metric(9000.0, "measured")}
    result = TrialResult(0, "k", "net", {}, "complete", metrics=metrics)
    objectives = (Objective.of("ssim"), Objective.of("bytes"))
    offers = tuple(offers_of([result], [], "ssim"))
    found = RunFront(objectives, (result,), (result,), None, objectives[0], offers, 0.0)
    assert explain_run(found) == ["Trial 0 is the best: 0.9100, 9,000 B."]


def test_a_run_of_costs_alone_has_its_sentences_too() -> None:
    def untrained(number: int, parameters: float, ms: float) -> TrialResult:
        metrics = {"parameters": Metric(parameters, "computed")}
        metrics["latency_ms[host]"] = Metric(ms, "measured")
        return TrialResult(number, f"k{number}", f"net-{number}", {}, "complete", metrics=metrics)

    objectives = (Objective.of("parameters"), Objective.of("latency_ms[host]"))
    results = [untrained(0, 1755, 20.0), untrained(1, 2187, 10.0), untrained(2, 2200, 10.0)]
    members = tuple(front(results, objectives))
    quality = quality_of(objectives)
    offers = tuple(offers_of(members, ["host"], quality.metric))
    found = RunFront(objectives, tuple(results), members, None, quality, offers, 0.0)
    assert quality == objectives[0]
    assert explain_run(found) == [
        "Trial 0 has the least parameters: 1,755 parameters, 20.0 ms on host.",
        "The next faster one, trial 1, costs 432 parameters: 2,187 parameters, 10.0 ms on host, 2 "
        "times faster.",
    ]
    assert "The next better one, trial 0, saves 432 parameters" in " ".join(explain_trial(found, 1))
    assert "Trial 1 is as good or better in all" in explain_trial(found, 2)[-1]
    assert found.choose({"latency_ms[host]": 15.0}).model.trial == 1  # type: ignore[union-attr]


def test_a_choice_says_what_it_is_alike_to() -> None:
    found = run_front([trial(0, 32.0, 280.0), trial(1, 31.8, 85.0)], 0.3)
    choice = found.choose()
    assert choice is not None
    assert explain_choice(found, choice) == (
        "Take trial 1: 31.80 dB, 85.0 ms on host. Trial 0 is 0.20 dB better, which noise explains; "
        "this is 3.29 times faster."
    )
    only = found.choose({"latency_ms[host]": 100.0})
    assert only is not None
    assert explain_choice(found, only) == "Take trial 1: 31.80 dB, 85.0 ms on host."


def test_each_kind_of_trial_has_its_sentences() -> None:
    results = [trial(0, 32.0, 280.0), trial(1, 31.8, 85.0), trial(2, 31.0, 90.0)]
    failed = replace(trial(3, 1, 1), state="failed", failure=Failure("TrainingError", "it died"))
    slow = replace(trial(4, 1, 74.0), state="infeasible", violations={"latency_ms[host]<=60": 0.23})
    found = run_front([*results, failed, slow], 0.3)
    assert explain_trial(found, 3)[-1] == "It failed: TrainingError: it died."
    assert explain_trial(found, 4)[-1] == (
        "It is infeasible: Latency on host is 74.0 ms, 60 at most (23 % over)."
    )
    beaten = explain_trial(found, 2)
    assert beaten[1].startswith("It is complete, but not on the front: PSNR 31.00 dB")
    assert beaten[2].startswith("Trial 1 is as good or better in all: PSNR 31.80 dB")
    best = explain_trial(found, 0)
    assert best[1].startswith("It is on the front, no other model beats it: 32.00 dB, 280 ms")
    assert "it is as good as trial 1" in best[2]
    assert best[3] == "The fastest of these is trial 1, 3.29 times faster."
    with pytest.raises(ConfigError, match="no trial 9 has ended: 5 have; the last is 4"):
        explain_trial(found, 9)


def test_every_trial_of_a_run_can_be_explained(tmp_path: Path) -> None:
    run = make_run(tmp_path, 60, ("host", "phone"))
    replicate(run)
    found = open_front(run)
    assert len(explain_run(found)) >= 2
    for result in found.results:
        for sentence in explain_trial(found, result.number):
            assert sentence.endswith(".")
            assert "  " not in sentence
        if result.state != "complete":
            assert reason(result)
