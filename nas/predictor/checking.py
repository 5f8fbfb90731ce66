"""How well a predictor does on networks that it never saw: figures, a table, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.errors import BusyMachineError
from nas.networks.candidate import Precision
from nas.predictor.fitting import FittingSpace, Networks, Progress, Warn
from nas.predictor.identity import folder_of, identity_of, load, protocol_of
from nas.predictor.predictor import Predictor, macs_of
from nas.study.study import Study
from nas.system.statistics import kendall_tau

LEAST_CALM = 2
SEED = 1
"""Networks to check on are drawn with another seed than those that are fitted to."""


@final
@dataclass(frozen=True)
class NetworkCheck:
    """One network: what was predicted, what a MAC count says, and what was measured; ms.

    `disturbed` says who had the processor meanwhile, where the measurement is none.
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
    """Agreement of predictions with measurements.

    `mape` is the mean absolute relative error, `tau` Kendall's, `within_10` the share of networks
    whose error is at most 10 %, `covered` that whose measurement lies in the prediction's interval
    (None where there is none).
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
        """The score of at least two networks."""
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
    """Measure networks that the predictor never saw, in each precision, beside what it says.

    Networks that were measured while others had the machine are left out. Raises BusyMachineError
    where those are more than half of the networks of a precision; else as
    `nas.predictor.identity.load` and `nas.predictor.fitting.fit`.
    """
    space, protocol = FittingSpace.of(study, size), protocol_of(study)
    about = identity_of(spec, study, space.size)
    predictor = load(about)
    drawn = [
        network
        for network in space.draw(2 * networks, seed=SEED)
        if not any(predictor.has_seen(space.terms(network, p)) for p in space.precisions)
    ][:networks]
    jobs = [(network, precision) for network in drawn for precision in space.precisions]
    found: list[NetworkCheck] = []
    with Networks(spec, space, protocol, folder_of(about)) as measuring:
        for done, (network, precision) in enumerate(jobs):
            progress("networks", done, len(jobs))
            measurement = measuring.measure(network, precision)
            if measurement is None:
                continue
            terms = space.terms(network, precision)
            told = predictor.predict_terms(terms)
            found.append(
                NetworkCheck(
                    network.label,
                    precision,
                    macs_of(terms) / 1e9,
                    measurement.latency_ms,
                    measurement.interval_ms,
                    told.latency_ms,
                    told.interval_ms,
                    predictor.by_macs_ms(terms),
                    told.warnings,
                    measurement.disturbed if spec == "host" else None,
                )
            )
            _refuse_where_busy(found, len(drawn))
    progress("networks", len(jobs), len(jobs))
    measuring.complain(warn)
    calm = [row for row in found if row.disturbed is None]
    if len(calm) < len(found):
        warn(
            f"{len(found) - len(calm)} of {len(found)} figures were taken while others had the "
            "machine, and are left out"
        )
    return predictor, calm


def _refuse_where_busy(found: Sequence[NetworkCheck], networks: int) -> None:
    """Raise as soon as too few figures of a precision can still be taken on a quiet machine."""
    for precision in {row.precision for row in found}:
        busy = [row.disturbed for row in found if row.precision == precision and row.disturbed]
        if 2 * len(busy) > networks or networks - len(busy) < LEAST_CALM:
            raise BusyMachineError(
                f"no verdict on the predictor: {busy[-1]}, in {len(busy)} of the first "
                f"{sum(row.precision == precision for row in found)} measurements in {precision}. "
                "A latency that is taken beside other work is none: end that work, or wait, and "
                "give the same command again"
            )
