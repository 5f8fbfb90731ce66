"""What the drawn pictures say in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nas.report.png import _cost, _headline
from nas.report.report_data import ReportData, gather
from tests.helpers.fake_run import make_run


def _with_source(data: ReportData, source: str) -> ReportData:
    front = [
        replace(
            result,
            metrics={
                name: replace(metric, source=source) if name.startswith("latency_ms[") else metric
                for name, metric in result.metrics.items()
            },
        )
        for result in data.front
    ]
    return replace(data, front=front)


def test_a_picture_says_whose_latency_it_is_and_where_from(tmp_path: Path) -> None:
    several = gather(make_run(tmp_path / "several", 20, ("host", "phone")))
    for source, words in (("measured", "measured"), ("modelled", "latencies modelled")):
        data = _with_source(several, source)
        assert f"networks trained, {words}, {len(data.front)} on the front" in _headline(data)
    assert _cost(several.front[0], several).endswith(f" ms on {several.names['host'].name}")
    alone = gather(make_run(tmp_path / "alone", 20))
    assert _cost(alone.front[0], alone).endswith(" ms")
