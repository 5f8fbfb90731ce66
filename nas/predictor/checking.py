"""Checks of a predictor against measurements of networks that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from nas.devices import Measurement
from nas.errors import BusyMachineError
from nas.networks.candidate import Architecture, Precision
from nas.predictor.fitting import FittingSpace, Networks, Progress, Warn
from nas.predictor.identity import folder_of, identity_of, load, protocol_of
from nas.predictor.predictor import Predictor, macs_of
from nas.predictor.terms import Term
from nas.study.study import Study
from nas.system.statistics import kendall_tau

LEAST_CALM = 2
SEED = 1
"""The seed of the networks to check on; those to fit to are drawn with another one."""


@final
@dataclass(frozen=True)
class NetworkCheck:
    """One network in one precision: its measured and predicted latency; all times in ms.

    `gmacs`: billions of multiply-accumulates.
    `latency_ms`, `launches_ms`: the measurement, and its interval over launches.
    `predicted_ms`, `interval_ms`: the prediction, and its interval.
    `by_macs_ms`: the latency that the MAC count alone predicts.
    `warnings`: the sizes that lie outside of anything measured.
    `disturbed`: who had the processor during the measurement, which then counts for nothing.
    """

    label: str
    precision: Precision
    gmacs: float
    latency_ms: float
    launches_ms: tuple[float, float]
    predicted_ms: float
    interval_ms: tuple[float, float]
    by_macs_ms: float
    warnings: tuple[str, ...]
    disturbed: str | None = None

    @property
    def error(self) -> float:
        """The prediction's relative error."""
        return self.predicted_ms / self.latency_ms - 1


@final
@dataclass(frozen=True)
class Score:
    """The agreement of predictions with measurements.

    `networks`: how many were compared.
    `mape`, `bias`: the mean absolute and the mean relative error.
    `tau`: Kendall's tau between predictions and measurements.
    `within_10`: the share of networks whose error is at most 10 %.
    `covered`: the share whose measurement lies in the predicted interval; None without them.
    """

    networks: int
    mape: float
    bias: float
    tau: float
    within_10: float
    covered: float | None = None

    @classmethod
    def of(
        cls,
        predicted_ms: Sequence[float],
        measured_ms: Sequence[float],
        intervals: Sequence[tuple[float, float]] | None = None,
    ) -> Score:
        """Return the score of two networks or more, in equal order in all arguments."""
        p, m = np.array(predicted_ms), np.array(measured_ms)
        error = p / m - 1
        covered = None
        if intervals is not None:
            inside = [low <= one <= high for one, (low, high) in zip(m, intervals, strict=True)]
            covered = float(np.mean(inside))
        return cls(
            len(m),
            float(np.abs(error).mean()),
            float(error.mean()),
            kendall_tau(predicted_ms, measured_ms) or 0.0,
            float((np.abs(error) <= 0.1).mean()),
            covered,
        )


def check(
    spec: str,
    study: Study,
    size: tuple[int, int] | None,
    networks: int,
    progress: Progress,
    warn: Warn = lambda text: None,
) -> tuple[Predictor, list[NetworkCheck]]:
    """Measure networks that the predictor never saw; return it and a row for each measurement.

    `networks` are drawn from the study's space and measured in each of its precisions, at `size`
    (width, height), the study's by default. `progress` gets the stage, its done and its whole
    count; `warn` gets sentences for the user. Rows that were measured while others had the machine
    are left out. Raises BusyMachineError
    where those are more than half of the networks of a precision; else as
    `nas.predictor.identity.load` and `nas.predictor.fitting.fit` do.
    """
    space, protocol = FittingSpace.of(study, size), protocol_of(study)
    about = identity_of(spec, study, space.size)
    predictor = load(about)
    drawn = _unseen_networks(predictor, space, networks)
    jobs = [(network, precision) for network in drawn for precision in space.precisions]
    rows: list[NetworkCheck] = []
    with Networks(spec, space, protocol, folder_of(about)) as measuring:
        for done, (network, precision) in enumerate(jobs):
            progress("networks", done, len(jobs))
            measurement = measuring.measure(network, precision)
            if measurement is None:
                continue
            terms = space.terms(network, precision)
            disturbed = measurement.disturbed if spec == "host" else None
            row = _compared(predictor, network.label, precision, terms, measurement)
            rows.append(replace(row, disturbed=disturbed))
            refuse_where_busy(rows, len(drawn))
    progress("networks", len(jobs), len(jobs))
    measuring.complain(warn)
    calm = [row for row in rows if row.disturbed is None]
    if len(calm) < len(rows):
        warn(
            f"{len(rows) - len(calm)} of {len(rows)} figures were taken while others had the "
            "machine, and are left out"
        )
    return predictor, calm


def _unseen_networks(predictor: Predictor, space: FittingSpace, count: int) -> list[Architecture]:
    """Return up to `count` networks of the space that the predictor was not fitted to."""
    networks = [
        network
        for network in space.draw(2 * count, seed=SEED)
        if not any(predictor.has_seen(space.terms(network, p)) for p in space.precisions)
    ]
    return networks[:count]


def _compared(
    predictor: Predictor,
    label: str,
    precision: Precision,
    terms: tuple[Term, ...],
    measurement: Measurement,
) -> NetworkCheck:
    """Return a measurement beside what the predictor and the MACs say."""
    prediction = predictor.predict_terms(terms)
    return NetworkCheck(
        label,
        precision,
        macs_of(terms) / 1e9,
        measurement.latency_ms,
        measurement.interval_ms,
        prediction.latency_ms,
        prediction.interval_ms,
        predictor.by_macs_ms(terms),
        prediction.warnings,
    )


def refuse_where_busy(rows: Sequence[NetworkCheck], networks: int) -> None:
    """Raise as soon as too few figures of a precision can still be taken on a quiet machine."""
    for precision in {row.precision for row in rows}:
        busy = [row.disturbed for row in rows if row.precision == precision and row.disturbed]
        if 2 * len(busy) > networks or networks - len(busy) < LEAST_CALM:
            raise BusyMachineError(
                f"no verdict on the predictor: {busy[-1]}, in {len(busy)} of the first "
                f"{sum(row.precision == precision for row in rows)} measurements in {precision}. "
                "A latency that is taken beside other work is none: end that work, or wait, and "
                "give the same command again"
            )
