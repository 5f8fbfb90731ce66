"""Gathers what stands behind a latency: launches, heat, battery, drift, the tool, the raw file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.errors import NasError
from nas.report.report_data import ReportData, latency_metrics
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.trial_result import TrialResult
from nas.system.files import read_json

UNSTEADY = 0.1  # of the latency, between launches
HELD_BYTES = 600_000  # of raw files in the page itself; the others are beside it


@dataclass(frozen=True)
class Evidence:
    """What stands behind one latency.

    `place` is the device's among the run's. `launches_ms` are the medians of the launches, `facts`
    what else is known, by name. `warnings` are reasons to doubt it. `raw` is the kept measurement,
    `file` its path below the run's folder; both are empty where it is gone.
    """

    trial: int
    place: int
    device: str
    metric: Metric
    launches_ms: tuple[float, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    file: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The row's name in an address."""
        return f"evidence-{self.trial}-{self.place}"


def evidence_of(run: RunFolder, data: ReportData, models: Sequence[TrialResult]) -> list[Evidence]:
    """Return the evidence of each latency of `models`, in their order and the devices'.

    Nothing where no measurement was kept, as in a run whose latencies are all modelled.
    """
    rows = []
    for model in models:
        timed = latency_metrics(model)
        for place, device in enumerate((*data.devices, *data.optional_devices)):
            if device in timed:
                rows.append(_evidence(run, model, place, device, timed[device]))
    return rows if any(row.file for row in rows) else []


def _evidence(
    run: RunFolder, model: TrialResult, place: int, device: str, metric: Metric
) -> Evidence:
    note = model.conditions.get("devices", {}).get(device) or {}
    file = f"measurements/{note.get('measurement')}.json"
    try:
        raw = read_json(run.path / file)
        launches = tuple(_median(launch) for launch in raw["samples_ms"])
        facts, warnings = _facts(raw), _warnings(raw, launches)
    except (NasError, KeyError, TypeError, AttributeError, IndexError):
        return Evidence(model.number, place, device, metric)
    ran = raw["source"] in ("measured", "synthetic")
    return Evidence(
        model.number, place, device, metric, launches if ran else (), facts, warnings, file, raw
    )


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _facts(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return what was recorded, each in a few words."""
    conditions: Mapping[str, Any] = raw["conditions"]
    before, after = conditions.get("before") or {}, conditions.get("after") or {}
    facts = {}
    count = raw.get("count")
    if count:
        launches = len(raw["samples_ms"])
        facts["launches"] = f"{launches} of {count} inferences in all"
    further = (
        ("heat", _change(_hottest(before), _hottest(after), "°C")),
        ("battery", _change(before.get("battery_percent"), after.get("battery_percent"), "%")),
        ("drift", _drift(conditions)),
        ("load", _change(_load(before), _load(after), "")),
        ("others' work", _others(conditions)),
        ("tool", (conditions.get("tool") or {}).get("sha256", "")[:12]),
        ("said by", conditions.get("about") or ""),
        ("caution", conditions.get("caution") or ""),
    )
    return facts | {name: text for name, text in further if text}


def _change(before: float | None, after: float | None, unit: str) -> str:
    if before is None or after is None:
        return ""
    space = "" if unit in ("", "%") else " "
    if before == after:
        return f"{before:g}{space}{unit}"
    return f"{before:g} → {after:g}{space}{unit}"


def _hottest(moment: Mapping[str, Any]) -> float | None:
    temperatures: Mapping[str, float] = moment.get("temperatures") or {}
    return max(temperatures.values(), default=None)


def _load(moment: Mapping[str, Any]) -> float | None:
    load: float | list[float] | None = moment.get("load", moment.get("load_average"))
    return load[0] if isinstance(load, list) else load


def _drift(conditions: Mapping[str, Any]) -> str:
    drift = conditions.get("drift")
    if drift is None or not conditions.get("reference_ms"):
        return ""
    return f"{100 * drift:.1f} % in the control model"


def _others(conditions: Mapping[str, Any]) -> str:
    cores = conditions.get("others_busy_cores")
    return "" if cores is None else f"{cores:.1f} of {conditions.get('cores', '?')} cores"


def _warnings(raw: Mapping[str, Any], launches: Sequence[float]) -> tuple[str, ...]:
    """Return reasons to doubt the figure, and what was thrown away on the way to it."""
    conditions: Mapping[str, Any] = raw["conditions"]
    warnings = []
    if conditions.get("steady") is False:
        warnings.append("never steady")
    elif len(launches) > 1 and max(launches) - min(launches) > UNSTEADY * raw["latency_ms"]:
        warnings.append("launches differ")
    if conditions.get("disturbed"):
        warnings.append(str(conditions["disturbed"]))
    blocks = conditions.get("blocks") or 1
    if blocks > 1:
        warnings.append(f"{blocks - 1} discarded before it")
    repeated = (conditions.get("pace") or {}).get("repeated_launches")
    if repeated:
        warnings.append(f"{repeated} launched again: the processor was slow")
    return tuple(warnings)


def ribbon(evidence: Evidence, width: int = 132, height: int = 18) -> list[tuple[float, float]]:
    """Return a place (x, y) for each launch on a strip: x is its latency, from the strip's ends.

    The strip spans the launches, and a tenth of the latency at least, so that a steady measurement
    looks steady.
    """
    launches = evidence.launches_ms
    if not launches:
        return []
    low, high = min(launches), max(launches)
    missing = max(0.0, UNSTEADY * evidence.metric.value - (high - low)) / 2
    low, high = low - missing, high + missing
    span = (high - low) or 1.0
    inner = width - 2 * 6
    return [
        (round(6 + inner * (ms - low) / span, 1), height / 2 + (index % 3 - 1) * 3.5)
        for index, ms in enumerate(launches)
    ]


def held(rows: Sequence[Evidence], most: int = HELD_BYTES) -> dict[str, Any]:
    """Return the raw files, by path, that the page holds itself: as many as `most` bytes take."""
    import json

    files: dict[str, Any] = {}
    size = 0
    for row in rows:
        if not row.file or row.file in files:
            continue
        size += len(json.dumps(row.raw))
        if size > most:
            break
        files[row.file] = row.raw
    return files
