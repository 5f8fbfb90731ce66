"""Compiles a `.tflite` file here, ahead of time, for the NPU of a phone with a Snapdragon."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

from nas.devices.limited_process import Limits
from nas.devices.measurement import Measurement, Placement
from nas.devices.npu import requirements
from nas.devices.npu.placement import plugged
from nas.devices.placement import is_cpu
from nas.errors import RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key, file_sha256

CPU_SECONDS = 300.0
"""Processor time that a compilation may take; networks at 1280x720 took up to 280 s."""


@final
@dataclass(frozen=True)
class AheadFile:
    """A file that was compiled here: what is sent, and what the compiler took of the network.

    `placement` and `share` are those of the network's own operations, as the compiler divided them;
    in the file they are one operation for each piece that the NPU gets. `versions` are the
    compiler's.
    """

    path: Path
    placement: tuple[Placement, ...]
    share: float | None
    versions: dict[str, str]

    def told(self, found: Measurement) -> Measurement:
        """Return the measurement of the file as one of the network itself.

        The NPU's part of the operations is believed only where the phone's NPU ran every piece.
        """
        on_npu = all(
            not is_cpu(row.accelerator) for row in found.placement if "DISPATCH_OP" in row.op
        )
        made = {"compiled_here": self.versions}
        conditions = found.conditions | {"npu": {**found.conditions.get("npu", {}), **made}}
        if not on_npu:
            return replace(found, conditions=conditions)
        share, placement = self.share, self.placement
        return replace(
            found, placement=placement, accelerated_mac_share=share, conditions=conditions
        )


def compiled_ahead(artifact: Path, chip: str, device: str) -> AheadFile:
    """Compile a file for the chip of that name (such as "SM8650"), once; later ones are kept.

    `device` is what errors name. Raises as `nas.devices.npu.placement.placed`; whether the compiler
    is installed tells `requirements.check`.
    """
    versions = requirements.versions()
    key = content_key([file_sha256(artifact), chip, versions])
    path = cache_folder() / "npu-ahead" / f"{key}.tflite"
    facts = path.with_suffix(".json")
    try:
        values: dict[str, Any] = read_json(facts)
        rows = tuple(Placement(**row) for row in values["placement"])
        if path.exists():
            return AheadFile(path, rows, values["share"], versions)
    except (RunError, KeyError, TypeError):
        pass  # missing or damaged: compiled again
    placement = plugged(artifact, chip, "apply", path, device, Limits(CPU_SECONDS))
    rows, share = placement.operations, placement.accelerated_mac_share
    write_json(facts, {"placement": [asdict(row) for row in rows], "share": share})
    return AheadFile(path, rows, share, versions)
