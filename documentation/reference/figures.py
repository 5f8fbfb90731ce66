"""The page of figures, from the evaluators that give them."""

from __future__ import annotations

from typing import Any

from documentation.reference.text import docstring, table

DEVICES = ("host", "adb:SERIAL", "npu:CHIP", "paper:PHONE")
INTRODUCTION = """\
# Figures

A figure is a number with a name, a unit, a source and, where it has one, an interval. `objectives` and
`constraints` of a study name figures; so do the options `--constraint` and `--under`. Figures of a
device have it in brackets: `latency_ms[host]`, `latency_ms[adb:R58M12ABCDE]`. This page is made from
the evaluators.
"""
METRIC_IDS = """\
## Metric IDs

A PSNR or an SSIM depends on how it is taken: two programs that disagree by 0.3 dB may both be right. So
every figure of quality carries the name of its recipe.

| ID | recipe |
|---|---|
| `{psnr}` | RGB; clipped and **rounded** to 8 bits, then in 64-bit floats; no border cropped; 10 log10(255² / mean square error) of each picture; the mean over pictures |
| `{ssim}` | RGB rounded to 8 bits; an 11x11 Gaussian window of sigma 1.5, where it fits wholly; K1 = 0.01, K2 = 0.03; of each channel, then the mean |
| `conv` | MACs of convolutions alone |
| `profiler` | MACs as TensorFlow's profiler counts them: half of its floating-point operations |
"""


def figures() -> dict[str, tuple[str, str]]:
    """Return every figure that an evaluator gives: the evaluator, and the devices it is given for."""
    found: dict[str, tuple[str, list[str]]] = {}
    for evaluator in evaluators():
        for device in DEVICES:
            for metric in _metrics(evaluator, device):
                base, _, of = metric.partition("[")
                kinds = found.setdefault(base, (type(evaluator).__name__, []))[1]
                if of and device not in kinds:
                    kinds.append(device)
    return {name: (by, ", ".join(kinds)) for name, (by, kinds) in found.items()}


def _metrics(evaluator: Any, device: str) -> tuple[str, ...]:
    from nas.errors import ConfigError

    try:
        names: tuple[str, ...] = evaluator.metrics((device,))
    except ConfigError:  # it is not for this kind of device
        return ()
    return names


def evaluators() -> list[Any]:
    """Return one of each evaluator that a study of the project uses."""
    from studies import STUDIES

    used = [evaluator for study in STUDIES.values() for evaluator in study.evaluators]
    return list({type(evaluator): evaluator for evaluator in used}.values())


def page() -> str:
    """Return the page's Markdown."""
    from nas.data.image_quality import PSNR_ID, SSIM_ID
    from nas.report.titles import TITLES, unit
    from nas.study.metric import Metric
    from nas.study.objectives import Objective

    rows = []
    for name, (by, devices) in figures().items():
        objective = Objective.of(name)
        better = "more" if objective.direction == "maximize" else "less"
        scale = "as logarithm" if objective.is_logarithmic else ""
        at = ", ".join(f"`{device}`" for device in devices.split(", ") if device)
        rows.append((f"`{name}`", TITLES.get(name, name), unit(name), better, scale, at, f"`{by}`"))
    headings = ("Name", "What", "Unit", "Better", "Compared", "Of devices", "Evaluator")
    parts = [
        INTRODUCTION,
        table(headings, rows),
        "*Compared as logarithm*: halving it counts the same at 10 ms and at 1000 ms.",
        METRIC_IDS.format(psnr=PSNR_ID, ssim=SSIM_ID),
        f"## What a figure holds\n\n{docstring(Metric)}",
    ]
    return "\n\n".join(parts) + "\n"
