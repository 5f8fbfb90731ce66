"""Names for the devices of a run, as people call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.devices.names import DeviceName, device_name, distinct_names
from nas.errors import RunError
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import read_json


def run_names(run: RunFolder, results: Sequence[TrialResult]) -> dict[str, DeviceName]:
    """Return the name of each device of a run by its spec, the optional ones included.

    The name comes from the first of `results` that was measured on the device. A phone without a
    measurement, or with a damaged one, keeps its serial for a name.
    """
    description = run.description()
    study = description["study"]
    processor = str(description.get("conditions", {}).get("processor", ""))
    named = []
    for device in (*study["devices"], *study.get("optional_devices", ())):
        conditions = next(_conditions(run, results, device), {})
        named.append(device_name(device, conditions, processor))
    return {name.device: name for name in distinct_names(named)}


def _conditions(
    run: RunFolder, results: Sequence[TrialResult], device: str
) -> Iterator[Mapping[str, Any]]:
    """Yield the conditions of the device's measurements that name the phone."""
    for result in results:
        note = result.conditions.get("devices", {}).get(device)
        key = note and note.get("measurement")
        if not key:
            continue
        try:
            kept = read_json(run.path / "measurements" / f"{key}.json")
            conditions = kept.get("conditions") or {}
        except (RunError, AttributeError):
            continue
        if conditions.get("phone"):
            yield conditions
