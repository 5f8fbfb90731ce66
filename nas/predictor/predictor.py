"""`Predictor`: a latency with an interval for any network, on one measured device."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np

from nas.devices import Measurement
from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.networks.graph import Graph
from nas.predictor.correction import Correction, Observation
from nas.predictor.costs import UNKNOWN, KindCosts, sizes
from nas.predictor.terms import DTYPES, Term, dtype_of, terms_of_graph
from nas.system.hashing import content_key

COVERAGE = 0.9
_WIDTH = 2.3534  # scales on either side that hold 90 % of a Student's t, as the noise is taken
LEAST_NETWORKS = 4
"""The fewest measured networks of a data type that make a correction."""
_TOLERANCE = 0.1  # octaves beyond what was measured that still count as measured
_SIZES = (
    "pixels",
    "channels of the first input",
    "input channels",
    "output channels",
    "kernel area",
)


@final
@dataclass(frozen=True)
class Prediction:
    """A predicted latency.

    `interval_ms` should hold a measurement with probability `coverage`. `warnings` name the
    operations and sizes that lie outside of anything measured; empty where none do.
    """

    latency_ms: float
    interval_ms: tuple[float, float]
    coverage: float
    warnings: tuple[str, ...]

    @property
    def deviation(self) -> float:
        """The deviation of the latency's logarithm."""
        return math.log(self.interval_ms[1] / self.latency_ms) / _WIDTH


@final
@dataclass(frozen=True)
class Measured:
    """A network that was measured on the device: its terms, its latency in ms."""

    terms: tuple[Term, ...]
    latency_ms: float
    spread: float = 0.0
    """The deviation of the latency's logarithm between launches; 0 where it is unknown."""

    @classmethod
    def of(cls, terms: tuple[Term, ...], measurement: Measurement) -> Measured:
        """Return a network with the undisturbed latency of its measurement."""
        if not measurement.measured:
            return cls(terms, measurement.latency_ms)
        return cls(terms, *undisturbed(measurement.launch_medians_ms))


def undisturbed(launches_ms: Sequence[float]) -> tuple[float, float]:
    """Return the lower quartile (ms) of launches, and the log distance of the two fastest.

    Other processes make a launch slower, never faster: the median of a few launches is disturbed
    too often to learn from it.
    """
    ordered = sorted(launches_ms)
    spread = math.log(ordered[1] / ordered[0]) if len(ordered) > 1 else 0.0
    return ordered[len(ordered) // 4], spread


@final
@dataclass(frozen=True)
class Predictor:
    """The costs of kinds of operations, and corrections of their sums from whole networks.

    `about`: the identity, which is device, build, tool, settings, size and space.
    `kinds`: costs by operation and data type.
    `overhead_ms`: the time of an inference without its operations, by data type.
    `surcharges`: factors by operation, data type and the up-sampling before it.
    `refused`: why the device would not run an operation in a data type.
    `observed`: measured networks by data type.
    `corrections`: the corrections learned from them, by data type.
    """

    about: Mapping[str, Any]
    kinds: Mapping[tuple[str, str], KindCosts]
    overhead_ms: Mapping[str, float]
    surcharges: Mapping[tuple[str, str, str], float]
    refused: Mapping[tuple[str, str], str]
    observed: Mapping[str, tuple[Observation, ...]] = field(default_factory=dict)
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    _known: dict[Term, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)
    _quick: dict[Term, tuple[str, float]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def device(self) -> str:
        """The spec of the device that the predictor is for."""
        return str(self.about.get("device", "?"))

    def predict(
        self, graph: Graph, size: tuple[int, int], precision: Precision = "float"
    ) -> Prediction:
        """Return the latency of a network at a picture size (width, height).

        Raises ConfigError where the network can't take the size, or no network of the precision was
        measured.
        """
        return self.predict_terms(terms_of_graph(graph, size, precision))

    def predict_terms(self, terms: Sequence[Term]) -> Prediction:
        """Return the latency of a network's terms (`nas.predictor.terms`); raises as `predict`."""
        sum_ms, shares = self._sum(terms)
        correction = self._correction(dtype_of(terms))
        shift, deviation = correction.ratio(shares, sum_ms)
        doubt = self._doubt(terms, sum_ms)
        latency = sum_ms * math.exp(shift)
        factor = math.exp(_WIDTH * math.hypot(deviation, doubt))
        interval = (latency / factor, latency * factor)
        return Prediction(latency, interval, COVERAGE, self._warnings(terms))

    def latency_ms(self, terms: Sequence[Term]) -> float:
        """Return the latency of `predict_terms` in ms without its interval; takes microseconds."""
        dtype = terms[0].dtype
        total = self.overhead_ms.get(dtype, 0.0)
        correction = self._correction(dtype)
        parts = dict.fromkeys(correction.families, 0.0)
        quick = self._quick
        for term in terms:
            entry = quick.get(term)
            if entry is None:
                entry = quick[term] = (family(term), self.cost(term)[0])
            name, ms = entry
            total += ms
            if name in parts:
                parts[name] += ms
        return total * math.exp(correction.mean([v / total for v in parts.values()], total))

    def cost(self, term: Term) -> tuple[float, float]:
        """Return the time of one operation in ms, and the deviation of its logarithm."""
        cost = self._known.get(term)
        if cost is None:
            kind = self.kinds.get((term.op, term.dtype))
            cost = self._guess(term) if kind is None else kind.predict(term)
            factor = self.surcharges.get((term.op, term.dtype, term.after), 1.0)
            cost = self._known[term] = (cost[0] * factor, cost[1])
        return cost

    def improved_by(self, measured: Iterable[Measured], session: str = "search") -> Predictor:
        """Return a predictor that also learned from these networks, within milliseconds.

        Networks of one `session` share that the machine may be faster or slower than on other
        days. Raises ConfigError where a latency is not positive.
        """
        observed = {dtype: list(rows) for dtype, rows in self.observed.items()}
        changed = set()
        for one in measured:
            if not (math.isfinite(one.latency_ms) and one.latency_ms > 0):
                raise ConfigError(f"a latency of {one.latency_ms} ms can't be learned from")
            sum_ms, shares = self._sum(one.terms)
            dtype = dtype_of(one.terms)
            row = Observation(
                key_of(one.terms), macs_of(one.terms), shares, sum_ms, one.latency_ms,
                session, one.spread,
            )  # fmt: skip
            observed.setdefault(dtype, []).append(row)
            changed.add(dtype)
        corrections = dict(self.corrections)
        for dtype in changed:
            if len(observed[dtype]) >= LEAST_NETWORKS:
                names = sorted({name for one in observed[dtype] for name in one.shares})
                corrections[dtype] = Correction.fitted(observed[dtype], names)
        rows = {dtype: tuple(found) for dtype, found in observed.items()}
        return replace(self, observed=rows, corrections=corrections)

    def shares(self, terms: Sequence[Term]) -> dict[str, float]:
        """Return the share of each family of operations in the sum of a network's operations."""
        return self._sum(terms)[1]

    def has_seen(self, terms: Sequence[Term]) -> bool:
        """Return whether the network is one of those that were measured."""
        rows = self.observed.get(dtype_of(terms), ())
        return key_of(terms) in {one.key for one in rows}

    def by_macs_ms(self, terms: Sequence[Term]) -> float:
        """Return a latency in ms from MACs alone, which predictors are compared with.

        It is a + b * MACs, fitted to the same networks by least squares of relative errors, neither
        a nor b negative.
        """
        rows = self._correction(dtype_of(terms)).observed
        return linear_in([one.macs for one in rows], [one.latency_ms for one in rows])(
            macs_of(terms)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the predictor as JSON types."""
        return {
            "about": dict(self.about),
            "kinds": [[*key, kind.to_dict()] for key, kind in self.kinds.items()],
            "overhead_ms": dict(self.overhead_ms),
            "surcharges": [[*key, factor] for key, factor in self.surcharges.items()],
            "refused": [[*key, why] for key, why in self.refused.items()],
            "observed": {
                dtype: [one.to_dict() for one in rows] for dtype, rows in self.observed.items()
            },
            "corrections": {dtype: one.to_dict() for dtype, one in self.corrections.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Predictor:
        """Return what `to_dict` wrote.

        Raises AttributeError, KeyError, TypeError or ValueError on anything else.
        """
        observed = {
            str(dtype): tuple(Observation.from_dict(one) for one in rows)
            for dtype, rows in values["observed"].items()
        }
        return cls(
            about=dict(values["about"]),
            kinds={
                (str(op), str(dtype)): KindCosts.from_dict(kind)
                for op, dtype, kind in values["kinds"]
            },
            overhead_ms={str(key): float(ms) for key, ms in values["overhead_ms"].items()},
            surcharges={
                (str(op), str(dtype), str(up)): float(factor)
                for op, dtype, up, factor in values["surcharges"]
            },
            refused={(str(op), str(dtype)): str(why) for op, dtype, why in values["refused"]},
            observed=observed,
            corrections={
                str(dtype): Correction.from_dict(one, observed[dtype])
                for dtype, one in values["corrections"].items()
            },
        )

    def _sum(self, terms: Sequence[Term]) -> tuple[float, dict[str, float]]:
        """Return the time of all operations in ms, and the families' shares in it."""
        total = self.overhead_ms.get(dtype_of(terms), 0.0)
        parts: dict[str, float] = {}
        for term in terms:
            ms = self.cost(term)[0]
            total += ms
            name = family(term)
            parts[name] = parts.get(name, 0.0) + ms
        return total, {name: value / total for name, value in parts.items()}

    def _correction(self, dtype: str) -> Correction:
        correction = self.corrections.get(dtype)
        if correction is None:
            have = len(self.observed.get(dtype, ()))
            raise ConfigError(
                f"the predictor of {self.device} has measured {have} networks of {dtype}; "
                f"{LEAST_NETWORKS} at least make a prediction: `nas predictor fit` with a study "
                "that has this precision"
            )
        return correction

    def _doubt(self, terms: Sequence[Term], sum_ms: float) -> float:
        """Return the deviation due to operations unlike the measured ones (independent errors)."""
        costs = (self.cost(term) for term in terms)
        return math.sqrt(sum((ms * sd / sum_ms) ** 2 for ms, sd in costs))

    def _guess(self, term: Term) -> tuple[float, float]:
        """Guess the time of an operation that was never measured, by its elements."""
        ratios = [
            kind.ms_per_element for (_, dtype), kind in self.kinds.items() if dtype == term.dtype
        ]
        if not ratios:
            raise ConfigError(
                f"the predictor of {self.device} has measured nothing in {term.dtype}: "
                "`nas predictor fit` with a study that has this precision"
            )
        return sorted(ratios)[len(ratios) // 2] * term.elements, UNKNOWN

    def _warnings(self, terms: Sequence[Term]) -> tuple[str, ...]:
        texts: dict[str, None] = {}
        for term in terms:
            key = (term.op, term.dtype)
            if key in self.refused:
                why = f"{self.device} refuses it ({self.refused[key]})"
                texts[f"{term.op} in {term.dtype}: {why}"] = None
            elif key not in self.kinds:
                texts[f"{term.op} in {term.dtype} was never measured"] = None
            else:
                texts |= dict.fromkeys(_outside(term, self.kinds[key]))
        return tuple(texts)


def _outside(term: Term, kind: KindCosts) -> list[str]:
    """Return a warning for each size of a term beyond those that its kind was measured at."""
    texts = []
    low, high = kind.at.min(axis=0), kind.at.max(axis=0)
    for name, at, least, most in zip(_SIZES, sizes(term), low, high, strict=True):
        if name == "input channels" and term.op != "CONCATENATION":
            continue  # the same as the first input's
        if not least - _TOLERANCE <= at <= most + _TOLERANCE:
            span = f"{2**least:.0f} to {2**most:.0f}" if most > least else f"{2**least:.0f}"
            texts.append(f"{term.op} in {term.dtype}: {2**at:.0f} {name}, measured with {span}")
    return texts


def family(term: Term) -> str:
    """Return the family of a term, which is corrected as one: convolutions by their kernel."""
    if term.op != "CONV_2D":
        return term.op
    return "CONV_2D 1x1" if term.area == 1 else "CONV_2D 3x3" if term.area <= 9 else "CONV_2D large"


def key_of(terms: Sequence[Term]) -> str:
    """Return the content key of a network's operations."""
    return content_key([term.to_json() for term in terms])


def macs_of(terms: Sequence[Term]) -> float:
    """Return the multiply-accumulates of a network's convolutions."""
    return float(sum(term.macs for term in terms))


def linear_in(x: Sequence[float], y: Sequence[float]) -> Callable[[float], float]:
    """Return the function a + b x by least squares of relative errors of y > 0; a, b >= 0."""
    from scipy.optimize import nnls

    columns = np.array([[1.0, one] for one in x]) / np.array(y)[:, None]
    scale = np.maximum(columns.max(axis=0), 1e-300)
    weights, _ = nnls(columns / scale, np.ones(len(columns)))
    a, b = (weights / scale).tolist()
    return lambda one: float(max(a + b * one, 1e-9))


def precision_dtype(precision: Precision) -> str:
    """Return the data type that a precision computes in."""
    return DTYPES[precision]
