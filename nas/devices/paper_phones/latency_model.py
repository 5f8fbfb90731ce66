"""Latency models of the paper's phones, one a phone, fitted to all of its published cells.

    latency = s(type) * sum_j a_j x_j  +  sum_k b_k y_k

x: what accelerators do (MACs, elements by kind of operation, operations), y: what falls back to the
CPU. All coefficients are positive, so a latency is, and grows with work and pixels. They are the
most probable ones for relative errors of `NOISE` and log-normal priors that are the same for
every phone, and wide: a phone's cells say more than they, but where a phone has no cell about
something the prior is all that is known, and the interval shows it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.devices.paper_phones.networks import network
from nas.devices.paper_phones.published import rows
from nas.devices.paper_phones.rules import RULES, PhoneRules, plan
from nas.system.statistics import kendall_tau
from nas.tflite.operations import Operations, Step

Floats = npt.NDArray[np.float64]
NOISE = 0.1
"""Relative error of a published cell as the model sees it; two runs of one structure differ by 3 to
7 % in Table 4 (8-bit PTQ and QAT)."""
SPREAD = 1.5
"""Standard deviation of a coefficient's logarithm before any cell is seen: a factor of 4.5."""
NARROW = 0.7
"""The same where physics says more, a factor of 2: how fast such chips compute at all, and what
starting an operation costs. All published networks have some 250 GMAC and most 50 to 100
operations, so their cells alone can't tell those two from a constant."""
COVERAGE = 0.8
"""The probability with which an estimate's interval holds the latency."""
ALIGNMENT = 16
"""Channels that a vector of an accelerator holds; others leave part of it idle (Table 4: the pruned
networks are slower on the Mate30 than the whole one)."""

ACCELERATED = {
    "mac": 2.5,
    "element": 0.3,
    "concat": 0.3,
    "move": 1.0,
    "prelu": 0.3,
    "transpose": 3.0,
    "operation": 0.5,
    "unaligned": 0.5,
}
"""Median of the prior of each coefficient: ms a GMAC, ns an element, ms an operation."""
FALLEN = {"cpu_mac": 200.0, "cpu_transpose": 500.0, "cpu_element": 50.0, "cpu_concat": 10.0}
"""Prior medians for operations on the CPU: ms a GMAC, ns an element."""
TYPE_FACTORS = {"int8": 0.35, "int16": 0.5}
"""Prior medians of an integer type's time over float's, deviation 0.5."""
_TYPE_SPREAD = 0.5
_TYPES = ("float32", *TYPE_FACTORS)
_A, _B = tuple(ACCELERATED), tuple(FALLEN)
NAMES = (*_A, *_B, *TYPE_FACTORS)
"""The coefficients in the order of a model's logarithms."""
_MOVES = frozenset(
    {"DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD"}
)


@final
@dataclass(frozen=True)
class Features:
    """The work behind a latency: arrays `accelerated` (type, feature) and `fallen` (feature)."""

    accelerated: Floats
    fallen: Floats

    @property
    def accelerated_only(self) -> bool:
        """Whether nothing runs on the CPU."""
        return not self.fallen.any()


def features(phone: PhoneRules, operations: Operations, without: Collection[int] = ()) -> Features:
    """Count a network's work without some steps: GMAC, millions of elements, and operations."""
    accelerated, cpu = np.zeros((len(_TYPES), len(_A))), np.zeros(len(_B))
    for number, on_cpu in enumerate(runs_on_cpu(phone, operations)):
        if number not in without:
            one = _features_of(operations.steps[number], on_cpu)
            accelerated += one.accelerated
            cpu += one.fallen
    return Features(accelerated, cpu)


def runs_on_cpu(phone: PhoneRules, operations: Operations) -> list[bool]:
    """Tell for each step whether it costs what it costs on the CPU."""
    fallen = plan(phone, operations).fallen
    steps = operations.steps
    transposed = any(steps[n].op == "TRANSPOSE_CONV" for n in fallen)
    slow = {n for n, step in enumerate(steps) if step.op == "PRELU"} if transposed else set()
    return [n in fallen or (phone.slow_prelu and n in slow) for n in range(len(steps))]


def _features_of(step: Step, on_cpu: bool) -> Features:
    """Count the work of one step."""
    accelerated, cpu = np.zeros((len(_TYPES), len(_A))), np.zeros(len(_B))
    if on_cpu:
        name, amount = _fallen(step)
        cpu[_B.index(name)] += amount
    else:
        row = accelerated[_TYPES.index(step.dtype if step.dtype in _TYPES else "float32")]
        for name, amount in _accelerated(step):
            row[_A.index(name)] += amount
    return Features(accelerated, cpu)


def _fallen(step: Step) -> tuple[str, float]:
    match step.op:
        case "TRANSPOSE_CONV":
            return "cpu_transpose", step.elements / 1e6
        case "CONCATENATION":
            return "cpu_concat", step.elements / 1e6
        case _ if step.conv_macs:
            return "cpu_mac", step.conv_macs / 1e9
    return "cpu_element", step.elements / 1e6


def _accelerated(step: Step) -> list[tuple[str, float]]:
    elements = step.elements / 1e6
    amounts = [("mac", step.conv_macs / 1e9)]
    if step.op == "PRELU":  # runs with the convolution before it, but takes time of its own
        return [("prelu", elements)]
    amounts.append(("operation", 1.0))
    if step.op == "CONCATENATION":
        return [*amounts, ("concat", elements)]
    if step.op in _MOVES:
        return [*amounts, ("move", elements)]
    amounts.append(("element", elements))
    if step.op == "TRANSPOSE_CONV":
        amounts.append(("transpose", elements))
    channels = step.shape[-1] if step.shape else 1
    if step.conv_macs and channels % ALIGNMENT and channels > 4:
        amounts.append(("unaligned", elements))
    return amounts


@final
@dataclass(frozen=True)
class Estimate:
    """A latency in ms, and the interval that holds it with probability `coverage`."""

    latency_ms: float
    interval_ms: tuple[float, float]
    coverage: float


@final
@dataclass(frozen=True)
class LatencyModel:
    """Coefficients, as logarithms in the order of `NAMES`, and how sure they are."""

    logarithms: Floats
    covariance: Floats
    widening: float = 1.0

    def coefficients(self) -> dict[str, float]:
        """Return the coefficients by name: ms a GMAC, ns an element, ms an operation; factors."""
        return dict(zip(NAMES, np.exp(self.logarithms).tolist(), strict=True))

    def latency_ms(self, wanted: Features) -> float:
        """Return the latency in ms, which is positive and grows with every feature."""
        return float(predict(self.logarithms, [wanted])[0][0])

    def by_step_ms(self, phone: PhoneRules, operations: Operations) -> list[float]:
        """Return the time of each step in ms; their sum is the network's latency."""
        on_cpu = runs_on_cpu(phone, operations)
        wanted = [_features_of(*pair) for pair in zip(operations.steps, on_cpu, strict=True)]
        return [float(ms) for ms in _latencies_ms(self.logarithms, wanted)]

    def deviation(self, wanted: Features) -> float:
        """Return the standard deviation of the latency's logarithm.

        It holds the coefficients' uncertainty and the cells' noise.
        """
        slope = predict(self.logarithms, [wanted])[1][0]
        return math.sqrt(float(slope @ self.covariance @ slope) + NOISE**2)

    def share_beyond(self, part: Features, wanted: Features) -> float:
        """Return the share of the latency of `wanted` that its `part` leaves out."""
        rest = part.accelerated.any() or part.fallen.any()
        return 1 - self.latency_ms(part) / self.latency_ms(wanted) if rest else 1.0

    def estimate(self, wanted: Features, unseen: float = 0.0) -> Estimate:
        """Return a latency with its interval.

        `unseen` is the share of the latency of which no cell says anything: it deviates as a
        coefficient does before any cell is seen.
        """
        middle = self.latency_ms(wanted)
        factor = math.exp(math.hypot(self.widening * self.deviation(wanted), SPREAD * unseen))
        return Estimate(middle, (middle / factor, middle * factor), COVERAGE)


def _parts(logarithms: Floats, wanted: Sequence[Features]) -> tuple[Floats, Floats, Floats]:
    """Return ms by type (n, types), by accelerated work (n, features) and by fallen work."""
    values = np.exp(logarithms)
    a, b = values[: len(_A)], values[len(_A) : len(_A) + len(_B)]
    factors = np.concatenate([[1.0], values[len(_A) + len(_B) :]])
    work = np.array([row.accelerated for row in wanted])  # (n, types, features)
    by_type = factors * (work @ a)
    by_work = np.einsum("t,ntf->nf", factors, work) * a
    by_fallen = np.array([row.fallen for row in wanted]) * b
    return by_type, by_work, by_fallen


def _latencies_ms(logarithms: Floats, wanted: Sequence[Features]) -> Floats:
    """Return latencies in ms, 0 where there is no work."""
    by_type, _, by_fallen = _parts(logarithms, wanted)
    latencies: Floats = by_type.sum(1) + by_fallen.sum(1)
    return latencies


def predict(logarithms: Floats, wanted: Sequence[Features]) -> tuple[Floats, Floats]:
    """Return latencies in ms (n), and derivatives of their logarithms by each one (n, names)."""
    by_type, by_work, by_fallen = _parts(logarithms, wanted)
    latency: Floats = by_type.sum(1) + by_fallen.sum(1)
    if (latency <= 0).any():
        raise ValueError("a network without any operation has no latency")
    return latency, np.concatenate([by_work, by_fallen, by_type[:, 1:]], 1) / latency[:, None]


_PRIOR = np.log([*ACCELERATED.values(), *FALLEN.values(), *TYPE_FACTORS.values()])
_SPREADS = {"mac": NARROW, "operation": NARROW, **dict.fromkeys(TYPE_FACTORS, _TYPE_SPREAD)}
_DEVIATIONS = np.array([_SPREADS.get(name, SPREAD) for name in NAMES])


def fit(wanted: Sequence[Features], latencies_ms: Sequence[float]) -> LatencyModel:
    """Fit the most probable coefficients, and their covariance by Laplace's approximation.

    Least squares of relative errors and of the distance from the priors, by Levenberg-Marquardt.
    """
    from scipy.optimize import least_squares

    logs = np.log(np.asarray(latencies_ms, np.float64))

    def residuals(x: Floats) -> Floats:
        logarithms_ms = np.log(predict(x, wanted)[0])
        return np.concatenate([(logarithms_ms - logs) / NOISE, (x - _PRIOR) / _DEVIATIONS])

    def jacobian(x: Floats) -> Floats:
        return np.concatenate([predict(x, wanted)[1] / NOISE, np.diag(1 / _DEVIATIONS)])

    best = least_squares(residuals, _PRIOR, jacobian, method="lm")
    at = jacobian(best.x)
    covariance: Floats = np.linalg.inv(at.T @ at).astype(np.float64)
    return LatencyModel(best.x, covariance)


@final
@dataclass(frozen=True)
class PublishedStructure:
    """The published latency of one structure on one phone: of several cells the geometric mean."""

    label: str
    wanted: Features
    latency_ms: float
    cells: int


@cache
def published_structures(phone: str) -> tuple[PublishedStructure, ...]:
    """List a phone's published structures, which its model is fitted to.

    Cells of one structure are merged: Tables 3 and 4 repeat rows of earlier ones, and 8-bit files
    of one network do the same work however they were trained.
    """
    figures: dict[tuple[str, int | None, str], list[tuple[str, float]]] = {}
    for row in rows():
        latency = row.cell(phone).latency_ms
        if latency is not None:
            key = (row.network, row.pruned_percent, row.precision.split("-")[0])
            figures.setdefault(key, []).append((row.row, latency))
    result = []
    for (name, pruned, kind), cells in figures.items():
        wanted = features(RULES[phone], network(name, pruned, kind))
        different = dict.fromkeys(latency for _, latency in cells)
        middle = math.exp(sum(map(math.log, different)) / len(different))
        label = " / ".join(dict.fromkeys(label for label, _ in cells))
        result.append(PublishedStructure(label, wanted, middle, len(cells)))
    return tuple(result)


@final
@dataclass(frozen=True)
class LeftOutStructure:
    """A structure with the latency that a model gives it which was fitted to the phone's others.

    `deviation` is that of the latency's logarithm. `accelerated`: nothing falls back to the CPU;
    `convolutions_accelerated`: no convolution does.
    """

    label: str
    published_ms: float
    modelled_ms: float
    deviation: float
    accelerated: bool
    convolutions_accelerated: bool

    @property
    def error(self) -> float:
        """The relative error; negative where the model is too low."""
        return self.modelled_ms / self.published_ms - 1


@final
@dataclass(frozen=True)
class LeaveOneOut:
    """The errors of a phone's model on cells that it did not see."""

    phone: str
    rows: tuple[LeftOutStructure, ...]

    def median_error(self, of: str = "accelerated") -> float:
        """Return the median absolute relative error of the rows that `of` selects."""
        errors = [abs(row.error) for row in self.of(of)]
        return float(np.median(errors))

    def of(self, which: str) -> tuple[LeftOutStructure, ...]:
        """Select rows: "accelerated" (nothing falls back), "convolutions" (none does), or "all"."""
        match which:
            case "all":
                return self.rows
            case "accelerated":
                return tuple(row for row in self.rows if row.accelerated)
            case "convolutions":
                return tuple(row for row in self.rows if row.convolutions_accelerated)
        raise ValueError(f'which={which!r}: expected "all", "accelerated" or "convolutions"')

    @property
    def rank_correlation(self) -> float:
        """Kendall's tau of modelled and published latencies over all rows."""
        published = [row.published_ms for row in self.rows]
        return kendall_tau(published, [row.modelled_ms for row in self.rows]) or 0.0

    def quantile(self, share: float) -> float:
        """Return how many deviations `share` of the errors stay within: split-conformal, n + 1."""
        scores = sorted(
            abs(math.log(row.modelled_ms / row.published_ms)) / row.deviation for row in self.rows
        )
        return scores[min(len(scores), math.ceil(share * (len(scores) + 1))) - 1]


@cache
def leave_one_out(phone: str) -> LeaveOneOut:
    """Predict each structure of a phone by the model fitted to the phone's others."""
    cells = published_structures(phone)
    left_out = []
    for number, cell in enumerate(cells):
        others = [other for n, other in enumerate(cells) if n != number]
        model = fit([other.wanted for other in others], [other.latency_ms for other in others])
        wanted = cell.wanted
        convolutions = not wanted.fallen[[_B.index("cpu_mac"), _B.index("cpu_transpose")]].any()
        left_out.append(
            LeftOutStructure(
                cell.label, cell.latency_ms, model.latency_ms(wanted), model.deviation(wanted),
                wanted.accelerated_only, bool(convolutions),
            )
        )  # fmt: skip
    return LeaveOneOut(phone, tuple(left_out))


@cache
def fitted(phone: str) -> LatencyModel:
    """Fit the model of a phone to all of its cells; intervals are as wide as its left-out errors.

    An interval is the model's own deviation times the factor within which `COVERAGE` of the
    left-out cells stayed.
    """
    cells = published_structures(phone)
    model = fit([cell.wanted for cell in cells], [cell.latency_ms for cell in cells])
    return LatencyModel(model.logarithms, model.covariance, leave_one_out(phone).quantile(COVERAGE))


def as_document(phone: str) -> dict[str, Any]:
    """Return the leave-one-out errors of a phone as JSON types."""
    errors = leave_one_out(phone)
    return {
        "phone": phone,
        "structures": len(errors.rows),
        "median_error": {
            which: errors.median_error(which) if errors.of(which) else None
            for which in ("accelerated", "convolutions", "all")
        },
        "count": {w: len(errors.of(w)) for w in ("accelerated", "convolutions", "all")},
        "kendall_tau": errors.rank_correlation,
        "widening": errors.quantile(COVERAGE),
        "coefficients": fitted(phone).coefficients(),
        "rows": [{**vars(row), "error": row.error} for row in errors.rows],
    }
