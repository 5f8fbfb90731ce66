"""Makes Figure 4 again: one network at several picture sizes, on the paper's phones and on ours.

The paper prints no values of its figure: latencies over those of Mate30 at 640x360. Its text tells
which sizes ran where; the rest comes from the latency models, and from measurements of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from nas.devices import TimingProtocol
from nas.devices.paper_phones.device import tell
from nas.devices.paper_phones.published import PHONES, SizeOutcome
from nas.devices.paper_phones.published import sizes as published_sizes
from nas.errors import NasError, RunError
from nas.networks.candidate import Architecture
from nas.paper.compare import Comparison
from nas.storage.object_store import fetched
from nas.storage.run_folder import RunFolder
from nas.system.files import read_json
from nas.system.hashing import content_key, file_sha256
from nas.tflite.operations import of_graph

if TYPE_CHECKING:
    from nas.devices.sweep import SweepRow

NETWORK = "unet-resizebilinear-prelu"
Size = tuple[int, int]


@final
@dataclass(frozen=True)
class SizeCell:
    """One size on one device or phone; `latency_ms` is None where `failure` says why.

    `published` is what the paper's text tells ("ran", "failed"), None where it tells nothing.
    `ratio` is over the first phone's (or our first device's) latency at the first size. Sizes are
    (width, height); `run_size` is the size it was taken at: the next one up that the network's
    poolings divide.
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
    """Return Figure 4's sizes: by the models of the paper's phones, and on the run's own devices.

    The phones run the paper's chosen network at full size, our devices the run's one. With
    `measure`, sizes that are not kept yet, or failed, are measured now; a device that fails has its
    reason in its cell. Raises RunError where the network's file is missing.
    """
    outcomes = published_sizes()
    sizes = list(dict.fromkeys((outcome.width, outcome.height) for outcome in outcomes))
    return (
        *_modelled(networks[NETWORK], outcomes, sizes),
        *_measured(comparison, run, sizes, measure),
    )


def _modelled(
    network: Architecture, outcomes: tuple[SizeOutcome, ...], sizes: list[Size]
) -> list[SizeCell]:
    graph = network.graph()
    cells: list[SizeCell] = []
    unit: float | None = None
    for phone in PHONES:
        for size in sizes:
            step = graph.reduction
            run_size = (-(-size[0] // step) * step, -(-size[1] // step) * step)
            estimate = tell(phone, of_graph(graph, run_size))
            if phone == PHONES[0] and size == sizes[0]:
                unit = estimate.latency_ms
            published = next(
                (o.outcome for o in outcomes if (o.width, o.height, o.phone) == (*size, phone)),
                None,
            )
            ratio = estimate.latency_ms / unit if estimate.latency_ms and unit else None
            failure = (
                estimate.failure.detail.removeprefix("modelled: ") if estimate.failure else None
            )
            cells.append(
                SizeCell(
                    phone, size, run_size, estimate.latency_ms, estimate.interval_ms, ratio,
                    estimate.source, published, failure,
                )
            )  # fmt: skip
    return cells


def _measured(
    comparison: Comparison, run: RunFolder, sizes: list[Size], measure: bool
) -> list[SizeCell]:
    """Measure the network that the run compressed; a device that is away spoils no other."""
    trial = comparison.trials.get((comparison.compressed or "", "float", None))
    if trial is None or trial.artifact is None:
        return []
    model = fetched(run, trial.number, trial.artifact)
    if not model.is_file():
        raise RunError(f"{model} is missing; remove its folder and start `nas paper` again")
    out = run.path / "paper" / "sizes" / file_sha256(model)[:12]
    cells: list[SizeCell] = []
    for device in comparison.devices:
        if not device.startswith("paper:"):
            own = out / content_key(device)
            cells += _on_device(device, model, own, sizes, measure, comparison.scale.narrowed)
    unit = cells[0].latency_ms if cells else None
    return [replace(c, ratio=c.latency_ms / unit if c.latency_ms and unit else None) for c in cells]


def _on_device(
    device: str, model: Path, out: Path, sizes: list[Size], measure: bool, narrowed: bool
) -> list[SizeCell]:
    """Return the kept sizes; `measure` first measures those that are missing or failed."""
    from nas.devices.sweep import SweepRow, sweep

    document = out / "sweep.json"
    rows = [SweepRow(**row) for row in read_json(document)] if document.exists() else []
    if measure and (not rows or any(row.failure for row in rows)):
        protocol = TimingProtocol(launches=3 if narrowed else 1, warmup=1, runs=3, threads=1)
        try:
            rows = sweep(model, [device], out, protocol, sizes)
        except RunError:
            raise
        except NasError as error:
            return [_failed(device, size, str(error)) for size in sizes]
    return [_cell(row) for row in rows]


def _cell(row: SweepRow) -> SizeCell:
    interval = (row.interval_ms[0], row.interval_ms[1]) if row.interval_ms else None
    run_size = row.run_size or row.size  # where the file has no such form, nothing ran
    return SizeCell(
        row.device, (row.size[0], row.size[1]), (run_size[0], run_size[1]),
        row.latency_ms, interval, row.ratio, row.source or "measured", None, row.failure,
    )  # fmt: skip


def _failed(device: str, size: Size, why: str) -> SizeCell:
    return SizeCell(device, size, size, None, None, None, "measured", None, why)
