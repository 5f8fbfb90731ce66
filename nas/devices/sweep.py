"""Sweeps: the latency of one network at several picture sizes on several devices.

Figure 4 of the paper does this for five sizes, every latency divided by that of the first phone at
the smallest one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.devices import TimingProtocol
from nas.devices.fleet import Outcome, measure_everywhere
from nas.devices.names import device_name
from nas.errors import ConfigError, ConversionError
from nas.system.files import write_atomically, write_json
from nas.system.hashing import content_key
from nas.tflite.file import parse_tflite, read_tflite

SIZES = ((640, 360), (960, 540), (1280, 720), (1600, 900), (1920, 1080))
"""The picture sizes (width, height) of a sweep, unless others are given."""
_STEPS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class SweepRow:
    """The figures of one picture size on one device.

    `size` is the requested one (width, height), `run_size` the file's: the next one up that the
    network's poolings divide. `run_size` is None where the file has no such form; `failure` says
    why, and no device is to blame. `latency_ms` is None where `failure` tells why; `ratio` is the
    latency over the first device's at the first size, None where either is missing.
    `accelerated_mac_share` is None where nothing tells it, `source` where there is no figure.
    `disturbed` names other work that disturbed the measurement. `name` is what people call the
    device; empty where nothing tells it.
    """

    device: str
    size: tuple[int, int]
    run_size: tuple[int, int] | None
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    ratio: float | None
    accelerated_mac_share: float | None
    failure: str | None
    source: str | None
    disturbed: str | None = None
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types."""
        return {
            **vars(self),
            "size": list(self.size),
            "run_size": list(self.run_size) if self.run_size else None,
            "interval_ms": list(self.interval_ms) if self.interval_ms else None,
        }


@dataclass(frozen=True)
class _SizedFile:
    """The file at one picture size; `error` is set where it has no form of that size."""

    size: tuple[int, int]
    run_size: tuple[int, int] | None
    content: bytes
    error: ConversionError | None = None


def sweep(
    model: Path,
    devices: Sequence[str],
    out: Path,
    protocol: TimingProtocol,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> list[SweepRow]:
    """Measure `model` at every size on every device; sizes in turn, devices side by side.

    A file that has no form of a size is measured at its own instead, last. Writes sweep.json,
    sweep.png, the files and their measurements into `out`; the same `out` goes on where it was
    stopped. Failures on a device are rows. Raises ConfigError where the file is no `.tflite` or a
    device can't be used at all, ConversionError where the file has no form of any size,
    RunError where `out` can't be written.
    """
    content = _content(model)
    folder = out / "models" / content_key(content.hex())
    outcomes_by_form: list[tuple[_SizedFile, Outcome]] = []
    for form in _forms(content, sizes, model):
        if form.run_size is None:
            outcomes_by_form += [(form, Outcome(device, None)) for device in devices]
            continue
        path = folder / f"{form.run_size[0]}x{form.run_size[1]}.tflite"
        write_atomically(path, lambda file, data=form.content: file.write(data))  # type: ignore[misc]
        outcomes = measure_everywhere(path, devices, protocol, out / "measurements")
        outcomes_by_form += [(form, outcome) for outcome in outcomes]
    first = outcomes_by_form[0][1].measurement
    unit = first if first is not None and first.timed else None
    names = _names([outcome for _, outcome in outcomes_by_form])
    rows = [_row(*one, unit.latency_ms if unit else None) for one in outcomes_by_form]
    rows = [replace(row, name=names[row.device]) for row in rows]
    write_json(out / "sweep.json", [row.to_dict() for row in rows])
    picture = plot(rows)
    write_atomically(out / "sweep.png", lambda file: file.write(picture))
    return rows


def _content(model: Path) -> bytes:
    read_tflite(model)  # its messages name what is wrong with the file
    return model.read_bytes()


def _forms(content: bytes, sizes: Sequence[tuple[int, int]], model: Path) -> list[_SizedFile]:
    """Make the file's form at each size, and its own form where one is missing.

    Raises ConversionError where the file has no form at all.
    """
    file = parse_tflite(content, str(model))
    forms = []
    for size in sizes:
        try:
            resized, run_size = resize(content, size)
        except ConversionError as error:
            forms.append(_SizedFile(size, None, b"", error))
        else:
            forms.append(_SizedFile(size, run_size, resized))
    first = next((form.error for form in forms if form.error is not None), None)
    own = file.size
    if first is not None and own is None:
        if all(form.error for form in forms):
            raise ConversionError(f"{model}: {first}")
    elif first is not None and own is not None and own not in sizes:
        forms.append(_SizedFile(own, own, content))
    return forms


def _names(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Name each device as people do, by its first measurement."""
    conditions: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        measured = outcome.measurement.conditions if outcome.measurement else {}
        conditions[outcome.device] = conditions.get(outcome.device) or measured
    return {device: device_name(device, its).full for device, its in conditions.items()}


def resize(content: bytes, size: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """Resize a file for pictures of `size` (width, height), or of the next size up that works.

    Raises ConversionError, with the operation and why, where there is none.
    """
    from nas.tflite.size import resized

    own = parse_tflite(content, "the file").size
    error: ConversionError | ConfigError | None = None
    for larger in _upwards(size, own):
        try:
            return resized(content, larger, "the file"), larger
        except (ConversionError, ConfigError) as caught:
            error = error or caught
    raise ConversionError(f"the model has no form for {size[0]}x{size[1]}: {error}")


def _upwards(size: tuple[int, int], own: tuple[int, int] | None) -> list[tuple[int, int]]:
    """List the size and the next ones up: multiples of 2, 4, ..., or as far from the file's own."""
    steps = [(-(-size[0] // step) * step, -(-size[1] // step) * step) for step in _STEPS]
    if own is not None:
        steps += [
            (size[0] + (own[0] - size[0]) % step, size[1] + (own[1] - size[1]) % step)
            for step in _STEPS[1:]
        ]
    return list(dict.fromkeys(steps))


def _row(form: _SizedFile, outcome: Outcome, unit_ms: float | None) -> SweepRow:
    size, run_size = form.size, form.run_size
    measured = outcome.measurement
    if measured is None:
        failure = str(form.error or outcome.error)
        return SweepRow(outcome.device, size, run_size, None, None, None, None, failure, None)
    return SweepRow(
        outcome.device,
        size,
        run_size,
        measured.latency_ms if measured.timed else None,
        measured.interval_ms if measured.timed else None,
        measured.latency_ms / unit_ms if unit_ms and measured.timed else None,
        measured.accelerated_mac_share,
        None,
        measured.source,
        measured.disturbed,
    )


def plot(rows: Sequence[SweepRow]) -> bytes:
    """Draw the sweep as a PNG: ratios by size, logarithmic; x marks a size that did not run.

    Without any ratio, milliseconds are drawn.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    sizes = list(dict.fromkeys(row.size for row in rows))
    relative = any(row.ratio is not None for row in rows)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for device in dict.fromkeys(row.device for row in rows):
        own = [row for row in rows if row.device == device]
        points = [
            (sizes.index(row.size), value)
            for row in own
            if (value := row.ratio if relative else row.latency_ms) is not None
        ]
        source = next((row.source for row in own if row.source), "no figure")
        line = axes.plot(*zip(*points, strict=True), "o-") if points else axes.plot([], [])
        line[0].set_label(f"{own[0].name or device}, {source}")
        failed = [sizes.index(row.size) for row in own if row.latency_ms is None]
        axes.plot(failed, [0.02] * len(failed), "x", color=line[0].get_color(),
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.6)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(range(len(sizes)), [f"{width}x{height}" for width, height in sizes])
    first = rows[0]
    named = f"{(first.name or first.device).partition(',')[0]} at {first.size[0]}x{first.size[1]}"
    axes.set_ylabel(f"latency / {named}" if relative else "latency, ms")
    axes.set_title("x: no figure at this size", fontsize="small", loc="left")
    axes.legend(fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()
