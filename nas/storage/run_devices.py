"""The devices of a run, by the names that people have for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.devices.names import DeviceName, device_name, distinct_names
from nas.errors import RunError
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import read_json


def run_names(run: RunFolder, results: Sequence[TrialResult]) -> dict[str, DeviceName]:
    """What people call each device of a run, the optional ones among them.

    It is what the first of `results` tells that was measured there; a phone that never measured
    anything keeps its serial for a name, as does one whose measurement is gone or damaged.
    """
    description = run.description()
    study = description["study"]
    processor = str(description.get("conditions", {}).get("processor", ""))
    named = []
    for device in (*study["devices"], *study.get("optional_devices", ())):
        told = next(_conditions(run, results, device), {})
        named.append(device_name(device, told, processor))
    return {name.device: name for name in distinct_names(named)}


def _conditions(
    run: RunFolder, results: Sequence[TrialResult], device: str
) -> Iterator[Mapping[str, Any]]:
    """The conditions of the device's measurements, as far as they name the phone."""
    for result in results:
        note = result.conditions.get("devices", {}).get(device)
        key = note and note.get("measurement")
        if not key:
            continue
        try:
            conditions = read_json(run.path / "measurements" / f"{key}.json").get("conditions", {})
        except (RunError, AttributeError):
            continue
        if conditions.get("phone"):
            yield conditions
