"""Figure 4 again: one network at several picture sizes, on the paper's phones and on our devices.

The paper prints no values of its figure: latencies over those of Mate30 at 640x360. What it tells
in words is which sizes ran where; the rest is the latency model's, and measurements of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from nas.candidate import Architecture
from nas.canonical import file_sha256
from nas.devices import TimingProtocol
from nas.devices.modelled import tell
from nas.devices.modelled_operations import of_graph
from nas.errors import NasError, RunError
from nas.files import read_json
from nas.paper.compare import Comparison
from nas.published import PHONES, SizeOutcome
from nas.published import sizes as published_sizes
from nas.store import RunFolder

NETWORK = "unet-resizebilinear-prelu"
Size = tuple[int, int]


@final
@dataclass(frozen=True)
class SizeCell:
    """One size on one device or phone; `latency_ms` is None where `failure` says why.

    `published` is what the paper's text tells ("ran", "failed"), None where it tells nothing.
    `ratio` is over the first phone's (or our first device's) latency at the first size. `run_size`
    is the size it was taken at: the nearest that the network's poolings divide.
    """

    device: str
    size: Size
    run_size: Size
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    ratio: float | None
    source: str
    published: Literal["ran", "failed"] | None
    failure: str | None


def size_cells(
    comparison: Comparison,
    run: RunFolder,
    networks: Mapping[str, Architecture],
    measure: bool = True,
) -> tuple[SizeCell, ...]:
    """Figure 4's sizes: by the models of the paper's phones, and on the run's own devices.

    The phones' are of the paper's chosen network at full size, ours of the run's one. With
    `measure` what is not kept yet is taken now; a device that fails has its reason in its cell.
    """
    told = published_sizes()
    sizes = list(dict.fromkeys((one.width, one.height) for one in told))
    return (*_modelled(networks[NETWORK], told, sizes), *_measured(comparison, run, sizes, measure))


def _modelled(
    network: Architecture, told: tuple[SizeOutcome, ...], sizes: list[Size]
) -> list[SizeCell]:
    graph = network.graph()
    cells: list[SizeCell] = []
    unit: float | None = None
    for phone in PHONES:
        for size in sizes:
            step = graph.reduction
            run_size = (size[0] // step * step, size[1] // step * step)
            found = tell(phone, of_graph(graph, run_size))
            if phone == PHONES[0] and size == sizes[0]:
                unit = found.latency_ms
            published = next(
                (o.outcome for o in told if (o.width, o.height, o.phone) == (*size, phone)), None
            )
            ratio = found.latency_ms / unit if found.latency_ms and unit else None
            failure = found.failure.detail.removeprefix("modelled: ") if found.failure else None
            cells.append(
                SizeCell(
                    phone, size, run_size, found.latency_ms, found.interval_ms, ratio,
                    found.source, published, failure,
                )
            )  # fmt: skip
    return cells


def _measured(
    comparison: Comparison, run: RunFolder, sizes: list[Size], measure: bool
) -> list[SizeCell]:
    from nas.devices.sweep import SweepRow, sweep

    chosen = comparison.choices[-1].network if comparison.choices else NETWORK
    trial = comparison.trials.get((chosen, "float", None))
    devices = [device for device in comparison.devices if not device.startswith("paper:")]
    if trial is None or trial.artifact is None:
        return []
    model = run.path / trial.artifact
    if not model.is_file():
        raise RunError(f"{model} is missing; remove its folder and start `nas paper` again")
    out = run.path / "paper" / "sizes" / file_sha256(model)[:12]
    kept = out / "sweep.json"
    narrowed = comparison.scale.narrowed
    if kept.exists():
        rows = [SweepRow(**row) for row in read_json(kept)]
    elif measure:
        protocol = TimingProtocol(launches=3 if narrowed else 1, warmup=1, runs=3, threads=1)
        try:
            rows = sweep(model, devices, out, protocol, sizes)
        except RunError:
            raise
        except NasError as error:
            return [_failed(device, size, str(error)) for device in devices for size in sizes]
    else:
        return []
    return [_cell(row) for row in rows]


def _cell(row: object) -> SizeCell:
    from nas.devices.sweep import SweepRow

    if not isinstance(row, SweepRow):
        raise TypeError(f"{row!r} is no row of a sweep")
    interval = (row.interval_ms[0], row.interval_ms[1]) if row.interval_ms else None
    return SizeCell(
        row.device, (row.size[0], row.size[1]), (row.run_size[0], row.run_size[1]),
        row.latency_ms, interval, row.ratio, row.source or "measured", None, row.failure,
    )  # fmt: skip


def _failed(device: str, size: Size, why: str) -> SizeCell:
    return SizeCell(device, size, size, None, None, None, "measured", None, why)
