"""What an evaluator is: it looks at what was made of a candidate and returns named figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nas.devices.fleet import MeasureAll, measure_everywhere
from nas.errors import DeviceError, DeviceStableError, DeviceTransientError
from nas.networks.candidate import Candidate
from nas.study.metric import Metric

if TYPE_CHECKING:
    from nas.data import Dataset

Needs = Literal["architecture", "structure", "weights"]


@dataclass(frozen=True)
class Subject:
    """What an evaluator may look at.

    `artifact` is the `.tflite` at the deployment `size` (width, height): None for evaluators that
    need the architecture alone, untrained for those that need the structure, trained for those
    that need the weights. `cache` is a folder for what should not be measured twice.

    A candidate must run on every one of `devices`, and is measured on the `optional` ones where it
    can be. `reference` is the artifact that latencies are put in relation to, None where nothing
    is. An evaluator writes into `notes` (JSON types) what a trial's result should keep beside
    figures. `measure` gets devices to run artifacts, wherever they hang.
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
    """A required device has no figure; `device` is its spec, `figures` are the other devices'."""

    def __init__(self, message: str, device: str, figures: Mapping[str, Metric]) -> None:
        super().__init__(message)
        self.device = device
        self.figures = figures


class DeviceRefusedError(MissingFigureError, DeviceStableError):
    """The candidate can't run there."""


class DeviceAwayError(MissingFigureError, DeviceTransientError):
    """The device could not measure this time, though it runs its reference model."""


class DeviceLostError(MissingFigureError, DeviceTransientError):
    """The device was set aside: it fails with its reference model, too."""


class Evaluator(Protocol):
    """See `evaluators`: `Cost`, `Latency` and `Quality`.

    `needs` says when it runs: "architecture" before anything is built, "structure" on the untrained
    artifact before training, "weights" on the final one. Where the final artifact's structure
    differs from the untrained one's, "structure" evaluators run again.
    """

    @property
    def needs(self) -> Needs:
        """The earliest stage that has what it looks at."""
        ...

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the figures that `evaluate` returns for these devices."""
        ...

    def evaluate(self, subject: Subject) -> Mapping[str, Metric]:
        """The figures; raises a NasError where there can be none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types, for a study's fingerprint."""
        ...
