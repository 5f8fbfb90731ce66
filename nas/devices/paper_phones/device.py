"""The paper's three phones as devices `paper:PHONE`, known only by what the paper published.

The paper's own networks get its own figures (source "published"); any other one gets what a small
model fitted to them says (source "modelled"). Nothing here was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, final

from nas.devices.failures import DeviceFailure, Evidence, PhoneStableError
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.devices.paper_phones import latency_model
from nas.devices.paper_phones.evidence import in_words, unseen
from nas.devices.paper_phones.latency_model import features, fitted
from nas.devices.paper_phones.networks import recognised, row_of
from nas.devices.paper_phones.published import FOLDER, OP_FAILED, Cell, Row, phones
from nas.devices.paper_phones.rules import RULES, PhoneRules, Plan, place, plan
from nas.devices.placement import nnapi_name
from nas.errors import unknown
from nas.system.hashing import content_key, file_sha256
from nas.tflite.file import TfliteFile, read_tflite
from nas.tflite.operations import Operations, of_file
from nas.tflite.size import check_fixed, size_conditions

PREFIX = "paper:"
"""Specs of the paper's phones begin so."""
SPECS = tuple(f"{PREFIX}{phone}" for phone in RULES)
"""The specs of all three phones."""
FORM = 2
"""Counted up whenever the model gives another figure for the same cells."""
_FILES = ("latencies.csv", "operations.csv", "table2_networks.csv", "table3_unet_operations.csv",
          "table4_optimizations.csv")  # fmt: skip
Source = Literal["published", "modelled"]


@final
@dataclass(frozen=True)
class PaperFigure:
    """The published or modelled latency of a network on one of the paper's phones.

    `latency_ms` is None where `failure` tells why. `interval_ms` holds the latency with probability
    `coverage`; both are None for a published figure, of which the paper tells no spread. `plan`
    says where operations run, `about` where the figure comes from, `caution` what to mind, None
    where there is nothing.
    """

    source: Source
    latency_ms: float | None
    interval_ms: tuple[float, float] | None
    coverage: float | None
    failure: DeviceFailure | None
    plan: Plan
    about: str
    caution: str | None = None


def tell(phone: str, operations: Operations) -> PaperFigure:
    """Return the paper's figure, or else the model's, for a network on one of its phones.

    Needs no file and no conversion: `nas.tflite.operations.of_graph` makes the list from
    an architecture, too. Raises ConfigError where the paper has no such phone.
    """
    if phone not in RULES:
        raise unknown("phone of the paper", phone, RULES)
    planned = plan(RULES[phone], operations)
    match = recognised(operations)
    row = row_of(*match) if match else None
    cell = row.cell(phone) if row else None
    if row is None or cell is None or cell.outcome == "empty":
        return _modelled(phone, operations, planned, row)
    return _published(row, cell, planned)


def _published(row: Row, cell: Cell, planned: Plan) -> PaperFigure:
    about = f"Table {row.table}, {row.row}"
    note = cell.footnote.text if cell.footnote else None
    if row.network == "fpn":
        note = "; ".join(filter(None, (note, "the paper's file multiplies by constants apart")))
    if cell.outcome == "failed":
        failure = DeviceFailure("nnapi_error", f"published: {about}", OP_FAILED)
        return PaperFigure("published", None, None, None, failure, planned, about)
    return PaperFigure("published", cell.latency_ms, None, None, None, planned, about, note)


def _modelled(phone: str, operations: Operations, planned: Plan, row: Row | None) -> PaperFigure:
    cells = sum(structure.cells for structure in latency_model.published_structures(phone))
    about = f"a model fitted to {cells} published cells"
    cautions = []
    if row is not None:
        cautions.append(f"Table {row.table} leaves {row.row} empty for this phone")
    if operations.dtype == "int16" and RULES[phone].int16 is None:
        cautions.append(
            "NNAPI has no 16-bit fixed point: taken to run on the CPU as slowly as what falls back"
        )
    doubtful = unseen(phone, operations)
    cautions += filter(None, [in_words(doubtful)])
    caution = "; ".join(cautions) or None
    if planned.failure is not None:
        failure = DeviceFailure("nnapi_error", f"modelled: {planned.failure}", planned.code)
        return PaperFigure("modelled", None, None, None, failure, planned, about, caution)
    model, wanted = fitted(phone), features(RULES[phone], operations)
    known = features(RULES[phone], operations, without=doubtful)
    estimate = model.estimate(wanted, model.share_beyond(known, wanted))
    return PaperFigure(
        "modelled", estimate.latency_ms, estimate.interval_ms, estimate.coverage, None, planned,
        about, caution,
    )  # fmt: skip


@final
class PaperPhoneError(PhoneStableError):
    """A network can't run on one of the paper's phones: as published, or by the model's rules."""

    source: str | None = "modelled"


@final
@dataclass(frozen=True)
class ModelledPhone:
    """One of the paper's phones; safe to share, always there, needs no adb."""

    rules: PhoneRules

    @property
    def spec(self) -> str:
        """The name that `open_device` takes."""
        return f"{PREFIX}{self.rules.phone}"

    def identity(self) -> dict[str, str]:
        """Return a hash of the published data and of the model, which the figures depend on."""
        return {"model": model_identity()}

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Look up or model the latency of a file; nothing runs, and `protocol` changes nothing.

        Raises ConfigError where the file is no `.tflite` of a fixed size, PaperPhoneError where
        the paper says that the network fails on this phone, or its rules do.
        """
        file = read_tflite(artifact)
        check_fixed(file, artifact)
        operations = of_file(file)
        figure = tell(self.rules.phone, operations)
        placement = _placement(self.rules, file, operations, figure.plan)
        if figure.failure is not None or figure.latency_ms is None:
            raise self._refusal(figure, placement)
        return Measurement(
            device=self.spec,
            source=figure.source,
            samples_ms=((figure.latency_ms,),),
            init_ms=None,
            first_ms=None,
            peak_memory_mb=None,
            placement=placement,
            conditions=_conditions(self.rules, artifact, figure) | size_conditions(file),
            accelerated_mac_share=accelerated_mac_share(operations, figure.plan),
            stated_interval_ms=figure.interval_ms,
            stated_coverage=figure.coverage,
        )

    def _refusal(self, figure: PaperFigure, placement: tuple[Placement, ...]) -> PaperPhoneError:
        failure = figure.failure or DeviceFailure("nnapi_error", figure.about)
        error = PaperPhoneError(f"{self.spec}: {failure}", failure, Evidence(self.spec))
        error.placement, error.source = placement, figure.source
        return error


def _placement(
    rules: PhoneRules, file: TfliteFile, operations: Operations, planned: Plan
) -> tuple[Placement, ...]:
    """Tell where each operation of the file runs by the rules, under NNAPI's names."""
    where = {
        index: place(rules, step, number in planned.fallen)
        for number, step in enumerate(operations.steps)
        for index in step.indices
    }
    first = place(rules, operations.steps[0], False)
    return tuple(
        Placement(step.index, nnapi_name(step.name), where.get(step.index, first))
        for step in file.operations
    )


def accelerated_mac_share(operations: Operations, planned: Plan) -> float | None:
    """Compute the share of the MACs that do not fall back by the rules; None without MACs."""
    total = sum(step.conv_macs for step in operations.steps)
    fallen = sum(operations.steps[number].conv_macs for number in planned.fallen)
    return 1 - fallen / total if total else None


def _conditions(rules: PhoneRules, artifact: Path, figure: PaperFigure) -> dict[str, Any]:
    named = next(phone.name for phone in phones() if phone.phone == rules.phone)
    evidence = {rule.evidence for rule in figure.plan.fallen.values() if rule is not None}
    return {
        "phone": named,
        "about": figure.about,
        "caution": figure.caution,
        "rules": sorted(evidence),
        "protocol": "the paper's: TFLite Benchmark Tool, NNAPI, allow_fp16, 10 runs, 4 threads",
        "artifact": {"sha256": file_sha256(artifact), "bytes": artifact.stat().st_size},
    }


@cache
def model_identity() -> str:
    """Hash the published data, the rules and the form of the model."""
    return content_key(
        [
            FORM,
            [file_sha256(FOLDER / name) for name in _FILES],
            repr(sorted(RULES.items())),
            [latency_model.ACCELERATED, latency_model.FALLEN, latency_model.TYPE_FACTORS],
            [
                latency_model.NOISE,
                latency_model.SPREAD,
                latency_model.NARROW,
                latency_model.COVERAGE,
            ],
        ]
    )


def open_modelled(spec: str) -> ModelledPhone:
    """Open the phone that `paper:PHONE` names; raises ConfigError, with the valid names."""
    phone = spec.removeprefix(PREFIX)
    if phone not in RULES:
        raise unknown("device", spec, ["host", "adb:SERIAL", *SPECS])
    return ModelledPhone(RULES[phone])
