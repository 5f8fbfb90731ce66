"""Logs of the tools: real ones, and ones made by hand from parts, after the tools' own formats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nas.devices.adb.wire import ShellResult
from nas.devices.logs import LogReport, decode_log, parse_log
from nas.devices.phone.launch import merged

BLOCK = "Running benchmark for at least {} iterations and at least {} seconds but terminate if "
BLOCK += "exceeding 150 seconds."


def statistics(count: int, mean: float) -> str:
    """A complete line of statistics, as the tools of 2019 to 2024 print it."""
    low, high = mean * 0.9, mean * 1.1
    figures = f"first={high:.0f} curr={mean:.0f} min={low:.0f} max={high:.0f} avg={mean:.6g}"
    return f"count={count} {figures} std=7"


def rows(
    model: str = "m.tflite",
    parameters: Iterable[str] = (),
    delegates: Iterable[str] = (),
    mean: float = 20_000,
    init: float = 5.5,
) -> list[str]:
    """The lines of one run of the classic tool, without prefixes; `mean` in microseconds."""
    return [
        "STARTING!",
        "Log parameter values verbosely: [0]",
        f"Graph: [{model}]",
        *parameters,
        f"Loaded model {model}",
        *delegates,
        "The input model file size (MB): 1.5",
        f"Initialized session in {init}ms.",
        BLOCK.format(1, 0.5),
        statistics(7, mean * 1.5),
        "",
        BLOCK.format(50, 1),
        statistics(50, mean),
        "",
        f"Inference timings in us: Init: {init * 1000:g}, First inference: {mean * 2:g}, "
        f"Warmup (avg): {mean * 1.5:g}, Inference (avg): {mean:g}",
        "Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.5",
    ]


def text(*parts: Iterable[str]) -> str:
    """Lines of several parts as one text."""
    return "\n".join(line for part in parts for line in part) + "\n"


def modern(lines: Iterable[str]) -> list[str]:
    """The lines with the prefix of tools since 2023."""
    return [f"INFO: {line}" if line else "" for line in lines]


LOGS = Path(__file__).parents[1] / "fixtures" / "device_logs"


def report(name: str, **options: Any) -> LogReport:
    """The report of a real log, by the beginning of its name."""
    (path,) = LOGS.glob(f"{name}*.txt")
    return parse_log(decode_log(path.read_bytes()), **options)


def facts(name: str) -> dict[str, Any]:
    """The report of a real log as JSON types."""
    return report(name).to_dict()


LINE = "ModelBuilder::findBestDeviceForEachOperation(CONV_2D) = 0 (dsp)"
REFUSED = "NN API returned error ANEURALNETWORKS_OP_FAILED at line 4113 while running computation."


def refused_with(*rows: str) -> LogReport:
    """What is made of NNAPI's refusal to process 77 with such rows in the phone's log."""
    log = [f"01-02 03:04:05.678    77    77 I ExecutionPlan: {LINE}"]
    log += [f"01-02 03:04:05.700   {row}" for row in rows]
    return merged(ShellResult("tool", 1, "", "", f"ERROR: {REFUSED}\n", 1.0, 77), "\n".join(log))
