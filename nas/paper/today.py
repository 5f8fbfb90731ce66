"""The paper's networks on Snapdragon NPUs of today: at full size, untrained, by the compiler.

What the compiler and its simulator say depends on a network's structure, not on its weights. So the
published rows are told at 1280x720 without a training, whatever the run's own scale is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, final

from nas.devices import Measurement, TimingProtocol, open_device
from nas.devices.failures import PhoneStableError
from nas.devices.measurement import Placement
from nas.devices.npu.chips import PREFIX
from nas.devices.paper_phones.published import SIZE, Row, rows
from nas.devices.placement import is_cpu
from nas.errors import ConversionError, NasError, RunError
from nas.networks.candidate import Architecture
from nas.networks.graph import Graph
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

SECONDS = 600.0
"""Processor time that one compilation may take; the slowest one that was seen took 280."""
_SMALL, _CHECKED_AT = 128, (320, 720)  # narrower, and of the same rows: 720 is odd four levels down
Tell = Callable[[str], None]


@final
@dataclass(frozen=True)
class TodayCell:
    """A published row on a device of today, at full size; `latency_ms` is None where `failure`.

    `taken` of `operations` operations run on the NPU. `figures` are its memory traffic and the size
    of what is loaded, in MB. `source` is "simulated" or "modelled", never "measured".
    """

    device: str
    source: str
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    coverage: float | None
    taken: int
    operations: int
    about: str
    failure: str | None = None
    figures: dict[str, float] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class TodayLine:
    """A published row, and its cells by device."""

    row: Row
    cells: tuple[TodayCell, ...]


def today_lines(
    devices: Sequence[str],
    networks: Mapping[str, Architecture],
    compute: bool = True,
    tell: Tell | None = None,
) -> tuple[TodayLine, ...]:
    """Tell each published row on those of `devices` that are NPUs; empty where none is.

    `networks` are the paper's at full size, by name. A row's answer is kept in the user's cache;
    without `compute` only kept ones come. `tell` is called with what is being compiled, which takes
    seconds to minutes a row. What can't be told now, as the extra `npu` is missing for example, has
    the reason in its cell. Raises RunError where the cache can't be written.
    """
    npus = [device for device in devices if device.startswith(PREFIX)]
    if not npus:
        return ()
    return tuple(
        TodayLine(row, tuple(told(row, npus, networks, compute, tell)))
        for row in rows()
        if row.network in networks
    )


def told(
    row: Row,
    devices: Sequence[str],
    networks: Mapping[str, Architecture],
    compute: bool = True,
    tell: Tell | None = None,
) -> Iterator[TodayCell]:
    """The cells of one row; raises as `today_lines`."""
    network = pruned(networks[row.network], row.pruned_percent)
    kept = {device: _kept(_path(network, row.precision, device)) for device in devices}
    missing = [device for device in devices if kept[device] is None]
    if missing and compute:
        if tell is not None:
            name = f"{row.network} -{row.pruned_percent}%" if row.pruned_percent else row.network
            tell(f"{name}, {row.precision}, {SIZE[0]}x{SIZE[1]}, for {', '.join(missing)}")
        with full_size_file(network, row.precision) as made:
            for device in missing:
                cell = made if isinstance(made, str) else _asked(made, device)
                kept[device] = _failed(device, cell) if isinstance(cell, str) else cell
                if not isinstance(cell, str):
                    _write(_path(network, row.precision, device), cell)
    for device in devices:
        cell_ = kept[device]
        if cell_ is not None:
            yield cell_


@cache
def pruned(network: Architecture, percent: int | None) -> Architecture:
    """A network, narrowed evenly by a share of its MACs: the paper does not tell its channels."""
    from nas.compression.compress import expected_architecture

    return expected_architecture(network, (percent or 0) / 100)


@contextmanager
def full_size_file(network: Architecture, precision: Any) -> Iterator[Path | str]:
    """The untrained file at 1280x720, which is removed; or why there is none, in words.

    It is converted at a small size and its shapes are set to the full one, which saves minutes.
    """
    with tempfile.TemporaryDirectory(prefix="paper-") as folder:
        path = Path(folder) / "model.tflite"
        try:
            path.write_bytes(_full_size_content(network.graph(), precision))
        except ConversionError as error:
            yield str(error)
            return
        yield path


def _full_size_content(graph: Graph, precision: Any) -> bytes:
    from nas.compression.convert import convert_untrained
    from nas.tflite.size import resized
    from nas.training.schedule import PAPER

    side = max(_SMALL, graph.reduction)
    small = convert_untrained(graph, side, side, precision, PAPER)
    try:
        return resized(small, SIZE, "the network")
    except ConversionError:
        # LiteRT's own convolutions count elements in 32 bits, and DBPN has more. An NPU's compiler
        # needs none of them, so a narrower one shows whether the file can be brought to another.
        return resized(small, SIZE, "the network", checked_at=_CHECKED_AT)


def _asked(artifact: Path, device: str) -> TodayCell | str:
    """The device's answer; a text where it can't be told now."""
    try:
        measurement = open_device(device).measure(
            artifact, TimingProtocol(1, 0, 1, timeout_seconds=SECONDS)
        )
    except PhoneStableError as error:
        return _refused(device, error)
    except RunError:
        raise
    except NasError as error:
        return str(error)
    return _told(measurement)


def _told(measurement: Measurement) -> TodayCell:
    taken, count = _counts(measurement.placement)
    about = [measurement.conditions.get(name) for name in ("about", "caution")]
    return TodayCell(
        measurement.device, measurement.source, measurement.latency_ms,
        measurement.stated_interval_ms, measurement.stated_coverage, taken, count,
        "; ".join(part for part in about if part), None, measurement.figures,
    )  # fmt: skip


def _refused(device: str, error: PhoneStableError) -> TodayCell:
    taken, count = _counts(error.placement)
    return TodayCell(
        device, "simulated", None, None, None, taken, count, "untrained, at full size",
        error.failure.detail,
    )  # fmt: skip


def _failed(device: str, why: str) -> TodayCell:
    return TodayCell(device, "simulated", None, None, None, 0, 0, "untrained, at full size", why)


def _counts(placement: Sequence[Placement]) -> tuple[int, int]:
    return sum(not is_cpu(row.accelerator) for row in placement), len(placement)


def _path(network: Architecture, precision: str, device: str) -> Path:
    """Where an answer is kept: by the network, the device and, if it is known here, its version."""
    from nas.networks.layers import NETWORK_FORMAT

    try:
        identity = open_device(device).identity()
    except NasError:
        identity = {}
    key = content_key(
        [1, NETWORK_FORMAT, network.to_dict(), precision, list(SIZE), device, identity]
    )
    return cache_folder() / "paper" / f"{key}.json"


def _kept(path: Path) -> TodayCell | None:
    try:
        values = read_json(path)
        interval = values["interval_ms"]
        return TodayCell(**{**values, "interval_ms": tuple(interval) if interval else None})
    except (RunError, KeyError, TypeError):
        return None  # not known yet, or damaged


def _write(path: Path, cell: TodayCell) -> None:
    write_json(path, asdict(cell))
