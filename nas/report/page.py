"""Renders a report's values as words, tables and one HTML file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.data.image_quality import UInt8Image
from nas.devices.names import DeviceName
from nas.report.budget import budget_rows, choice_values
from nas.report.charts import front_chart, history_chart
from nas.report.compression import compression_chart, network_of
from nas.report.crops import CropComparison
from nas.report.effect_chart import effect_chart
from nas.report.effects import Effect, parameters_of
from nas.report.numbers import duration
from nas.report.offline import chart_scripts, policy
from nas.report.picks import Pick
from nas.report.report_data import ReportData, latency_metrics
from nas.report.supernet import supernet_chart
from nas.report.titles import unit
from nas.study.halving import RUNG_NAMES, readings_of
from nas.study.metric import Metric
from nas.study.objectives import WORST_RATIO
from nas.study.trial_result import STOPPED, TrialResult

SHORT = {"gmacs_conv": "MACs, conv"}
HERE = Path(__file__).parent


def report_html(
    data: ReportData, comparisons: Sequence[CropComparison] = (), no_pictures: str = ""
) -> str:
    """Render the whole page as one HTML text that needs no network.

    `no_pictures` says why there are no comparisons, where there are none.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["count"] = count
    environment.filters["duration"] = duration
    return environment.get_template("report.html.j2").render(
        data=data,
        css=Markup((HERE / "report.css").read_text()),
        policy=policy(),
        scripts=_scripts(data, comparisons) if data.results else "",
        facts=_facts(data),
        stats=_stats(data),
        picks=[_card(pick, data) for pick in data.picks],
        front_rows=[_front_row(result, data) for result in data.front],
        source_of=lambda metric: data.named(source_of(metric)),
        named=data.named,
        effects=_effects(data),
        compressions=_compressions(data),
        title=data.title,
        unit=unit,
        device=data.device,
        budgets=budget_rows(data),
        pictures=[_picture(comparison) for comparison in comparisons],
        versions=[version.trial for version in comparisons[0].restored] if comparisons else [],
        no_pictures=no_pictures,
        reference=_reference(data),
        definitions=data.definitions,
        conditions=_conditions(data),
    )  # fmt: skip


def number(value: float, digits: int = 3) -> str:
    """Write a number of `digits` significant digits, with a thin space between thousands."""
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.1e}"


def count(amount: int, noun: str) -> str:
    """Write `amount` and the noun, in the plural where it should be."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def source_of(metric: Metric) -> str:
    """Say where a figure comes from, for a tooltip."""
    busy = f"taken on a busy processor: {metric.disturbed}" if metric.disturbed else None
    parts = [metric.source, metric.definition, metric.conditions, busy]
    return ", ".join(part for part in parts if part)


def _scripts(data: ReportData, comparisons: Sequence[CropComparison]) -> Any:
    payload = {
        "charts": _charts(data),
        "table": _table(data),
        "choice": {
            **choice_values(data),
            "labels": {member.number: member.label for member in data.front},
            "words": {member.number: _words(member, data) for member in data.front},
            "pictured": [version.trial for version in comparisons[0].restored]
            if comparisons
            else [],
        },
    }
    code = ((HERE / name).read_text() for name in ("budget.js", "report.js"))
    return chart_scripts(payload, *code)


def _charts(data: ReportData) -> dict[str, Any]:
    if not data.results:
        return {}
    charts = {f"front{index}": front_chart(data, cost) for index, cost in enumerate(data.costs)}
    members = [result.number for result in data.front]
    charts["history"] = history_chart(data)
    charts["supernet"] = supernet_chart(data.ranking)
    for metric in ("psnr_db", "ssim"):
        name = f"compression-{metric}"
        charts[name] = compression_chart(data.compressions, metric, members)
    for index, effect in enumerate(data.effects):
        charts[f"effect{index}"] = effect_chart(effect, members)
    return {name: chart for name, chart in charts.items() if chart["data"]}


def _effects(data: ReportData) -> dict[str, list[tuple[str, Effect]]]:
    """Return the effects on each objective, with their charts' names."""
    named = [(f"effect{index}", effect) for index, effect in enumerate(data.effects)]
    return {
        o.metric: [pair for pair in named if pair[1].metric == o.metric] for o in data.objectives
    }


def _facts(data: ReportData) -> list[tuple[str, str]]:
    study = data.study
    width, height = study["size"]
    pictures = [
        ("Data", f"{study['data']['spec']} ({study['data']['split']})"),
        ("Task", str(study["data"]["task"])),
    ]
    return [
        *(pictures if data.trained else [("Data", "none: nothing was trained")]),
        ("Deployed at", f"{width} × {height}"),
        ("Timed on" if data.trained else "Modelled for", _devices(data)),
        ("Machine", str(data.description.get("conditions", {}).get("processor", "unknown"))),
        ("Started", str(data.description.get("created", "unknown")).replace("T", " ")[:16]),
    ]


def _devices(data: ReportData) -> str:
    """Name the devices in full, the optional ones marked as such."""
    names = [data.names[device].full for device in data.devices]
    names += [f"{data.names[device].full}, where it could be" for device in data.optional_devices]
    return "; ".join(names)


def _stats(data: ReportData) -> list[tuple[str, str, str]]:
    """Return the strip of large figures: value, what it is, what to add."""
    states = data.states
    others = ("infeasible", "failed", STOPPED)
    words: dict[str, str] = {STOPPED: "stopped early"}
    ended = ", ".join(f"{states[s]} {words.get(s, s)}" for s in others if states[s])
    stats = [(str(states["complete"]), "trials complete", ended or "none failed")]
    if not data.front:
        return stats
    stats.append((str(len(data.front)), "on the Pareto front", "no other is better in everything"))
    quality = data.quality.metric
    best = max(data.front, key=lambda result: result.value(quality))
    if data.input_psnr_db is not None and quality == "psnr_db":
        gain = best.value(quality) - data.input_psnr_db
        stats.append((f"{gain:+.2f} dB", "best over the blurred pictures", _dB(best, quality)))
    for cost in data.costs[:1]:
        fast = min(data.front, key=lambda result: result.value(cost.metric))
        text = f"{number(fast.value(cost.metric))} {unit(cost.metric)}"
        what = f"fastest of the front, {_device(cost.metric, data)}"
        if cost.metric == WORST_RATIO:
            what = "of the reference's latency, at worst, for the most portable"
        stats.append((text, what, f"trial {fast.number}"))
    return stats


def _dB(result: TrialResult, metric: str) -> str:  # noqa: N802
    return f"{result.value(metric):.2f} {unit(metric)}, trial {result.number}"


def _device(metric: str, data: ReportData) -> str:
    device = metric.partition("[")[2].rstrip("]")
    return data.device(device) if device else data.title(metric)


def _words(result: TrialResult, data: ReportData) -> str:
    """Describe a trade-off in half a sentence."""
    parts = []
    if "psnr_db" in result.metrics:
        gain = ""
        if data.input_psnr_db is not None:
            gain = f" ({result.value('psnr_db') - data.input_psnr_db:+.2f} dB)"
        parts.append(f"{result.value('psnr_db'):.2f} dB{gain}")
    for device, metric in latency_metrics(result).items():
        busy = " (busy processor)" if metric.disturbed else ""
        parts.append(f"{number(metric.value)} ms on {data.device(device)}{busy}")
    if "gmacs_conv" in result.metrics:
        parts.append(f"{number(result.value('gmacs_conv'))} GMAC")
    if "parameters" in result.metrics:
        parts.append(f"{number(result.value('parameters'))} parameters")
    return ", ".join(parts)


def _card(pick: Pick, data: ReportData) -> dict[str, Any]:
    """Return a card's texts; `sharper` says which model is not better for certain, and slower."""
    sharper = ""
    if pick.sharper is not None:
        quality = data.quality.metric
        more = pick.sharper.value(quality) - pick.result.value(quality)
        sharper = (
            f"Trial {pick.sharper.number} is slower and {more:.2f} dB better, which noise explains."
        )
    return {"pick": pick, "words": _words(pick.result, data), "sharper": sharper}


def _front_row(result: TrialResult, data: ReportData) -> dict[str, Any]:
    timed = latency_metrics(result)
    return {
        "result": result,
        "precision": parameters_of(result).get("precision", ""),
        "latencies": [timed.get(device) for device in data.devices],
    }


def _compressions(data: ReportData) -> dict[str, Any]:
    """Return the table of pruned shares and precisions: devices, rows, and what its rows share."""
    rows = data.compressions
    devices = list(dict.fromkeys(name for row in rows for name in latency_metrics(row.best)))
    return {
        "devices": devices,
        "rows": [
            (row, [latency_metrics(row.best).get(device) for device in devices]) for row in rows
        ],
        "drops": any(row.drop_db is not None for row in rows),
        "sizes": any("bytes" in row.best.metrics for row in rows),
        "one_network": len({network_of(t) for row in rows for t in row.trials}) == 1,
    }


def _picture(comparison: CropComparison) -> dict[str, Any]:
    layers = [("blurred", "blurred", f"{comparison.blurred_psnr_db:.2f} dB", comparison.blurred)]
    layers += [
        (f"t{version.trial}", f"trial {version.trial}", f"{version.psnr_db:.2f} dB", version.crop)
        for version in comparison.restored
    ]
    layers.append(("sharp", "sharp", "", comparison.sharp))
    height, width = comparison.sharp.shape[:2]
    return {
        "name": comparison.name,
        "height": height,
        "width": width,
        "layers": [(key, name, quality, webp(image)) for key, name, quality, image in layers],
    }


def webp(image: UInt8Image) -> str:
    """Return a picture, without loss, as a data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _reference(data: ReportData) -> list[tuple[str, str, str]]:
    if data.reference is None:
        return []
    rows = zip(data.objectives, data.reference.values, data.reference.reasons, strict=True)
    return [
        (data.title(o.metric), f"{number(v, 4)} {unit(o.metric)}", reason) for o, v, reason in rows
    ]


def _conditions(data: ReportData) -> dict[str, list[tuple[str, str]]]:
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


def _table(data: ReportData) -> dict[str, Any]:
    """Return all trials as columns and rows; hidden columns are in the files to download only."""
    parameters = list(dict.fromkeys(n for r in data.results for n in parameters_of(r)))
    metrics = list(dict.fromkeys(n for r in data.results for n in r.metrics))
    first = ["psnr_db", "ssim", *(f"latency_ms[{d}]" for d in data.devices), "gmacs_conv"]
    first = [name for name in (*first, "parameters") if name in metrics]
    rest = [name for name in metrics if name not in first]
    columns = [
        {"name": "trial", "title": "Trial"},
        {"name": "label", "title": "Candidate"},
        {"name": "state", "title": "State"},
        *(_figure_column(name, data) for name in first),
        {"name": "note", "title": "Note"},
        *({"name": n, "hidden": True} for n in ("key", "baseline", "on_front", *rest)),
        *({"name": f"{n}.source", "hidden": True} for n in metrics),
        *({"name": f"parameter.{n}", "hidden": True} for n in parameters),
    ]  # fmt: skip
    front = {result.number for result in data.front}
    rows = [
        _table_row(data, r, (first, rest, metrics, parameters), r.number in front)
        for r in data.results
    ]
    return {"columns": columns, "rows": rows, "name": data.name}  # fmt: skip


def _figure_column(name: str, data: ReportData) -> dict[str, Any]:
    heading = SHORT.get(name, data.title(name))
    return {"name": name, "title": heading, "unit": unit(name), "digits": _digits(name)}


def _table_row(
    data: ReportData, result: TrialResult, names: tuple[list[str], ...], on_front: bool
) -> list[Any]:
    first, rest, metrics, parameters = names
    chosen = parameters_of(result)

    def value(name: str) -> float | None:
        return result.value(name) if name in result.metrics else None

    sources = [result.metrics[n].source if n in result.metrics else None for n in metrics]
    return [
        result.number,
        result.label,
        "front" if on_front else result.state,
        *(value(name) for name in first),
        data.named(_note(result)),
        result.key,
        result.baseline,
        on_front,
        *(value(name) for name in rest),
        *sources,
        *(chosen.get(name) for name in parameters),
    ]


def _note(result: TrialResult) -> str:
    if result.failure is not None:
        return f"{result.failure.kind}: {result.failure.message}"
    if result.state == STOPPED:
        return f"stopped at {RUNG_NAMES[len(readings_of(result)) - 1]} of the training"
    broken = [name for name, amount in result.violations.items() if amount > 0]
    return ("breaks " + ", ".join(broken)) if broken else ("baseline" if result.baseline else "")


def _digits(metric: str) -> int:
    return {"psnr_db": 2, "ssim": 4}.get(metric, -1)
