"""The protocol of an evaluator: it takes a candidate's artifact and returns named figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from nas.devices.fleet import MeasureAll, measure_everywhere
from nas.errors import DeviceError, DeviceStableError, DeviceTransientError
from nas.networks.candidate import Candidate
from nas.study.metric import Metric

if TYPE_CHECKING:
    from nas.data import Dataset

Needs = Literal["architecture", "structure", "weights"]


@dataclass(frozen=True)
class Subject:
    """Everything that an evaluator may use to judge a candidate.

    `candidate`: the architecture and its compression.
    `size`: the deployment resolution (width, height).
    `artifact`: the `.tflite` at that size. It is None for evaluators that need the architecture
    alone, untrained for those that need the structure, trained for those that need the weights.
    `dataset`: the pictures that quality is scored on.
    `devices`: the devices that the candidate must run on.
    `cache`: a folder for figures that should not be measured twice.
    `optional`: further devices, on which the candidate is measured where it runs.
    `reference`: the artifact that latencies are put in relation to; None where none are.
    `notes`: what the trial's result should keep beside figures, as JSON types; evaluators write it.
    `measure`: the function that has artifacts run on devices, wherever these hang.
    """

    candidate: Candidate
    size: tuple[int, int]
    artifact: Path | None
    dataset: Dataset
    devices: tuple[str, ...]
    cache: Path
    optional: tuple[str, ...] = ()
    reference: Path | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    measure: MeasureAll = measure_everywhere


class MissingFigureError(DeviceError):
    """A required device has no figure; `device` is its spec, `figures` are those of the others."""

    def __init__(self, message: str, device: str, figures: Mapping[str, Metric]) -> None:
        super().__init__(message)
        self.device = device
        self.figures = figures


class DeviceRefusedError(MissingFigureError, DeviceStableError):
    """The device refused the candidate: it can't run there."""


class DeviceAwayError(MissingFigureError, DeviceTransientError):
    """The device could not measure this time, though it runs its reference model."""


class DeviceLostError(MissingFigureError, DeviceTransientError):
    """The device was set aside: it fails with its reference model, too."""


class Evaluator(Protocol):
    """Returns named figures of a candidate; `Cost`, `Latency`, `Quality` in `evaluators` do.

    `needs` says when it runs: "architecture" before anything is built, "structure" on the untrained
    artifact before training, "weights" on the final one. Where the final artifact's structure
    differs from the untrained one's, "structure" evaluators run again.
    """

    @property
    def needs(self) -> Needs:
        """The earliest stage of a trial at which the evaluator can run."""
        ...

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the figures that `evaluate` gives for these devices."""
        ...

    def evaluate(self, subject: Subject) -> Mapping[str, Metric]:
        """Return the figures by name; raises a NasError where there can be none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types, for a study's fingerprint."""
        ...


@runtime_checkable
class ChecksFirst(Protocol):
    """An evaluator that can tell before a search begins whether what it needs is on this machine.

    `Fidelity` is one: it needs a driver, a compiler or a phone.
    """

    def check(self) -> None:
        """Raise ConfigError, with the remedy, where something is missing; DeviceError as phones."""
        ...
