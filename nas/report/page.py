"""Renders a report's values as words, tables and one HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.data.image_quality import UInt8Image
from nas.report.budget import budget_rows, choice_values
from nas.report.busy import busy_words, source_said
from nas.report.charts import front_chart, history_chart
from nas.report.compression import compression_chart, network_of, qualities_of
from nas.report.crops import CropComparison
from nas.report.device_charts import DeviceView, device_view
from nas.report.effect_chart import effect_chart
from nas.report.effects import LEAST_SHARE, Effect, telling
from nas.report.evidence import Evidence, held, ribbon
from nas.report.labels import label_in_words
from nas.report.numbers import number
from nas.report.offline import ICON, chart_scripts, policy
from nas.report.picks import Pick
from nas.report.report_data import ReportData, latency_metrics
from nas.report.run_conditions import reference_in_words, run_conditions
from nas.report.slow_page import slow_models
from nas.report.slowness import Slowness
from nas.report.supernet import supernet_chart
from nas.report.templates import environment
from nas.report.titles import unit
from nas.report.trial_table import trial_table
from nas.storage.run_folder import LearnedFrom
from nas.study.metric import Metric
from nas.study.objectives import WORST_RATIO
from nas.study.trial_result import STOPPED, TrialResult

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Findings:
    """What was found out of single models, beside what `ReportData` holds.

    `overlays` are the names of the files beside the page that lay the times of operations over a
    model's graph.
    """

    slow: Sequence[Slowness] = ()
    evidence: Sequence[Evidence] = ()
    overlays: Sequence[str] = ()


def report_html(
    data: ReportData,
    comparisons: Sequence[CropComparison] = (),
    no_pictures: str = "",
    found: Findings | None = None,
) -> str:
    """Render the whole page as one HTML text that needs no network.

    `no_pictures` says why there are no comparisons, where there are none. `found` is what was
    found out of single models.
    """
    from markupsafe import Markup

    found = found or Findings()
    css = "".join((HERE / name).read_text() for name in ("report.css", "models.css"))
    slow = slow_models(found.slow, data)
    effects = _effects(data)
    devices = device_view(data)
    return environment().get_template("report.html.j2").render(
        data=data,
        css=Markup(css),
        icon=ICON,
        policy=policy(),
        scripts=_scripts(data, comparisons, found, devices) if data.results else "",
        contents=_contents(data, comparisons, found, slow, effects, devices),
        devices=devices,
        slow=slow,
        overlays=found.overlays,
        evidence=[(one, ribbon(one)) for one in found.evidence],
        **_columns(data),
        mute_effects=len(data.effects) - sum(map(len, effects.values())),
        least_share=f"{100 * LEAST_SHARE:.0f}",
        first_shown=_first_shown(data, comparisons),
        facts=_facts(data),
        stats=_stats(data),
        picks=[_card(pick, data) for pick in data.picks],
        front_rows=[_front_row(result, data) for result in data.front],
        source_of=lambda metric: data.named(source_of(metric)),
        named=data.named,
        effects=effects,
        compressions=_compressions(data),
        title=data.title,
        unit=unit,
        device=data.device,
        budgets=budget_rows(data),
        pictures=[_picture(comparison, data.degraded) for comparison in comparisons],
        versions=[version.trial for version in comparisons[0].restored] if comparisons else [],
        no_pictures=no_pictures,
        reference=reference_in_words(data),
        definitions=data.definitions,
        conditions=run_conditions(data),
    )  # fmt: skip


def _columns(data: ReportData) -> dict[str, bool]:
    """Tell which columns of the front's table would not be empty."""
    names = {
        "has_psnr": "psnr_db",
        "has_ratio": WORST_RATIO,
        "has_ssim": "ssim",
        "has_macs": "gmacs_conv",
        "has_parameters": "parameters",
    }
    return {
        key: any(name in member.metrics for member in data.front) for key, name in names.items()
    }


def _contents(
    data: ReportData,
    comparisons: Sequence[CropComparison],
    found: Findings,
    slow: Sequence[Any],
    effects: Mapping[str, Any],
    devices: DeviceView,
) -> list[tuple[str, str]]:
    """Return the line of contents: each section's name and a word for it."""
    some = bool(data.results)
    places = (
        ("pictures", "Pictures", bool(comparisons)),
        ("slow", "Why slow", bool(slow or data.fallen or data.refusals)),
        ("best", "Best", bool(data.picks)),
        ("front", "Front", some),
        ("budget", "Budget", some and bool(budget_rows(data))),
        ("evidence", "Evidence", bool(found.evidence)),
        ("history", "Search", bool(data.front)),
        ("devices", "Devices", bool(devices.pairs)),
        ("effects", "Choices", bool(effects)),
        ("compression", "Pruning", pruned(data)),
        ("ends", "Failures", some),
        ("trials", "All trials", some),
        ("conditions", "Conditions", True),
    )
    return [(name, text) for name, text, there in places if there]


def _first_shown(data: ReportData, comparisons: Sequence[CropComparison]) -> int | None:
    """Return the trial whose pictures are shown first: the first card's, where it has any."""
    if not comparisons:
        return None
    trials = [version.trial for version in comparisons[0].restored]
    first = data.picks[0].result.number if data.picks else trials[0]
    return first if first in trials else trials[0]


def source_of(metric: Metric) -> str:
    """Say where a figure comes from, for a tooltip."""
    return source_said(metric, metric.source, metric.definition, metric.conditions)


def _scripts(
    data: ReportData,
    comparisons: Sequence[CropComparison],
    found: Findings,
    devices: DeviceView,
) -> Any:
    payload = {
        "charts": {**_charts(data), **devices.charts},
        "table": trial_table(data),
        "raw": held(found.evidence),
        "choice": {
            **choice_values(data),
            "labels": {member.number: member.label for member in data.front},
            "words": {member.number: _words(member, data) for member in data.front},
            "files": {m.number: f"../{m.artifact}" for m in data.front if m.artifact},
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
    for metric in qualities_of(data.compressions) if pruned(data) else ():
        name = f"compression-{metric}"
        charts[name] = compression_chart(data.compressions, metric, members)
    for name, effect in _named(telling(data.effects)):
        charts[name] = effect_chart(effect, members)
    return {name: chart for name, chart in charts.items() if chart["data"]}


def _named(effects: Sequence[Effect]) -> list[tuple[str, Effect]]:
    """Return effects with their charts' names."""
    return [(f"effect{index}", effect) for index, effect in enumerate(effects)]


def _effects(data: ReportData) -> dict[str, list[tuple[str, Effect]]]:
    """Return the effects that say something on each objective, with their charts' names."""
    said = _named(telling(data.effects))
    by_objective = {o.metric: [p for p in said if p[1].metric == o.metric] for o in data.objectives}
    return {metric: effects for metric, effects in by_objective.items() if effects}


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
        *([("Looked at before a training", str(data.looks))] if data.looks else []),
        *([("Learned from", _learned(data, data.learned_from))] if data.learned_from else []),
        *([("Ended early", f"Converged: {data.ended}")] if data.ended else []),
        ("Timed on" if data.trained or data.timed else "Modelled for", _devices(data)),
        ("Machine", str(data.description.get("conditions", {}).get("processor", "unknown"))),
        ("Started", str(data.description.get("created", "unknown")).replace("T", " ")[:16]),
    ]


def _learned(data: ReportData, learned: LearnedFrom) -> str:
    """Say which earlier run the sampler learned from, and how far this one's figures follow it.

    Each objective has its weight by the earlier run's same figure, or else by the strongest one.
    """
    said = []
    for metric, weights in learned.weights.items():
        by = metric if metric in weights else max(weights, key=lambda name: abs(weights[name]))
        source = "" if by == metric else f" (by {data.title(by)})"
        said.append(f"{data.title(metric)} {weights[by]:.2f}{source}")
    if not said:
        return f"{learned}. How far this run follows them is told once it has ended"
    weight = "Weight of what they let expect (1: in full, 0: none, below 0: the opposite)"
    return f"{learned}. {weight}: {', '.join(said)}"


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
    if data.input_psnr_db is not None and quality == "psnr_db":
        best = max(data.front, key=lambda result: result.value(quality))
        gain = best.value(quality) - data.input_psnr_db
        over = f"best over the {data.degraded} pictures"
        stats.append((f"{gain:+.2f} dB", over, _dB(best, quality)))
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
        parts.append(f"{number(metric.value)} ms on {data.device(device)}{busy_words(metric)}")
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
        "words": label_in_words(result.candidate),
        "alike": _as_sharp_as_the_best(result, data),
        "latencies": [(index, timed.get(device)) for index, device in enumerate(data.devices)],
        "sources": ", ".join(dict.fromkeys(metric.source for metric in timed.values())),
    }


def _as_sharp_as_the_best(result: TrialResult, data: ReportData) -> bool:
    """Tell whether noise can't tell a model of the front from the sharpest one."""
    if data.certainty is None or "psnr_db" not in result.metrics:
        return False
    best = max(m.value("psnr_db") for m in data.front if "psnr_db" in m.metrics)
    return 0 < best - result.value("psnr_db") <= data.certainty.noise.resolved_db


def pruned(data: ReportData) -> bool:
    """Tell whether anything was pruned, or one network was compressed in several ways."""
    rows = data.compressions
    networks = {network_of(trial) for row in rows for trial in row.trials}
    return bool(rows) and (len(networks) == 1 or any(row.pruned_share for row in rows))


def _compressions(data: ReportData) -> dict[str, Any]:
    """Return the table of pruned shares and precisions: devices, rows, and what its rows share."""
    rows = data.compressions if pruned(data) else ()
    devices = list(dict.fromkeys(name for row in rows for name in latency_metrics(row.best)))
    return {
        "devices": devices,
        "rows": [
            (row, [latency_metrics(row.best).get(device) for device in devices]) for row in rows
        ],
        "qualities": qualities_of(rows),
        "drops": any(row.drop_db is not None for row in rows),
        "sizes": any("bytes" in row.best.metrics for row in rows),
        "one_network": len({network_of(t) for row in rows for t in row.trials}) == 1,
    }


def _picture(comparison: CropComparison, degraded: str) -> dict[str, Any]:
    layers = [("blurred", degraded, f"{comparison.blurred_psnr_db:.2f} dB", comparison.blurred)]
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
