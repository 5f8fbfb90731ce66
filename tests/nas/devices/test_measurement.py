"""Figures that follow from a measurement's samples, by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nas.devices.measurement import Measurement, Placement, TimingProtocol

THREE = Measurement(
    device="host",
    source="measured",
    samples_ms=((1.0, 9.0, 2.0), (4.0,), (3.0, 5.0)),
    init_ms=7.0,
    first_ms=8.0,
    peak_memory_mb=None,
    placement=(Placement(0, "CONV_2D", "xnnpack"),),
    conditions={"disturbed": "others worked"},
)


def test_figures_are_those_of_the_launches_medians() -> None:
    assert THREE.launch_medians_ms == [2.0, 4.0, 4.0]
    assert THREE.latency_ms == 4.0
    assert THREE.interval_ms == (2.0, 4.0)
    assert THREE.interval_coverage == 0.75  # 1 - 2^(1 - 3)
    assert THREE.spread == 0.5
    assert THREE.count == 6
    assert THREE.disturbed == "others worked"


def test_a_tool_that_prints_statistics_only_says_how_many_inferences_they_are() -> None:
    assert replace(THREE, counts=(10, 20, 30)).count == 60


@pytest.mark.parametrize(("source", "measured"), [("synthetic", True), ("modelled", False)])
def test_a_figure_that_nothing_ran_for_counts_no_inference(source: str, measured: bool) -> None:
    found = replace(THREE, source=source)
    assert (found.measured, found.count) == (measured, 6 if measured else 0)


def test_a_stated_interval_comes_before_that_of_the_launches() -> None:
    found = replace(THREE, stated_interval_ms=(1.5, 6.0), stated_coverage=0.8)
    assert (found.interval_ms, found.interval_coverage) == ((1.5, 6.0), 0.8)


def test_it_comes_back_from_json() -> None:
    stated = replace(THREE, stated_interval_ms=(1.5, 6.0), stated_coverage=0.8, counts=(1, 2, 3))
    for found in (THREE, stated):
        assert Measurement.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    old = {key: value for key, value in THREE.to_dict().items() if key not in ("counts", "count")}
    assert Measurement.from_dict(old) == THREE  # a run made before counts were kept


def test_a_protocol_is_json() -> None:
    assert json.loads(json.dumps(TimingProtocol(launches=3).to_dict()))["launches"] == 3
