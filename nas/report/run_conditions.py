"""Lists what a run was made with, for the report's last part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nas.devices.names import DeviceName
from nas.report.numbers import number
from nas.report.report_data import ReportData
from nas.report.titles import unit


def reference_in_words(data: ReportData) -> list[tuple[str, str, str]]:
    """Return the hypervolume's corner: each objective's name, its value there, and why."""
    if data.reference is None:
        return []
    rows = zip(data.objectives, data.reference.values, data.reference.reasons, strict=True)
    return [
        (data.title(o.metric), f"{number(v, 4)} {unit(o.metric)}", reason) for o, v, reason in rows
    ]


def run_conditions(data: ReportData) -> dict[str, list[tuple[str, str]]]:
    """Return what the run was made with, by subject."""
    study = data.study
    made_with = data.description.get("conditions", {})
    protocols = [e["protocol"] for e in study.get("evaluators", []) if "protocol" in e]
    search = {name: study[name] for name in ("sampler", "seed", "startup_trials") if name in study}
    aims = [f"{data.title(o.metric)} ({o.direction})" for o in data.objectives]
    search["objectives"] = ", ".join(aims)
    search["constraints"] = data.named(", ".join(study.get("constraints", []))) or "none"
    return {
        "Data": _pairs({k: v for k, v in study["data"].items() if k != "identity"}),
        "Search": _pairs(search),
        "Training": _pairs(study.get("schedule", {})),
        "Timing": [pair for protocol in protocols for pair in _pairs(protocol)],
        **{f"Device {name.name}": _pairs(_about_device(name)) for name in data.names.values()},
        "Machine": _pairs({"processor": made_with.get("processor", "unknown")}),
        "Versions": _pairs(made_with.get("versions", {})),
    }


def _about_device(name: DeviceName) -> dict[str, str]:
    """Return what is known of a phone, for the page's last part; nothing of other devices."""
    if not name.serial:
        return {}
    facts = {
        "chip": name.processor,
        "Android": name.android,
        "serial": name.serial,
        "options": name.options,
        "benchmark tool, SHA-256": name.tool_sha256,
        "in files": name.device,
    }
    return {key: value for key, value in facts.items() if value}


def _pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _plain(value)) for name, value in values.items()]


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict | list):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
