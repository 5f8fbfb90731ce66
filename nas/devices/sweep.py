"""One network at several picture sizes on several devices: how its latency grows, where it fails.

Figure 4 of the paper does this for five sizes, every latency divided by that of the first phone at
the smallest one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.devices import TimingProtocol
from nas.devices.fleet import Outcome, measure_everywhere
from nas.errors import ConversionError
from nas.system.files import write_atomically, write_json
from nas.system.hashing import content_key
from nas.tflite.file import read_tflite

SIZES = ((640, 360), (960, 540), (1280, 720), (1600, 900), (1920, 1080))
_STEPS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class SweepRow:
    """One size on one device.

    `size` is what was asked for (width, height), `run_size` the file's: the next one up that the
    network's poolings divide. `latency_ms` is None where `failure` tells why; `ratio` is the
    latency over the first device's at the first size, None where either is missing.
    `accelerated_mac_share` is None where nothing tells.
    """

    device: str
    size: tuple[int, int]
    run_size: tuple[int, int]
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    ratio: float | None
    accelerated_mac_share: float | None
    failure: str | None
    source: str | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON types."""
        return {
            **vars(self),
            "size": list(self.size),
            "run_size": list(self.run_size),
            "interval_ms": list(self.interval_ms) if self.interval_ms else None,
        }


def sweep(
    model: Path,
    devices: Sequence[str],
    out: Path,
    protocol: TimingProtocol,
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> list[SweepRow]:
    """Measure `model` at every size on every device; sizes in turn, devices side by side.

    Writes sweep.json, sweep.png, the files and their measurements into `out`; the same `out` goes
    on where it was stopped. Failures on a device are rows. Raises ConfigError where the file is no
    `.tflite` or a device can't be used at all, ConversionError where it can't be resized,
    RunError where `out` can't be written.
    """
    read_tflite(model)
    content = model.read_bytes()
    folder = out / "models" / content_key(content.hex())
    found: list[tuple[tuple[int, int], tuple[int, int], Outcome]] = []
    for size in sizes:
        resized, run_size = resize(content, size)
        path = folder / f"{run_size[0]}x{run_size[1]}.tflite"
        write_atomically(path, lambda file, data=resized: file.write(data))  # type: ignore[misc]
        outcomes = measure_everywhere(path, devices, protocol, out / "measurements")
        found += [(size, run_size, outcome) for outcome in outcomes]
    unit = found[0][2].measurement
    rows = [_row(one, unit.latency_ms if unit else None) for one in found]
    write_json(out / "sweep.json", [row.to_dict() for row in rows])
    picture = plot(rows)
    write_atomically(out / "sweep.png", lambda file: file.write(picture))
    return rows


def resize(content: bytes, size: tuple[int, int]) -> tuple[bytes, tuple[int, int]]:
    """The file for pictures of `size` (width, height), or of the next size up that it can take.

    Raises ConversionError where there is none.
    """
    from nas.tflite.editing import at_size

    error: ConversionError | None = None
    for step in _STEPS:
        width, height = (-(-side // step) * step for side in size)
        try:
            return at_size(content, height, width), (width, height)
        except ConversionError as caught:
            error = error or caught
    raise ConversionError(f"the model has no form for {size[0]}x{size[1]}: {error}")


def _row(one: tuple[tuple[int, int], tuple[int, int], Outcome], unit_ms: float | None) -> SweepRow:
    size, run_size, outcome = one
    measured = outcome.measurement
    if measured is None:
        failure = str(outcome.error)
        return SweepRow(outcome.device, size, run_size, None, None, None, None, failure, None)
    return SweepRow(
        outcome.device,
        size,
        run_size,
        measured.latency_ms,
        measured.interval_ms,
        measured.latency_ms / unit_ms if unit_ms else None,
        measured.accelerated_mac_share,
        None,
        measured.source,
    )


def plot(rows: Sequence[SweepRow]) -> bytes:
    """The sweep as a PNG: ratios (milliseconds without them) by size, logarithmic; x: no run."""
    from matplotlib.figure import Figure

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
        line[0].set_label(f"{device} ({source})")
        failed = [sizes.index(row.size) for row in own if row.latency_ms is None]
        axes.plot(failed, [0.02] * len(failed), "x", color=line[0].get_color(),
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xticks(range(len(sizes)), [f"{width}x{height}" for width, height in sizes])
    first = rows[0]
    named = f"{first.device} at {first.size[0]}x{first.size[1]}"
    axes.set_ylabel(f"latency / {named}" if relative else "latency, ms")
    axes.set_title("x: the device can't run this size", fontsize="small", loc="left")
    axes.legend(fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()
