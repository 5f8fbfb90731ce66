"""Gathers why a run's models are as slow as they are: the cost of each operation on each device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.devices.logs.profile import ProfileRow
from nas.devices.placement import is_cpu
from nas.errors import NasError
from nas.networks.changes import Suggest
from nas.report.npu_answers import KeptAnswers, questions
from nas.report.operation_times import (
    OperationTimes,
    Part,
    Source,
    file_operations,
    from_paper_phone,
    from_predictor,
    from_profile,
    quietly,
)
from nas.report.replacements import (
    ReadArchitecture,
    Replacement,
    network_operations,
    replacements,
)
from nas.report.report_data import ReportData, latency_metrics
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.environment import processor
from nas.system.files import read_json, write_json

MODELS = 8  # of the front, that are taken apart
OWN = "LiteRT's own kernels"

ProfileHost = Callable[[Path, int], Sequence[ProfileRow]]


@dataclass(frozen=True)
class Slowness:
    """One model: the cost of its operations by device, and what would be faster.

    `missing` says by device why nothing is known of its operations. `unasked` counts replacements
    of which an NPU could tell, and was not asked.
    """

    result: TrialResult
    times: tuple[OperationTimes, ...]
    missing: dict[str, str]
    replacements: tuple[Replacement, ...]
    unasked: int = 0

    def fallen_ms(self) -> float:
        """The time of all operations that no accelerator took, over all devices, in ms."""
        return sum(part.milliseconds for one in self.times for part in one.parts if part.fallen)


def slowness(
    run: RunFolder,
    data: ReportData,
    models: Sequence[TrialResult],
    read: ReadArchitecture | None,
    profile_host: ProfileHost | None,
    suggest: Suggest | None = None,
) -> list[Slowness]:
    """Take `models` apart, and the trial of the run that falls back the most.

    `read` makes an architecture of its JSON; None leaves the modelled phones, predictors and
    replacements out. `profile_host` times a file's operations on this machine; None to use only
    what is kept. `suggest` gives changes that no candidate of the run made.
    """
    worst = _worst(data)
    numbers = {model.number for model in models}
    extra = [worst] if worst is not None and worst.number not in numbers else []
    taken = []
    for model in [*models, *extra]:
        times, missing = _taken_apart(run, data, model, read, profile_host)
        faster = _faster(run, data, model, read, suggest) if read is not None else []
        unasked = len(questions(run, [model], data.results, suggest))
        taken.append(Slowness(model, tuple(times), missing, tuple(faster), unasked))
    return taken


def _faster(
    run: RunFolder,
    data: ReportData,
    model: TrialResult,
    read: ReadArchitecture,
    suggest: Suggest | None,
) -> list[Replacement]:
    size, answers = _size(data), KeptAnswers(run)
    return replacements(model, data.results, data.devices, size, read, suggest, answers)


def _worst(data: ReportData) -> TrialResult | None:
    """Return the complete trial that is the slowest for its device's fastest; None without one."""
    devices = [d for d in data.devices if d.startswith(("adb:", "paper:"))]
    complete = [r for r in data.results if r.state == "complete"]

    def ratio(result: TrialResult) -> float:
        timed = latency_metrics(result)
        return max((timed[d].value / fastest[d] for d in devices if d in timed), default=0.0)

    fastest = {
        device: min(r.value(f"latency_ms[{device}]") for r in complete if _has(r, device))
        for device in devices
        if any(_has(r, device) for r in complete)
    }
    devices = list(fastest)
    stand_for = [r for r in complete if r.baseline] or complete
    return max(stand_for, key=ratio, default=None) if devices else None


def _has(result: TrialResult, device: str) -> bool:
    return f"latency_ms[{device}]" in result.metrics


def _taken_apart(
    run: RunFolder,
    data: ReportData,
    result: TrialResult,
    read: ReadArchitecture | None,
    profile_host: ProfileHost | None,
) -> tuple[list[OperationTimes], dict[str, str]]:
    """Return the cost of each operation by device, and by device why nothing is known of it."""
    times, missing = [], {}
    for device in data.devices:
        if not _has(result, device):
            continue
        one, reason = _on_device(run, data, result, device, read, profile_host)
        if one is None:
            missing[device] = reason
        else:
            times.append(one)
    return times, missing


def _size(data: ReportData) -> tuple[int, int]:
    width, height = data.study["size"]
    return (int(width), int(height))


def _on_device(
    run: RunFolder,
    data: ReportData,
    result: TrialResult,
    device: str,
    read: ReadArchitecture | None,
    profile_host: ProfileHost | None,
) -> tuple[OperationTimes | None, str]:
    """Return what is known, or None and the reason."""
    size = _size(data)
    one, reason = None, "nothing tells what each operation costs there"
    if device == "host":
        one, reason = _on_host(run, data, result, profile_host)
    elif device.startswith("paper:") and read is not None:
        one = quietly(lambda: from_paper_phone(device, network_operations(result, size, read)))
    elif device.startswith("adb:"):
        one = quietly(lambda: _of_phone(run, result, device))
        reason = "the phone's tool told of no operation's time"
    elif device.startswith("npu:"):
        reason = "the vendor's simulator tells the time of the whole network alone"
    if one is None and read is not None:
        one = quietly(lambda: from_predictor(device, network_operations(result, size, read)))
        reason += f"; `nas predictor fit --device '{device}'` estimates it"
    return one, reason


def _measurement(run: RunFolder, result: TrialResult, device: str) -> dict[str, Any]:
    """Return the kept measurement of a trial on a device; empty where it is gone."""
    note = result.conditions.get("devices", {}).get(device) or {}
    try:
        kept = read_json(run.path / "measurements" / f"{note.get('measurement')}.json")
    except NasError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _of_phone(run: RunFolder, result: TrialResult, device: str) -> OperationTimes | None:
    """Return the profile that was taken in the phone's untimed launch."""
    kept = _measurement(run, result, device)
    rows = kept.get("conditions", {}).get("profile")
    if not rows or result.artifact is None:
        return None
    about = "profiled in one untimed inference, before the timed launches"
    source: Source = "synthetic" if kept["source"] == "synthetic" else "measured"
    operations = file_operations(run.path / result.artifact)
    return from_profile(device, source, about, rows, operations, kept["placement"])


def _on_host(
    run: RunFolder, data: ReportData, result: TrialResult, profile_host: ProfileHost | None
) -> tuple[OperationTimes | None, str]:
    """Profile a file on this machine, or read the profile that an earlier report took."""
    if result.artifact is None:
        return None, "there is no file to profile"
    path = run.path / result.artifact
    try:
        rows = _kept_profile(run, data, path, profile_host)
        if rows is None:
            return None, _NOT_PROFILED
        placement = _measurement(run, result, "host").get("placement", [])
        # This machine is a processor: what XNNPACK does not take falls back nowhere.
        kept = [
            one | ({"accelerator": OWN} if is_cpu(one["accelerator"]) else {}) for one in placement
        ]
        about = "profiled when the report was written, the fastest of a few inferences"
        return from_profile("host", "measured", about, rows, file_operations(path), kept, OWN), ""
    except (NasError, OSError) as error:
        return None, f"LiteRT's profiler can't tell: {error}"


_NOT_PROFILED = "it was not profiled: only the machine of the search can do that"


def _kept_profile(
    run: RunFolder, data: ReportData, path: Path, profile_host: ProfileHost | None
) -> list[dict[str, Any]] | None:
    from nas.tflite.file import structure_key

    threads = _threads(data)
    kept = run.profile(structure_key(path), threads)
    if kept.exists():
        rows: list[dict[str, Any]] = read_json(kept)["rows"]
        return rows
    own = data.description.get("conditions", {}).get("processor")
    if profile_host is None or own != processor():
        return None
    rows = [row.to_dict() for row in profile_host(path, threads)]
    write_json(kept, {"threads": threads, "rows": rows})
    return rows


def _threads(data: ReportData) -> int:
    protocols = [one["protocol"] for one in data.study.get("evaluators", []) if "protocol" in one]
    return int(protocols[0].get("threads", 1)) if protocols else 1


def by_kind(times: OperationTimes) -> list[tuple[str, int, float, bool]]:
    """Return (name, how many, ms, whether any fell back) for each kind of part, dearest first."""
    groups: dict[tuple[str, bool], list[Part]] = {}
    for part in times.parts:
        groups.setdefault((part.name, part.fallen), []).append(part)
    rows = [
        (name, len(parts), sum(part.milliseconds for part in parts), fallen)
        for (name, fallen), parts in groups.items()
    ]
    return sorted(rows, key=lambda row: -row[2])
