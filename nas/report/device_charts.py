"""Draws one device against another, and the seconds that a search took of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from nas.report.charts import log_axis
from nas.report.offline import Chart
from nas.report.report_data import ReportData
from nas.study.rank_agreement import Agreement, agreement
from nas.study.trial_result import TrialResult

PAIRS = 3
"""Pairs of devices that a report draws."""
SECONDS = "device-seconds"
"""The chart of the seconds that devices were busy."""
LEAST_TRIALS = 8
"""Trials that both devices must have timed."""


@final
@dataclass(frozen=True)
class DevicePair:
    """Two devices, the trials that both have timed, and how far they agree on their order."""

    first: str
    second: str
    results: tuple[TrialResult, ...]
    agreement: Agreement

    @property
    def same_order_percent(self) -> float:
        """Return how many of 100 pairs of networks are in the same order on both devices."""
        return 50 * (1 + self.agreement.tau)


@final
@dataclass(frozen=True)
class DeviceView:
    """What the page shows of devices: Plotly's `charts` by name, and each pair with a sentence.

    `pairs` has the chart's name, its label, and the sentence below it.
    """

    charts: Mapping[str, Chart]
    pairs: tuple[tuple[str, str, str], ...]
    all_pairs: int
    """How many pairs of devices there are, the drawn ones among them."""

    @property
    def has_seconds(self) -> bool:
        """Tell whether there is a chart of the seconds that devices were busy."""
        return SECONDS in self.charts


def device_view(data: ReportData) -> DeviceView:
    """Draw the pairs of devices, and the hypervolume by what the search took of its devices."""
    charts: dict[str, Chart] = {}
    rows = []
    pairs = device_pairs(data)
    for index, pair in enumerate(pairs_to_draw(pairs)):
        charts[f"devices{index}"] = device_pair_chart(data, pair)
        label = f"Latency on {data.device(pair.second)} against {data.device(pair.first)}"
        rows.append((f"devices{index}", label, said_of(pair, data)))
    seconds = device_seconds(data)
    if seconds and data.front:
        charts[SECONDS] = device_seconds_chart(data, seconds)
    return DeviceView(charts, tuple(rows), len(pairs))


def device_pairs(data: ReportData) -> list[DevicePair]:
    """Return the pairs of the run's devices, the ones that agree least first."""
    devices = [*data.devices, *data.optional_devices]
    pairs = []
    for first, second in itertools.combinations(devices, 2):
        names = [_latency(device) for device in (first, second)]
        both = [r for r in data.results if all(name in r.metrics for name in names)]
        rows = [[result.value(name) for result in both] for name in names]
        alike = agreement(*rows) if len(both) >= LEAST_TRIALS else None
        if alike is not None:
            pairs.append(DevicePair(first, second, tuple(both), alike))
    return sorted(pairs, key=lambda pair: pair.agreement.tau)


def pairs_to_draw(pairs: Sequence[DevicePair]) -> list[DevicePair]:
    """Return the first `PAIRS` pairs, of devices that are in no other one as far as there are."""
    chosen: list[DevicePair] = []
    for pair in pairs:
        drawn = {device for one in chosen for device in (one.first, one.second)}
        if not drawn & {pair.first, pair.second}:
            chosen.append(pair)
    rest = [pair for pair in pairs if pair not in chosen]
    return [*chosen, *rest][:PAIRS]


def device_pair_chart(data: ReportData, pair: DevicePair) -> Chart:
    """Draw each trial's latency on one device against that on another, the front coloured."""
    x, y = _latency(pair.first), _latency(pair.second)
    members = {result.number for result in data.front}
    front = [result for result in pair.results if result.number in members]
    others = [result for result in pair.results if result.number not in members]
    axes = {}
    for axis, device, name in (("xaxis", pair.first, x), ("yaxis", pair.second, y)):
        drawn = log_axis([result.value(name) for result in pair.results])
        drawn["tickvals"] = drawn["tickvals"][:: 1 if len(drawn["tickvals"]) < 5 else 2]
        axes[axis] = {**drawn, "tickangle": 0, "title": {"text": f"{data.device(device)}, ms"}}
    dots = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [result.value(x) for result in some],
            "y": [result.value(y) for result in some],
            "text": [f"<b>trial {result.number}</b><br>{result.label}" for result in some],
            "customdata": [result.number for result in some],
            "marker": {"color": colour, "size": size},
            "hovertemplate": "%{text}<br>%{x:.4g} ms, %{y:.4g} ms<extra></extra>",
        }
        for some, colour, size in ((others, "var(--dot)", 6), (front, "var(--front)", 8))
    ]
    return {"data": [one for one in dots if one["x"]], "layout": {**axes, "showlegend": False}}


def device_seconds(data: ReportData) -> list[float]:
    """Return the seconds that devices were busy up to the end of each trial; none if untimed."""
    if not data.timed:
        return []
    spent = [result.timings_s.get("latency", 0.0) for result in data.results]
    return [*itertools.accumulate(spent)] if any(spent) else []


def device_seconds_chart(data: ReportData, seconds: Sequence[float]) -> Chart:
    """Draw the hypervolume by the seconds that devices were busy; `seconds` up to each trial."""
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [0.0, *seconds],
        "y": [0.0, *data.history],
        "line": {"shape": "hv", "color": "var(--front)", "width": 2},
        "text": ["", *(f"trial {result.number}" for result in data.results)],
        "hovertemplate": "%{text}<br>%{x:.4g} s, %{y:.3f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "seconds of devices"}, "range": [0, 1.02 * seconds[-1]]},
        "yaxis": {"title": {"text": "hypervolume"}, "rangemode": "tozero", "zeroline": False},
        "showlegend": False,
    }
    return {"data": [line], "layout": layout}


def said_of(pair: DevicePair, data: ReportData) -> str:
    """Say in a sentence how far two devices agree."""
    low, high = (50 * (1 + tau) for tau in pair.agreement.interval)
    return (
        f"Of 100 pairs of networks, {pair.same_order_percent:.0f} are in the same order on "
        f"{data.device(pair.first)} and {data.device(pair.second)} (95 %: {low:.0f} to {high:.0f}, "
        f"{pair.agreement.count} networks)."
    )


def _latency(device: str) -> str:
    return f"latency_ms[{device}]"
