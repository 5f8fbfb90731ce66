"""What stands behind a latency, from kept measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.report import gather
from nas.report.evidence import Evidence, evidence_of, held, ribbon
from nas.report.page import Findings, report_html
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.system.files import write_json
from tests.helpers.fake_run import describe, make_results
from tests.helpers.report_pages import Page

KEPT: dict[str, Any] = {
    "source": "synthetic",
    "latency_ms": 20.0,
    "samples_ms": [[19.0, 20.0, 23.0], [20.0], [26.0, 24.0]],
    "count": 6,
    "conditions": {
        "before": {"temperatures": {"skin": 31.0, "CPU0": 35.0}, "battery_percent": 83},
        "after": {"temperatures": {"skin": 33.5, "CPU0": 38.5}, "battery_percent": 82},
        "reference_ms": [1.0, 1.02],
        "drift": 0.02,
        "blocks": 2,
        "tool": {"sha256": "7be16a131206f5062d8c"},
        "disturbed": "the phone was busy (load 2)",
    },
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Trials on the host: the first with a kept measurement, the second's is damaged."""
    run = RunFolder(tmp_path)
    write_json(tmp_path / "run.json", describe())
    write_json(tmp_path / "measurements" / "one.json", KEPT)
    write_json(tmp_path / "measurements" / "two.json", {"conditions": None})
    for result, key in zip(make_results(3, bound_ms=None), ("one", "two", None), strict=True):
        notes = {"host": {"required": True, "measurement": key, "failure": None}}
        run.write_result(replace(result, conditions={**result.conditions, "devices": notes}))
    return run


def test_each_latency_has_what_was_recorded(run: RunFolder) -> None:
    data = gather(run)
    first, second, third = evidence_of(run, data, data.results)
    assert first.launches_ms == (20.0, 20.0, 25.0)
    assert first.facts == {
        "launches": "3 of 6 inferences in all",
        "heat": "35 → 38.5 °C",
        "battery": "83 → 82%",
        "drift": "2.0 % in the control model",
        "tool": "7be16a131206",
    }
    assert first.warnings == (
        "launches differ", "the phone was busy (load 2)", "1 discarded before it",
    )  # fmt: skip
    assert first.file == "measurements/one.json"
    assert held([first, second, third]) == {"measurements/one.json": KEPT}
    assert held([first], most=10) == {}
    for other in (second, third):
        assert (other.launches_ms, other.file, other.raw) == ((), "", {})


def test_without_any_measurement_there_is_no_evidence(run: RunFolder) -> None:
    data = gather(run)
    assert evidence_of(run, data, data.results[1:]) == []


def test_a_steady_measurement_looks_steady() -> None:
    def places(*launches: float) -> list[float]:
        metric = Metric(sorted(launches)[len(launches) // 2], "measured")
        return [x for x, _ in ribbon(Evidence(0, 0, "host", metric, launches))]

    steady, wild = places(100.0, 100.1, 99.9), places(100.0, 150.0, 90.0)
    assert max(steady) - min(steady) < 5
    assert (min(wild), max(wild)) == (6.0, 126.0)
    assert places(7.0) == [66.0]


def test_the_page_leads_from_a_latency_to_its_evidence(run: RunFolder) -> None:
    data = gather(run)
    rows = evidence_of(run, data, data.results)
    page = Page(report_html(data, found=Findings(evidence=rows)))
    assert "How each latency was taken" in page.headings
    linked = {a[1:] for a in page.addresses if a.startswith("#evidence-")}
    assert linked == {f"evidence-{member.number}-0" for member in data.front}
    assert linked <= page.sections.keys()
    assert "../measurements/one.json" in page.addresses
    assert "35 → 38.5 °C" in page.sections["evidence-0-0"]
