"""The report's charts against the run that they show."""

from __future__ import annotations

import json
import re

import pytest

from nas.report import gather
from nas.report.charts import front_chart, history_chart, ticks
from nas.report.effect_chart import effect_chart
from nas.storage.run_folder import RunFolder
from tests.helpers.fake_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("run"), 40, ("host", "phone <1>"))


def test_charts_are_valid_plotly(run: RunFolder) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    data = gather(run)
    numbers = [result.number for result in data.front]
    charts = [front_chart(data, cost) for cost in data.costs]
    charts += [history_chart(data), *(effect_chart(effect, numbers) for effect in data.effects)]
    assert len(charts) > 10
    for chart in charts:
        go.Figure(chart)  # raises ValueError on a property that Plotly has not
        json.dumps(chart, allow_nan=False)


def test_the_front_chart_shows_every_trial_once(run: RunFolder) -> None:
    data = gather(run)
    chart = front_chart(data, data.costs[0])
    shown = [
        int(re.match(r"<b>trial (\d+)</b>", text)[1])  # type: ignore[index]
        for trace in chart["data"]
        if trace["mode"] != "lines"
        for text in trace.get("hovertext", trace.get("text"))
    ]
    assert sorted(shown) == [result.number for result in data.results]
    names = {trace.get("name") for trace in chart["data"]}
    assert {"Pareto front", "complete", "over a limit, not trained", "failed"} <= names
    members = next(trace for trace in chart["data"] if trace.get("name") == "Pareto front")
    metric = data.front[0].metrics["latency_ms[host]"]
    assert metric.interval is not None
    assert members["error_x"]["array"][0] == metric.interval[1] - metric.value
    assert members["error_x"]["arrayminus"][0] == metric.value - metric.interval[0]


def test_ticks_are_few_and_round() -> None:
    for low, high in ((4.9, 60), (1, 1.2), (0.003, 4000), (900, 1100)):
        found = ticks(low, high)
        assert 1 <= len(found) <= 9
        assert found == sorted(set(found))
    assert ticks(5, 50) == [5, 10, 20, 30, 50]
