"""Which operations a phone accelerates, by data type and by the operation before.

Small graphs are run to find out. The answers are kept by phone, build, tool and delegate, and
search spaces ask for them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nas.devices.failures import PhoneStableError
from nas.devices.phone.device import AdbDevice
from nas.devices.placement import is_cpu
from nas.devices.probe_graphs import NEIGHBOURS, OPERATIONS, TYPES, Question, write_probe
from nas.errors import RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

FORMAT = 3
"""Counted up whenever kept answers would mean something else. Since 2, transposed convolutions have
no padding, as in networks; since 3, those with a ReLU in them are asked about, too.
"""


@dataclass(frozen=True)
class Support:
    """One answer: where the operation `op` of type `dtype` ran when it stood after `after`.

    `failure` says why the graph was refused, None where it ran. `accelerator` is None where nothing
    could tell, or the graph failed.
    """

    op: str
    dtype: str
    after: str
    accelerator: str | None
    failure: str | None = None

    @property
    def accelerated(self) -> bool | None:
        """Whether an accelerator ran the operation; None where nothing could tell."""
        if self.failure is not None:
            return False
        return None if self.accelerator is None else not is_cpu(self.accelerator)


@dataclass(frozen=True)
class SupportMatrix:
    """All answers of one phone.

    `source` is "measured" or "synthetic", `fingerprint` the phone's build, `delegate` what the
    graphs ran with.
    """

    device: str
    source: str
    fingerprint: str
    delegate: str
    rows: tuple[Support, ...]

    def row(self, op: str, dtype: str = "float32", after: str = "CONV_2D") -> Support | None:
        """Find the answer about an operation, by TFLite's name; None where there is none."""
        wanted = (op, dtype, after)
        return next((r for r in self.rows if (r.op, r.dtype, r.after) == wanted), None)

    def accelerated(self, op: str, dtype: str = "float32", after: str = "CONV_2D") -> bool | None:
        """Whether the phone accelerates an operation there; None where it is not known.

        After an operation that was not asked about, the answer after a convolution counts.
        """
        row = self.row(op, dtype, after) or self.row(op, dtype)
        return row.accelerated if row else None

    def to_dict(self) -> dict[str, Any]:
        """Return the matrix as JSON types."""
        return {
            "device": self.device,
            "source": self.source,
            "fingerprint": self.fingerprint,
            "delegate": self.delegate,
            "rows": [{**asdict(row), "accelerated": row.accelerated} for row in self.rows],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SupportMatrix:
        """Read what `to_dict` wrote; raises KeyError or TypeError on anything else."""
        names = ("op", "dtype", "after", "accelerator", "failure")
        rows = tuple(Support(*(row[name] for name in names)) for row in values["rows"])
        return cls(
            values["device"], values["source"], values["fingerprint"], values["delegate"], rows
        )


def probe_support(
    device: AdbDevice,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
    types: tuple[str, ...] = TYPES,
    neighbours: tuple[str, ...] = NEIGHBOURS,
) -> SupportMatrix:
    """Return a phone's matrix: the kept one, or a new one where none is kept or `again` is set.

    `progress` is called with graphs done and graphs in all. A graph that the phone refuses is an
    answer; otherwise raises as `AdbDevice.measure`.
    """
    device.check()
    key = content_key([FORMAT, device.identity(), types, neighbours])
    path = cache_folder() / "support" / f"{key}.json"
    if path.exists() and not again:
        try:
            return replace(SupportMatrix.from_dict(read_json(path)), device=device.spec)
        except (RunError, KeyError, TypeError):
            path.unlink(missing_ok=True)
    rows: list[Support] = []
    graphs = [(dtype, after) for dtype in types for after in neighbours]
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for done, (dtype, after) in enumerate(graphs):
            if progress is not None:
                progress(done, len(graphs))
            rows += _ask(device, Path(folder), dtype, after, tuple(OPERATIONS))
    info, delegate = device.info(), str(device.options.delegate)
    matrix = SupportMatrix(device.spec, info.source, info.fingerprint, delegate, tuple(rows))
    write_json(path, matrix.to_dict())
    return matrix


def _ask(
    device: AdbDevice, folder: Path, dtype: str, after: str, ops: tuple[str, ...]
) -> list[Support]:
    """Ask about `ops`; a graph that fails is halved until the operation to blame stands alone."""
    path = folder / "probe.tflite"
    questions: tuple[Question, ...] = write_probe(path, dtype, after, ops)
    try:
        placement, report = device.place(path)
        failure = report.failure
    except PhoneStableError as error:
        placement, failure = (), error.failure
    if failure is None or failure.failure_class in ("partially_delegated", "not_delegated"):
        where = {row.index: row.accelerator for row in placement}
        return [Support(a.op, dtype, after, where.get(a.index)) for a in questions]
    if len(ops) == 1:
        return [Support(ops[0], dtype, after, None, str(failure))]
    half = len(ops) // 2
    return _ask(device, folder, dtype, after, ops[:half]) + _ask(
        device, folder, dtype, after, ops[half:]
    )
