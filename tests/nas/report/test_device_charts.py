"""One device against another, and the hypervolume by the seconds of devices."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import kendalltau

from nas.report.device_charts import (
    PAIRS,
    SECONDS,
    device_pair_chart,
    device_pairs,
    device_seconds,
    device_view,
    pairs_to_draw,
)
from nas.report.report_data import ReportData, gather
from tests.helpers.fake_run import make_run

DEVICES = ("host", "adb:A", "adb:B", "adb:C")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return gather(make_run(tmp_path_factory.mktemp("devices") / "run", 24, DEVICES, files=False))


def test_pairs_that_agree_least_come_first(data: ReportData) -> None:
    pairs = device_pairs(data)
    assert len(pairs) == 6
    assert [p.agreement.tau for p in pairs] == sorted(p.agreement.tau for p in pairs)
    for pair in pairs:
        rows = [
            [result.value(f"latency_ms[{device}]") for result in pair.results]
            for device in (pair.first, pair.second)
        ]
        tau = kendalltau(*rows).statistic
        assert pair.agreement.tau == pytest.approx(tau)
        assert pair.same_order_percent == pytest.approx(50 + 50 * tau)


def test_drawn_are_devices_of_their_own_as_far_as_there_are(data: ReportData) -> None:
    pairs = device_pairs(data)
    drawn = pairs_to_draw(pairs)
    assert len(drawn) == PAIRS
    assert drawn[0] == pairs[0]
    assert {drawn[0].first, drawn[0].second, drawn[1].first, drawn[1].second} == {*DEVICES}


def test_a_dot_is_a_trial_that_both_devices_timed(data: ReportData) -> None:
    pair = device_pairs(data)[0]
    chart = device_pair_chart(data, pair)
    shown = {n: xy for dots in chart["data"] for n, *xy in zip(
        dots["customdata"], dots["x"], dots["y"], strict=True)}  # fmt: skip
    assert len(shown) == len(pair.results)
    for result in pair.results:
        names = (f"latency_ms[{device}]" for device in (pair.first, pair.second))
        assert shown[result.number] == [result.value(name) for name in names]


def test_seconds_of_devices_add_up(data: ReportData) -> None:
    seconds = device_seconds(data)
    assert seconds[-1] == pytest.approx(sum(r.timings_s["latency"] for r in data.results))
    (line,) = device_view(data).charts[SECONDS]["data"]
    assert line["x"] == [0.0, *seconds]
    assert line["y"] == [0.0, *data.history]


def test_one_device_has_no_pair(tmp_path: Path) -> None:
    view = device_view(gather(make_run(tmp_path / "run", 12, files=False)))
    assert (view.pairs, view.all_pairs) == ((), 0)
    assert view.has_seconds
