"""Writes the times of operations as overlays for Google's Model Explorer.

    model-explorer model.tflite --node_data_paths=trial-5-host.json

An overlay is node data for one graph: a time in ms for each operation, found by its output tensor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.report.operation_times import OperationTimes
from nas.report.slowness import Slowness
from nas.storage.run_folder import RunFolder
from nas.system.files import write_json
from nas.tflite.file import read_tflite

GRADIENT = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#f2a65a"}]
FALLEN = "#d9534f"
"""The colour of an operation that no accelerator took."""


def write_overlays(run: RunFolder, folder: Path, models: Sequence[Slowness]) -> list[str]:
    """Write a file for each model of `models` and device; return the files' names.

    Models without a file of their own, such as modelled ones, have none. Earlier overlays in the
    folder are removed.
    """
    for earlier in folder.glob("trial-*.json"):
        earlier.unlink()
    names = []
    for model in models:
        if model.result.artifact is None:
            continue
        for times in model.times:
            try:
                document = overlay(run.path / model.result.artifact, times)
            except NasError:
                continue
            device = re.sub(r"[^\w.-]+", "-", times.device).strip("-")
            name = f"trial-{model.result.number}-{device}.json"
            write_json(folder / name, document)
            names.append(name)
    return names


def overlay(artifact: Path, times: OperationTimes) -> dict[str, Any]:
    """Return a file's node data: ms by the name of each operation's first output tensor.

    The time of several operations that ran as one piece stands at the last of them. Raises
    ConfigError where the artifact is no `.tflite`.
    """
    operations = {step.index: step for step in read_tflite(artifact).operations}
    results: dict[str, dict[str, Any]] = {}
    for part in times.parts:
        if not part.indices or part.indices[-1] not in operations:
            continue
        tensor = operations[part.indices[-1]].outputs[0].name
        before = results.get(tensor, {"value": 0.0})["value"]
        results[tensor] = {"value": round(before + part.milliseconds, 6)}
        if part.fallen:
            results[tensor]["bgColor"] = FALLEN
    return {"results": results, "gradient": GRADIENT}
