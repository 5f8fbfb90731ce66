"""Which operations LiteRT's GPU takes, by data type and by the operation before, and why not.

Small graphs are compiled to find out. The GPU's check looks at each operation by itself; that it
does so behind every neighbour is what the answers show. They are kept by driver and version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from nas.devices.gpu.device import GpuDevice
from nas.devices.gpu.failures import GpuError
from nas.devices.graph_builder import SIZE
from nas.devices.probe_graphs import NEIGHBOURS, possible, write_probe
from nas.errors import RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

FORMAT = 2
"""Counted up whenever kept answers would mean something else."""
TYPES = ("float32", "int8", "int16")
_CPU_SECONDS = 60.0


@final
@dataclass(frozen=True)
class GpuSupport:
    """One answer: whether the GPU takes `op` of type `dtype` right after `after`.

    `size` is the (width, height) of the picture that goes in, as for NPUs; always the same. Where
    it does not, `reason` is LiteRT's, or how its code died.
    """

    op: str
    dtype: str
    after: str
    reason: str | None = None
    size: tuple[int, int] = (SIZE, SIZE)

    @property
    def accelerated(self) -> bool:
        """Whether the GPU takes the operation."""
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        return {**asdict(self), "size": list(self.size), "accelerated": self.accelerated}


def probe_gpu(
    device: GpuDevice,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
    types: Sequence[str] = TYPES,
    neighbours: Sequence[str] = NEIGHBOURS,
) -> tuple[GpuSupport, ...]:
    """Return the answers: the kept ones, or new ones where none are kept or `again` is set.

    `progress` is called with graphs done and graphs in all. A graph at which LiteRT's code dies is
    an answer. Raises ConfigError as `GpuDevice.check`, GpuTransientError where the machine was too
    busy.
    """
    about = [FORMAT, device.identity(), device.precision, list(types), list(neighbours)]
    path = cache_folder() / "support" / f"{content_key(about)}.json"
    if path.exists() and not again:
        try:
            names = ("op", "dtype", "after", "reason")
            return tuple(GpuSupport(*(r[n] for n in names)) for r in read_json(path)["rows"])
        except (RunError, KeyError, TypeError):
            path.unlink(missing_ok=True)
    graphs = [(dtype, after) for dtype in types for after in neighbours]
    rows: list[GpuSupport] = []
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for done, (dtype, after) in enumerate(graphs):
            if progress is not None:
                progress(done, len(graphs))
            ops = possible(dtype, after)
            answers: list[GpuSupport] = []
            for asked in _distinct(ops):
                answers += _ask(device, Path(folder) / "probe.tflite", dtype, after, asked)
            rows += sorted(answers, key=lambda row: ops.index(row.op))
    write_json(path, {"rows": [row.to_dict() for row in rows]})
    return tuple(rows)


def _ask(
    device: GpuDevice, path: Path, dtype: str, after: str, ops: tuple[str, ...]
) -> list[GpuSupport]:
    """Ask about `ops`; a graph at which the code dies is halved until one stands alone."""
    questions = write_probe(path, dtype, after, ops)
    try:
        placement = device.place(path, _CPU_SECONDS)
    except GpuError as error:
        if len(ops) == 1:
            return [GpuSupport(ops[0], dtype, after, str(error.failure))]
        half = len(ops) // 2
        return _ask(device, path, dtype, after, ops[:half]) + _ask(
            device, path, dtype, after, ops[half:]
        )
    reasons = {refusal.name: refusal.reason for refusal in placement.refusals}
    return [GpuSupport(one.op, dtype, after, reasons.get(_kind(one.op))) for one in questions]


def _kind(op: str) -> str:
    """Return the name by which LiteRT's log knows an operation, with a ReLU inside or without."""
    return op.partition("+")[0]


def _distinct(ops: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Part operations so that a graph has one form of each kind: LiteRT's log names kinds only."""
    parted = (
        tuple(op for op in ops if op == _kind(op)),
        tuple(op for op in ops if op != _kind(op)),
    )
    return [part for part in parted if part]
