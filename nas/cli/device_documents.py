"""What `--json` prints of devices: measurements, phones, logs, predictors; see `documents`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nas.devices.measurement import Placement
from nas.devices.npu.operation_support import NpuSupport
from nas.devices.phone.operation_support import Support
from nas.predictor.checking import Score

Json = dict[str, Any]
"""An object whose fields are another page's: a candidate, a space, a device's conditions."""


@dataclass(frozen=True)
class MeasurementDocument:
    """A latency with its launches, its conditions, and where each operation ran.

    `latency_ms` is null on an NPU with `?partly=allowed`.
    """

    device: str
    device_name: str
    source: str
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    interval_coverage: float | None
    spread: float | None
    count: int
    samples_ms: list[list[float]]
    init_ms: float | None
    first_ms: float | None
    peak_memory_mb: float | None
    placement: list[Placement]
    accelerated_mac_share: float | None
    failure: None
    counts: list[int]
    stated_interval_ms: tuple[float, float] | None
    stated_coverage: float | None
    figures: dict[str, float]
    conditions: Json


@dataclass(frozen=True)
class PlacedDocument:
    """Where each operation runs on a device that has no latency."""

    device: str
    source: str
    latency_ms: None
    placement: list[Placement]
    accelerated_mac_share: float
    failure: None
    conditions: Json


@dataclass(frozen=True)
class CheckedModelDocument:
    """A model measured again: `verdict` compares its interval with the baseline's.

    `same_file` tells whether it is the very file of the baseline.
    """

    model: str
    sha256: str
    verdict: Literal["same", "slower", "faster", "new"]
    same_file: bool | None
    latency_ms: float
    interval_ms: tuple[float, float]
    baseline_ms: float | None
    baseline_interval_ms: tuple[float, float] | None
    ratio: float | None
    source: str
    disturbed: str | None
    said: str


@dataclass(frozen=True)
class CheckedDocument:
    """Models measured again on a device, beside a baseline; `passed` is false where one is slower.

    `missing` are models of the baseline that were not measured; `written` tells whether the
    baseline was written.
    """

    device: str
    device_name: str
    baseline: str
    passed: bool
    written: bool
    models: list[CheckedModelDocument]
    missing: list[str]


@dataclass(frozen=True)
class DeviceDocument:
    """A device: this machine, a phone, an NPU by its compiler, a GPU in software, a modelled phone.

    `kind` is "host", "phone", "npu", "gpu" or "paper". What does not apply is null.
    `median_error` is that of a modelled phone's latencies, each left out of the fit. `delegates`
    are those that a phone can run, and `missing_for` says why not the others.
    """

    device: str
    kind: Literal["host", "phone", "npu", "gpu", "paper"]
    state: str
    model: str | None
    chip: str | None
    accelerators: list[str] | None
    source: str | None
    fit: bool | None
    advice: str
    serial: str | None = None
    manufacturer: str | None = None
    android: str | None = None
    sdk: int | str | None = None
    build: str | None = None
    abis: list[str] | None = None
    big_core_mask: str | None = None
    battery_percent: float | None = None
    thermal_status: int | None = None
    usual: Json | None = None
    structures: int | None = None
    median_error: float | None = None
    delegates: list[str] | None = None
    missing_for: Json | None = None
    default_delegate: str | None = None


@dataclass(frozen=True)
class SupportRowDocument(Support):
    """Whether an operation of a type ran accelerated after another one; null: nobody knows."""

    accelerated: bool | None = None


@dataclass(frozen=True)
class SupportDocument:
    """What a phone accelerates."""

    device: str
    source: str
    fingerprint: str
    delegate: str
    rows: list[SupportRowDocument]


@dataclass(frozen=True)
class NpuSupportRowDocument(NpuSupport):
    """Whether an NPU takes an operation of a type after another one, in pictures of `size`."""

    accelerated: bool = True


@dataclass(frozen=True)
class NpuSupportDocument:
    """What an NPU takes, by its compiler."""

    device: str
    source: str
    packages: dict[str, str]
    rows: list[NpuSupportRowDocument]


@dataclass(frozen=True)
class LogDocument:
    """What a saved log says, run by run."""

    file: str
    runs: list[Json]


@dataclass(frozen=True)
class FidelityQualityDocument:
    """PSNR against the sharp pictures, of the device's outputs and of the expected ones."""

    definition: str
    device_psnr_db: float | None
    reference_psnr_db: float | None


@dataclass(frozen=True)
class FidelityDocument:
    """How far a device's outputs are from the model's."""

    device: str
    source: str
    reference: str
    definition: str
    psnr_db: float | None
    psnr_db_std: float | None
    l2_error: float
    largest_error: float
    equal_pictures: int
    quality: FidelityQualityDocument
    pictures: list[Json]
    conditions: Json


@dataclass(frozen=True)
class OperationKindDocument:
    """How often an operation of a type was measured, and the noise of that (a share)."""

    op: str
    dtype: str
    measured: int
    noise: float


@dataclass(frozen=True)
class PredictorDocument:
    """A fitted predictor: what it is for, what it was fitted to, what the device refused."""

    about: Json
    kinds: list[OperationKindDocument]
    refused: list[tuple[str, str, str]]
    surcharges: list[tuple[str, str, str, float]]
    networks: dict[str, int]
    file: str
    seconds: float


@dataclass(frozen=True)
class NetworkCheckDocument:
    """A network that the predictor never saw: `NetworkCheck`, and the forecast's error, a share."""

    label: str
    precision: str
    gmacs: float
    latency_ms: float
    launches_ms: tuple[float, float]
    predicted_ms: float
    interval_ms: tuple[float, float]
    by_macs_ms: float
    warnings: list[str]
    disturbed: str | None
    error: float


@dataclass(frozen=True)
class PredictorCheckDocument:
    """How near a predictor is, by precision: "predictor", and "macs" for MACs alone."""

    about: Json
    scores: dict[str, dict[str, Score]]
    networks: list[NetworkCheckDocument]
    plot: str
