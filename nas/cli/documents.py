"""What `--json` prints: one envelope for every command, and what its `data` holds, kind by kind.

An envelope has `format` (its version), `kind` (the command), and either `data` or `error`. The
classes here are the source of the JSON schemas: `schema_of` derives them, `nas schema KIND` prints
one, and tests hold what commands print to them. A figure that is not known is null.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from nas.cli.console import FORMAT
from nas.cli.device_documents import (
    CheckedDocument,
    DeviceDocument,
    FidelityDocument,
    Json,
    LogDocument,
    MeasurementDocument,
    NpuSupportDocument,
    PlacedDocument,
    PredictorCheckDocument,
    PredictorDocument,
    SupportDocument,
)
from nas.data.check import Check
from nas.devices.checkup.finding import Finding
from nas.devices.sweep import SweepRow
from nas.errors import unknown
from nas.execution.status import Status
from nas.report.restored_page import RestoredPhoto
from nas.study.trial_result import Failure, State


@dataclass(frozen=True)
class ErrorDocument:
    """Why a command failed: the error's class, its one line, and the command's exit code.

    `details` has what else is known, for example a device's failure with its class and code.
    """

    kind: str
    message: str
    exit_code: int
    details: Json


@dataclass(frozen=True)
class StudyDocument:
    """A study that comes with the project."""

    name: str
    description: str
    trials: int
    objectives: list[str]
    size: tuple[int, int]
    data: str


@dataclass(frozen=True)
class LayerDocument:
    """A layer: its name, what it computes, from which layers, its output (h, w, c), its cost."""

    name: str
    operation: str
    inputs: list[str]
    shape: tuple[int, int, int]
    gmacs_conv: float
    gmacs_profiler: float
    parameters: int


@dataclass(frozen=True)
class DescriptionDocument:
    """An architecture's costs at a picture size, in all and by layer."""

    architecture: Json
    label: str
    size: tuple[int, int]
    gmacs_conv: float
    gmacs_profiler: float
    parameters: int
    layers: list[LayerDocument]


@dataclass(frozen=True)
class ModelDocument:
    """A model of the front: its figures, each latency by device, and where its file is."""

    key: str
    label: str
    trial: int
    architecture: Json | None
    precision: str | None
    baseline: bool
    psnr_db: float | None
    psnr_db_interval: tuple[float, float] | None
    psnr_db_input: float | None
    ssim: float | None
    gmacs: float | None
    gmacs_conv: float | None
    gmacs_profiler: float | None
    parameters: float | None
    bytes: float | None
    latency_ms: dict[str, float]
    latency_interval_ms: dict[str, tuple[float, float] | None]
    taken_on_busy_processor: dict[str, str | None]
    artifact: str | None
    sources: dict[str, str]
    definitions: dict[str, str]


@dataclass(frozen=True)
class ChoiceDocument:
    """The model to take: `trial`; `equal` are all that noise can't tell from `sharpest`."""

    trial: int
    sharpest: int
    equal: list[int]


@dataclass(frozen=True)
class ParetoDocument:
    """A run's front within the budgets `under`, and the model to take of it.

    `resolved_db` is the difference of PSNR below which models are alike; null where the noise is
    not known. `said` are the sentences that the table is printed with.
    """

    run: str
    size: tuple[int, int]
    device_names: dict[str, str]
    under: dict[str, float]
    choice: ChoiceDocument | None
    resolved_db: float | None
    said: list[str]
    models: list[ModelDocument]


@dataclass(frozen=True)
class TrialDocument:
    """A finished trial: how it ended, why, its figures, and the seconds of each stage.

    `taken_on_busy_processor` has the reason for each figure that was taken beside other work.
    """

    trial: int
    label: str
    key: str
    state: State
    on_front: bool
    baseline: bool
    reason: str
    failure: Failure | None
    violations: dict[str, float]
    figures: dict[str, float]
    sources: dict[str, str]
    taken_on_busy_processor: dict[str, str]
    timings_s: dict[str, float]


@dataclass(frozen=True)
class TrialsDocument:
    """A run's finished trials, or those of one state."""

    run: str
    trials: list[TrialDocument]


@dataclass(frozen=True)
class ExplanationDocument:
    """A run, or one of its trials, in sentences; the facts that they are made of."""

    run: str
    trial: int | None
    sentences: list[str]
    choice: ChoiceDocument | None


@dataclass(frozen=True)
class StatusDocument(Status):
    """A run as it stands now: `Status`, and what is derived of it."""

    finished: int = 0


@dataclass(frozen=True)
class RunFrontDocument:
    """The front of one of several runs."""

    run: str
    study: str
    trials: int
    hypervolume: float | None
    models: list[ModelDocument]


@dataclass(frozen=True)
class ComparisonDocument:
    """The fronts of several runs; `picture` is the file that shows them in one chart."""

    picture: str
    cost: str
    said: list[str]
    runs: list[RunFrontDocument]


@dataclass(frozen=True)
class CheckDocument(Check):
    """What is wrong with a data set, and whether it is usable all the same."""

    usable: bool = False
    psnr_metric: str = ""
    pack_bytes: int | None = None


@dataclass(frozen=True)
class PackDocument:
    """The patches that were packed for training."""

    spec: str
    folder: str
    patches: int
    patch: int
    bytes: int
    identity: Json


@dataclass(frozen=True)
class CompressedDocument:
    """One compressed network beside the float one: the document of its card.json."""

    candidate: Json
    conditions: Json
    pruned_share: float
    before: Json
    after: Json


@dataclass(frozen=True)
class CompressionsDocument:
    """Several compressions of one network: the document of compression.json."""

    architecture: Json
    conditions: Json
    before: Json
    rows: list[Json]


@dataclass(frozen=True)
class SupernetDocument:
    """A supernet: its folder, its key, what it was trained for, what that cost, and on what."""

    folder: str
    key: str
    spec: Json
    cost: Json
    conditions: Json


@dataclass(frozen=True)
class FileDocument:
    """A file of an exported model, by its path below the model's folder."""

    name: str
    bytes: int


@dataclass(frozen=True)
class PushDocument:
    """What a push to the Hub sends; `address` is null where nothing was sent.

    `obstacles` are sentences on what stands in its way, `front_matter` is the card's.
    """

    repository: str
    title: str
    public: bool
    front_matter: Json
    files: list[FileDocument]
    obstacles: list[str]
    address: str | None


@dataclass(frozen=True)
class TrackDocument:
    """What was handed to a tracker: trials that were `written`, and those that were there before.

    `name` is the run's in the tracker, `command` shows it there.
    """

    run: str
    tracker: str
    folder: str
    name: str
    written: int
    unchanged: int
    command: str


@dataclass(frozen=True)
class RestoredDocument:
    """The photographs that were restored, and the folder `out` that holds them and their page."""

    out: str
    photos: list[RestoredPhoto]


KINDS: dict[str, Any] = {
    "studies": list[StudyDocument],
    "status": StatusDocument,
    "pareto": ParetoDocument,
    "trials": TrialsDocument,
    "explain": ExplanationDocument,
    "compare": ComparisonDocument,
    "check": CheckedDocument,
    "describe": DescriptionDocument,
    "push": PushDocument,
    "track": TrackDocument,
    "restore": RestoredDocument,
    "measure": MeasurementDocument | PlacedDocument,
    "compress": CompressedDocument | CompressionsDocument,
    "fidelity": list[FidelityDocument],
    "sweep": list[SweepRow],
    "devices": list[DeviceDocument],
    "doctor": list[Finding],
    "probe": list[SupportDocument | NpuSupportDocument],
    "parse-log": LogDocument,
    "data-check": CheckDocument,
    "data-prepare": PackDocument,
    "predictor-fit": PredictorDocument,
    "predictor-check": PredictorCheckDocument,
    "supernet-train": SupernetDocument,
    "supernet-show": SupernetDocument,
}
"""What `data` is, by the envelope's kind: a command's name, "data-check" for `nas data check`."""


@cache
def _schema(kind: str) -> str:
    from pydantic import TypeAdapter

    definitions: Json = {}
    parts = {}
    for name, type_ in (("data", KINDS[kind]), ("error", ErrorDocument)):
        part = TypeAdapter(type_).json_schema(ref_template="#/$defs/{model}")
        definitions |= part.pop("$defs", {})
        parts[name] = part
    definitions |= parts
    for part in definitions.values():
        if "properties" in part:
            part["additionalProperties"] = False
    head = {"format": {"const": FORMAT}, "kind": {"const": kind}}
    either = [
        {
            "properties": {**head, name: {"$ref": f"#/$defs/{name}"}},
            "required": [*head, name],
            "additionalProperties": False,
        }
        for name in parts
    ]
    draft = "https://json-schema.org/draft/2020-12/schema"
    title = f"nas {kind.replace('-', ' ', 1) if kind != 'parse-log' else kind} --json"
    schema = {"$schema": draft, "title": title, "type": "object", "oneOf": either}
    return json.dumps({**schema, "$defs": definitions})


def schema_of(kind: str) -> Json:
    """Return the JSON Schema of the envelope that a command of this kind prints.

    Raises ConfigError for a kind that there is not.
    """
    if kind not in KINDS:
        raise unknown("kind of document", kind, KINDS)
    schema: Json = json.loads(_schema(kind))
    return schema
