"""Finds which operation broke which phone, from the placements that a run's folder keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.devices.measurement import Placement
from nas.devices.placement import is_cpu
from nas.errors import RunError
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import read_json


@dataclass(frozen=True)
class FallenOperation:
    """An operation that a phone's accelerators did not take.

    `where` names what it ran on instead, in the trials `trials`. `of` counts the trials that have
    the operation and whose placement on this phone is known.
    """

    device: str
    op: str
    where: tuple[str, ...]
    trials: tuple[int, ...]
    of: int


@dataclass(frozen=True)
class Refusal:
    """Trials that have no latency on a device, and one of the reasons.

    `lasting`: the network can't run there; else the device was away. `suspects` are the operations
    that every refused network has and no network has that ran: a hint, no proof.
    """

    device: str
    lasting: bool
    trials: tuple[int, ...]
    example: str
    suspects: tuple[str, ...]


@dataclass(frozen=True)
class _TrialOnDevice:
    """One trial on one device."""

    trial: int
    device: str
    placement: tuple[Placement, ...]
    failure: str | None
    measured: bool

    @property
    def accelerated(self) -> bool:
        """Whether any operation ran on an accelerator, or none is known to have fallen back."""
        return any(not is_cpu(row.accelerator) for row in self.placement)


def fallen_operations(run: RunFolder, results: Sequence[TrialResult]) -> list[FallenOperation]:
    """Return every operation that fell back, by device, the most frequent first.

    A run whose accelerator never came up is left out: no operation is to blame for it.
    """
    rows = []
    for device, every in _by_device(_looks(run, results)).items():
        looks = [look for look in every if look.accelerated]
        fallen = [_fallen(device, op, looks) for op in _operations(looks)]
        rows += sorted((row for row in fallen if row.trials), key=lambda row: -len(row.trials))
    return rows


def _operations(looks: Sequence[_TrialOnDevice]) -> list[str]:
    return list(dict.fromkeys(row.op for look in looks for row in look.placement))


def _fallen(device: str, op: str, looks: Sequence[_TrialOnDevice]) -> FallenOperation:
    placed = {look.trial: [r for r in look.placement if r.op == op] for look in looks}
    on_cpu = {trial: [r for r in rows if is_cpu(r.accelerator)] for trial, rows in placed.items()}
    where = {str(row.accelerator) for rows in on_cpu.values() for row in rows}
    trials = tuple(trial for trial, rows in on_cpu.items() if rows)
    return FallenOperation(
        device, op, tuple(sorted(where)), trials, sum(map(bool, placed.values()))
    )


def refusals(run: RunFolder, results: Sequence[TrialResult]) -> list[Refusal]:
    """Return the trials that have no latency on a device, by device, with a reason."""
    rows = []
    for device, looks in _by_device(_looks(run, results)).items():
        ran = {row.op for look in looks if look.failure is None for row in look.placement}
        for lasting in (True, False):
            failed = [x for x in looks if x.failure is not None and x.measured == lasting]
            if failed:
                shared = set.intersection(*({row.op for row in x.placement} for x in failed))
                suspects = tuple(sorted(shared - ran)) if lasting and ran else ()
                trials = tuple(look.trial for look in failed)
                rows.append(Refusal(device, lasting, trials, str(failed[0].failure), suspects))
    return rows


def _by_device(looks: Iterator[_TrialOnDevice]) -> dict[str, list[_TrialOnDevice]]:
    by_device: dict[str, list[_TrialOnDevice]] = {}
    for look in looks:
        by_device.setdefault(look.device, []).append(look)
    return by_device


def _looks(run: RunFolder, results: Sequence[TrialResult]) -> Iterator[_TrialOnDevice]:
    """Yield every trial on every phone and NPU that it was sent to, except on phones' CPUs."""
    for result in results:
        notes: Mapping[str, Any] = result.conditions.get("devices", {})
        for device, note in notes.items():
            if not device.startswith(("adb:", "npu:")) or "delegate=cpu" in device:
                continue
            placement = kept_placement(run, note["measurement"])
            measured = note["measurement"] is not None
            yield _TrialOnDevice(result.number, device, placement, note["failure"], measured)


def kept_placement(run: RunFolder, key: str | None) -> tuple[Placement, ...]:
    """Return the placement that is kept with a measurement; nothing where the file is gone."""
    try:
        rows = read_json(run.path / "measurements" / f"{key}.json")["placement"] if key else []
        return tuple(Placement(**row) for row in rows)
    except (RunError, KeyError, TypeError):
        return ()
