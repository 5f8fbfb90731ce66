"""Latencies of an artifact on every device of the study, and their worst ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nas.devices import Measurement, TimingProtocol
from nas.devices.fleet import Outcome
from nas.devices.npu.chips import CUT_FIGURES, PARTLY
from nas.devices.npu.chips import FIGURES as NPU_FIGURES
from nas.errors import DeviceStableError, RunError
from nas.study.evaluator import DeviceAwayError, DeviceLostError, DeviceRefusedError, Needs, Subject
from nas.study.metric import Metric, least_trusted
from nas.study.objectives import WORST_RATIO
from nas.system.files import held


@dataclass(frozen=True)
class Latency:
    """Measures `latency_ms[DEVICE]`, `init_ms[DEVICE]` and more on all devices side by side.

    Where they are known, `peak_memory_mb[DEVICE]` and `accelerated_mac_share[DEVICE]` are added.
    NPUs add their memory traffic: `ddr_read_mb[DEVICE]` and what else `NPU_FIGURES` names. With
    `PARTLY` behind their name they tell the placement alone: `cpu_operations[DEVICE]` and what else
    `CUT_FIGURES` names.

    Latency belongs to the structure, not to the weights: each structure is measured once a device
    and run, and the measurement is kept with the placement of its operations.

    `worst_latency_ratio` folds the required devices that have a latency into one figure: the
    largest ratio, over these devices, of the candidate's latency to that of the study's reference
    network. The reference is measured once a run and device, by the same `protocol`; its own ratio
    is 1.
    """

    protocol: TimingProtocol = field(default_factory=TimingProtocol)
    needs: ClassVar[Needs] = "structure"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figures: loading where something runs, accelerated MACs but for the host."""
        names = []
        for device in devices:
            kind = device.partition(":")[0]
            if kind == "npu" and device.endswith(PARTLY):
                names += [f"{name}[{device}]" for name in ("accelerated_mac_share", *CUT_FIGURES)]
                continue
            names.append(f"latency_ms[{device}]")
            names += [f"init_ms[{device}]"] if kind not in ("paper", "npu") else []
            names += [f"accelerated_mac_share[{device}]"] if kind in ("adb", "paper", "npu") else []
            names += [f"{name}[{device}]" for name in NPU_FIGURES] if kind == "npu" else []
        timed = any(name.startswith("latency_ms") for name in names)
        return (*names, WORST_RATIO) if timed else tuple(names)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Measure on every device, and note for each what became of the artifact there.

        Raises DeviceRefusedError where the artifact can't run on a required device,
        DeviceLostError where such a device was set aside, DeviceAwayError where it could not
        measure now: each with the figures of the others. Raises RunError where the reference
        can't run.
        """
        if subject.artifact is None:
            raise ValueError("a latency needs an artifact")
        devices = subject.devices + subject.optional
        outcomes = subject.measure(subject.artifact, devices, self.protocol, subject.cache)
        figures: dict[str, Metric] = {}
        for outcome in outcomes:
            if outcome.measurement is not None:
                figures |= _figures(outcome.measurement, subject.size)
        required = outcomes[: len(subject.devices)]
        subject.notes["devices"] = {
            outcome.device: _note(outcome, outcome in required) for outcome in outcomes
        }
        _raise_worst(required, figures)
        if subject.reference is not None:
            figures[WORST_RATIO] = self._worst_ratio(subject, required)
        return figures

    def _worst_ratio(self, subject: Subject, outcomes: Sequence[Outcome]) -> Metric:
        if subject.reference is None:
            raise ValueError("a ratio needs a reference")
        with held(subject.reference.parent, wait=True):  # one measures, the others read
            references = subject.measure(
                subject.reference, subject.devices, self.protocol, subject.cache
            )
        _check_reference(references)
        return worst_ratio(_measurements(outcomes), _measurements(references))

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "latency", "protocol": self.protocol.to_dict()}


def worst_ratio(
    candidate: Mapping[str, Measurement], reference: Mapping[str, Measurement]
) -> Metric:
    """Find the largest of the devices' ratios of latencies, candidate over reference."""
    ratios = {name: m.latency_ms / reference[name].latency_ms for name, m in candidate.items()}
    worst = max(ratios, key=ratios.__getitem__)
    source = least_trusted(m.source for m in (*candidate.values(), *reference.values()))
    at = f"worst on {worst}; the reference takes {reference[worst].latency_ms:.4g} ms there"
    measurements = [*candidate.values(), *(reference[name] for name in candidate)]
    busy = next((m.disturbed for m in measurements if m.disturbed), None)
    how = "largest-ratio-to-reference-over-devices"
    return Metric(ratios[worst], source, how, conditions=at, disturbed=busy)


def _measurements(outcomes: Sequence[Outcome]) -> dict[str, Measurement]:
    return {
        outcome.device: outcome.measurement
        for outcome in outcomes
        if outcome.measurement is not None and outcome.measurement.timed
    }


def _check_reference(outcomes: Sequence[Outcome]) -> None:
    """Raise where the study's reference network has no latency on a device."""
    for outcome in outcomes:
        if isinstance(outcome.error, DeviceStableError):
            raise RunError(
                f"the study's reference can't run on {outcome.device} ({_why(outcome)}); choose "
                "another reference, or make the device optional"
            )
    _raise_worst(outcomes, {})


def _raise_worst(outcomes: Sequence[Outcome], figures: Mapping[str, Metric]) -> None:
    """Raise for the first required device that has no figure; refusals before mishaps."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    refused = [outcome for outcome in failed if isinstance(outcome.error, DeviceStableError)]
    lost = [outcome for outcome in failed if outcome.lost]
    kinds = ((lost, DeviceLostError), (refused, DeviceRefusedError), (failed, DeviceAwayError))
    for rows, kind in kinds:
        if rows:
            message = "; ".join(f"{outcome.device}: {_why(outcome)}" for outcome in rows)
            raise kind(message, rows[0].device, figures) from rows[0].error


def _why(outcome: Outcome) -> str:
    """Put a failure in words, with the operations that no accelerator took.

    Where everything ran on the CPU the accelerator did not come up: no operation is to blame.
    """
    from nas.devices.placement import fallbacks, is_cpu

    placement, said = outcome.placement, _said(outcome)
    fallen = fallbacks(placement)
    if fallen and any(row.accelerator and not is_cpu(row.accelerator) for row in placement):
        return f"{said}; no accelerator takes {', '.join(fallen)} there"
    silent = "; its log blames no operation" if placement and not fallen else ""
    return f"{said}{silent}"


def _said(outcome: Outcome) -> str:
    """Return the error's message without the device's name, which stands before it."""
    about, _, rest = str(outcome.error).partition(": ")
    return rest if rest and about.removeprefix("phone ") in outcome.device else f"{outcome.error}"


def _note(outcome: Outcome, required: bool) -> dict[str, Any]:
    """Return what a trial's result keeps of a device: its measurement's key, or its failure."""
    return {
        "required": required,
        "measurement": outcome.key,
        "failure": None if outcome.error is None else _why(outcome),
    }


def _figures(measurement: Measurement, size: tuple[int, int]) -> dict[str, Metric]:
    device, source = measurement.device, measurement.source
    at = _conditions(measurement, size)
    busy = measurement.disturbed
    figures: dict[str, Metric] = {}
    if measurement.timed:
        name = f"latency_ms[{device}]"
        how = "median-of-launch-medians" if measurement.measured else None
        interval = measurement.interval_ms if how else measurement.stated_interval_ms
        figures[name] = Metric(measurement.latency_ms, source, how, interval, at, busy)
    if measurement.init_ms is not None:
        figures[f"init_ms[{device}]"] = Metric(
            measurement.init_ms, source, conditions=at, disturbed=busy
        )
    if measurement.peak_memory_mb is not None:
        name = f"peak_memory_mb[{device}]"
        figures[name] = Metric(measurement.peak_memory_mb, source, conditions=at)
    if measurement.accelerated_mac_share is not None:
        name = f"accelerated_mac_share[{device}]"
        figures[name] = Metric(measurement.accelerated_mac_share, source, conditions=at)
    for name, value in measurement.figures.items():
        told_by = source if measurement.measured else "simulated"  # a phone's own, or a compiler's
        figures[f"{name}[{device}]"] = Metric(value, told_by, conditions=at)
    return figures


def _conditions(measurement: Measurement, size: tuple[int, int]) -> str:
    """Put a measurement's conditions in words: size, launches, runs, threads.

    For a modelled or published figure, its origin.
    """
    picture, conditions = f"{size[0]}x{size[1]}", measurement.conditions
    if not measurement.measured:
        parts = [picture, conditions.get("about"), conditions.get("caution")]
        return ", ".join(str(part) for part in parts if part)
    launches, threads = len(measurement.samples_ms), conditions.get("threads")
    return f"{picture}, {launches} launches, {measurement.count} runs" + (
        f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    )
