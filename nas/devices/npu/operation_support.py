"""Which operations an NPU takes, by data type, by the operation before and by size, and why not.

Small graphs are placed to find out, by the compiler that a phone would use. Its answer depends on
the sides of the pictures, too: a network is asked at its own size, always. The answers are kept by
the versions of the packages.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.devices.limited_process import Limits
from nas.devices.npu.device import NpuDevice
from nas.devices.npu.failures import NpuError
from nas.devices.npu.placement import placed
from nas.devices.probe_graphs import NEIGHBOURS, fits, possible, write_probe
from nas.errors import ConfigError, RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

FORMAT = 1
"""Counted up whenever kept answers would mean something else."""
TYPES = ("float32", "int8", "int16")
SIZES = ((16, 16), (80, 45))
"""(width, height) of the pictures: even sides, and the fourth level of a picture of 1280x720."""
_CPU_SECONDS = 60.0


@dataclass(frozen=True)
class NpuSupport:
    """One answer: whether the NPU takes `op` of type `dtype` right after `after`.

    `size` is the (width, height) of the picture that goes into the first convolution of all. Where
    the NPU does not take it, `reason` is the compiler's.
    """

    op: str
    dtype: str
    after: str
    size: tuple[int, int]
    reason: str | None = None

    @property
    def accelerated(self) -> bool:
        """Whether the NPU takes the operation."""
        return self.reason is None


def probe_npu(
    device: NpuDevice,
    sizes: Sequence[tuple[int, int]] = SIZES,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
    types: Sequence[str] = TYPES,
    neighbours: Sequence[str] = NEIGHBOURS,
) -> tuple[NpuSupport, ...]:
    """Return a chip's answers: the kept ones, or new ones where none are kept or `again` is set.

    `progress` is called with graphs done and graphs in all. Operations that can't stand after
    another at a size are left out, and so are those that int16 files spell in other operations.
    Raises ConfigError where the extra can't be used, or a size is too small, NpuError where the
    compiler dies.
    """
    for size in sizes:
        if min(size) < 4:
            raise ConfigError(f"--size {size[0]}x{size[1]}: expected sides of 4 at least")
    about = [FORMAT, device.identity(), device.chip.number, sizes, types, neighbours]
    path = cache_folder() / "support" / f"{content_key(about)}.json"
    if path.exists() and not again:
        try:
            return tuple(_read(row) for row in read_json(path)["rows"])
        except (RunError, KeyError, TypeError):
            path.unlink(missing_ok=True)
    graphs = [(size, dtype, after) for size in sizes for dtype in types for after in neighbours]
    rows: list[NpuSupport] = []
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for done, (size, dtype, after) in enumerate(graphs):
            if progress is not None:
                progress(done, len(graphs))
            asked = tuple(op for op in possible(dtype, after) if fits(op, after, size))
            if asked:
                rows += _ask(device, Path(folder) / "probe.tflite", dtype, after, size, asked)
    write_json(path, {"rows": [to_dict(row) for row in rows]})
    return tuple(rows)


def to_dict(row: NpuSupport) -> dict[str, Any]:
    """Return an answer as JSON types."""
    return {**asdict(row), "size": list(row.size), "accelerated": row.accelerated}


def _read(values: dict[str, Any]) -> NpuSupport:
    width, height = values["size"]
    op, dtype, after = values["op"], values["dtype"], values["after"]
    return NpuSupport(op, dtype, after, (width, height), values["reason"])


def _ask(
    device: NpuDevice,
    path: Path,
    dtype: str,
    after: str,
    size: tuple[int, int],
    ops: tuple[str, ...],
) -> list[NpuSupport]:
    """Ask about `ops`; a graph at which the compiler dies is halved until one stands alone."""
    questions = write_probe(path, dtype, after, ops, size)
    try:
        placement = placed(path, device.chip, device.spec, Limits(_CPU_SECONDS))
    except NpuError as error:
        if len(ops) == 1:
            return [NpuSupport(ops[0], dtype, after, size, str(error.failure))]
        half = len(ops) // 2
        return _ask(device, path, dtype, after, size, ops[:half]) + _ask(
            device, path, dtype, after, size, ops[half:]
        )
    reasons = {refusal.index: refusal.reason for refusal in placement.refusals}
    return [NpuSupport(one.op, dtype, after, size, reasons.get(one.index)) for one in questions]
