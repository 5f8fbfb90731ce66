"""Holds people's names for metrics, and the units that they are in."""

from __future__ import annotations

from collections.abc import Callable

from nas.devices.npu.chips import FIGURES as NPU_FIGURES
from nas.report.busy import busy_mark
from nas.report.numbers import short_number
from nas.study.metric import Metric

UNITS = {
    "psnr_db": "dB",
    "psnr_db_gain": "dB",
    "fidelity_db": "dB",
    "latency_ms": "ms",
    "init_ms": "ms",
    "peak_memory_mb": "MB",
    "gmacs_conv": "GMAC",
    "gmacs_profiler": "GMAC",
    "bytes": "B",
    **dict.fromkeys(NPU_FIGURES, "MB"),
}
TITLES = {
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "psnr_db_gain": "PSNR gained in part of the training",
    "ssim_gain": "SSIM gained in part of the training",
    "psnr_db_input": "PSNR of the pictures before restoration",
    "latency_ms": "Latency",
    "init_ms": "Loading",
    "peak_memory_mb": "Peak memory",
    "gmacs_conv": "MACs (convolutions)",
    "gmacs_profiler": "MACs (profiler)",
    "worst_latency_ratio": "Worst latency over the reference's",
    "macs_ratio": "MACs over the paper's final network's",
    "accelerated_mac_share": "Accelerated share of the MACs",
    "fidelity_db": "Fidelity",
    "parameters": "Parameters",
    "bytes": "Size",
    "ddr_read_mb": "Read from DDR",
    "ddr_write_mb": "Written to DDR",
    "spill_mb": "Spilled to DDR",
    "fill_mb": "Filled from DDR",
    "context_mb": "Compiled size",
}


def title(metric: str, name_of: Callable[[str], str] = str) -> str:
    """Return a metric's name for people: `latency_ms[host]` is "Latency on host".

    `name_of` gives a device's name for people.
    """
    base, _, device = metric.partition("[")
    name = TITLES.get(base, base)
    at = ":" if base.endswith("_gain") else " on"
    return f"{name}{at} {name_of(device.rstrip(']'))}" if device else name


def brief_title(metric: str, name_of: Callable[[str], str] = str) -> str:
    """Return a metric's name as the head of a narrow column: "ms host", "PSNR dB".

    `name_of` gives a device's name for people.
    """
    base, _, device = metric.partition("[")
    if device and base == "latency_ms":
        return f"ms {name_of(device.rstrip(']'))}"
    brief = {"psnr_db": "PSNR dB", "worst_latency_ratio": "worst ratio", "gmacs_conv": "GMAC"}
    plain = f"{title(metric, name_of)} {unit(metric)}".rstrip()
    return brief.get(base, {"ssim": "SSIM", "parameters": "parameters"}.get(base, plain))


def brief_figure(metric: str, value: float) -> str:
    """Write a figure for a column of a table, without its unit."""
    forms = {"psnr_db": ".2f", "ssim": ".3f", "parameters": ",.0f"}
    form = forms.get(metric)
    return short_number(value) if form is None else format(value, form)


def marked_figure(metric: str, figure: Metric | None) -> str:
    """Write a figure as `brief_figure` does, "!" behind it where it was taken beside other work.

    "-" stands for one that is not there.
    """
    if figure is None:
        return "-"
    return f"{brief_figure(metric, figure.value)}{busy_mark(figure)}"


def unit(metric: str) -> str:
    """Return a metric's unit, empty where it has none."""
    return UNITS.get(metric.split("[")[0], "")
