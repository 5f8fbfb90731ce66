"""Lines of statistics: complete ones, cut ones, and what is no number."""

from __future__ import annotations

import math

import pytest

from nas.devices.logs import parse_runs
from nas.devices.logs.figures import figure, statistics_of
from tests.helpers.log_texts import rows, text

FULL = "count=50 first=8000 curr=12345 min=7000 max=13000 avg=8044.5 std=410"


def test_complete_lines() -> None:
    found = statistics_of(FULL + " p5=7100 median=7990 p95=9000")
    assert found is not None
    assert (found.mean_ms, found.median_ms, found.p95_ms) == (8.0445, 7.99, 9.0)
    older = statistics_of(FULL)
    assert older is not None
    assert (older.mean_ms, older.median_ms, older.incomplete) == (8.0445, None, False)
    for only in ("count=1 curr=637079", "count=12 curr=637079(all same)"):
        same = statistics_of(only)
        assert same is not None
        assert (same.mean_ms, same.median_ms, same.incomplete) == (637.079, 637.079, False)
    none = statistics_of("count=0")
    assert none is not None
    assert (none.count, none.mean_ms, none.incomplete) == (0, None, False)


@pytest.mark.parametrize("stop", range(len("count=50"), FULL.index(" std")))
def test_a_line_that_was_cut_has_no_mean(stop: int) -> None:
    found = statistics_of(FULL[:stop])
    assert found is not None
    assert (found.mean_ms, found.median_ms, found.incomplete) == (None, None, True)


def test_a_line_cut_within_its_median_keeps_its_mean() -> None:
    found = statistics_of(FULL + " p5=7100 median=79")
    assert found is not None
    assert (found.mean_ms, found.median_ms, found.p5_ms) == (8.0445, None, None)


@pytest.mark.parametrize(
    "word", ["nan", "-nan", "inf", "1.2.3", "1e99999", "-5", "", "0x1f", "9" * 5000]
)
def test_what_is_no_number_is_no_figure_and_no_traceback(word: str) -> None:
    assert figure(word) is None
    assert (found := statistics_of(FULL.replace("8044.5", word))) is not None
    assert (found.mean_ms, found.incomplete) == (None, True)
    lines = [line.replace("20000", word) for line in rows()]
    for report in parse_runs(text(lines)):
        assert report.latency_ms is None
        assert any("odd line" in warning for warning in report.warnings)


def test_numbers_of_every_form() -> None:
    assert [figure(word) for word in ("5", "5.25", "9.99242e+06", "1e-3", "5.")] == [
        5,
        5.25,
        9992420,
        0.001,
        5,
    ]
    assert math.isclose(figure("412.3") or 0, 412.3)
    assert statistics_of("count=abc") is None
    assert statistics_of("count=" + "9" * 5000) is None


def test_odd_figures_elsewhere_are_left_out() -> None:
    lines = ["Initialized session in nanms.", "The input model file size (MB): 1.2.3"]
    lines += ["Peak memory footprint (MB): init=nan overall=40.2", "Throughput:  1e99999 MB/s"]
    lines += ["Inference (avg):      nan ms (10 runs)", "Warmup (first):  1e400 ms"]
    [found] = parse_runs(text(rows()[:4], lines))
    assert found.benchmark.memory == {"overall_mb": 40.2}
    assert found.benchmark.model_size_mb is None
    assert found.latency_ms is None
