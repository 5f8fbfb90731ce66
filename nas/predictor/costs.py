"""The cost of one operation: a model for each kind and data type, from micro-benchmarks.

    log t(term) = log(sum_j a_j x_j(term)) + g(term)

x are amounts of work (MACs, with channels as they are and rounded up to vectors; elements that are
read and written; windows), a >= 0 fitted to relative errors, and g a Gaussian process of the sizes'
logarithms: near what was measured it repeats the measurement, far from it the amounts alone speak,
and the deviation says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.predictor.terms import Term

Floats = npt.NDArray[np.float64]
DEPTHS, WIDTHS = (1, 4, 8), (1, 8, 16, 32)
"""How many channels of input and output a processor may work on at once; the data decides."""
UNKNOWN = 1.0
"""The deviation of the logarithm of the time of an operation that was never measured."""
_LENGTHS = (0.35, 0.7, 1.4, 2.8)
_AMPLITUDES = (0.02, 0.04, 0.08, 0.16, 0.32)
_NOISES = (0.01, 0.02, 0.04, 0.08)
_LEAST_MS = 1e-4
_ARRAYS = ("rates", "at", "rest", "measured_ms")
_SQRT3 = math.sqrt(3.0)


def amounts(term: Term) -> Floats:
    """Return the amounts of work (in millions) that a term's time may grow with.

    The last amount is the same for all terms: it stands for being started.
    """
    pixels = math.prod(term.given if term.op == "TRANSPOSE_CONV" else term.made)
    if not term.macs:
        moved = [term.elements, term.given_elements, pixels]
        return np.array([*moved, 1e3], np.float64) / 1e6
    if term.op == "DEPTHWISE_CONV_2D":  # a vector holds channels, which are not multiplied
        work = [pixels * term.area * -(-term.cout // vector) * vector for vector in WIDTHS]
        moved = [term.elements, term.given_elements, pixels]
        return np.array([*work, *moved, 1e3], np.float64) / 1e6
    deep = [-(-term.cin // vector) * vector for vector in DEPTHS]
    wide = [-(-term.cout // vector) * vector for vector in WIDTHS]
    work = [pixels * term.area * cin * cout for cin in deep for cout in wide]
    moved = [term.elements, term.given_elements, pixels * term.area, pixels]
    return np.array([*work, *moved, 1e3], np.float64) / 1e6


def sizes(term: Term) -> Floats:
    """Return a term's place among its kind (5): logarithms to base 2 of its sizes."""
    parts = (math.prod(term.made), term.channels[0], term.cin, term.cout, term.area)
    return np.log2(np.array(parts, np.float64))


@final
@dataclass(frozen=True)
class KindCosts:
    """The cost of one kind of operation in one data type.

    `rates`: the cost of each amount of work.
    `at` (n, 5): the sizes that were measured.
    `rest` (n): the logarithm of each measured time over that from the rates.
    `amplitude`, `length` (in octaves), `noise`: those of the Gaussian process.
    `measured_ms` (n): the measured times.
    """

    rates: Floats
    at: Floats
    rest: Floats
    amplitude: float
    length: float
    noise: float
    measured_ms: Floats
    ms_per_element: float
    """The median time of one element of an output, by which unknown operations are guessed."""
    _solved: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def fitted(cls, terms: Sequence[Term], times_ms: Sequence[float]) -> KindCosts:
        """Return the most probable model of the times (ms) that terms of one kind took."""
        x = np.array([amounts(term) for term in terms])
        t = np.maximum(np.array(times_ms, np.float64), _LEAST_MS)
        rates = _rates(x, t)
        at = np.array([sizes(term) for term in terms])
        rest = np.log(t) - np.log(np.maximum(x @ rates, _LEAST_MS))
        best = max(
            ((a, length, n) for a in _AMPLITUDES for length in _LENGTHS for n in _NOISES),
            key=lambda one: _likelihood(at, rest, *one),
        )
        elements = np.array([term.elements for term in terms])
        return cls(rates, at, rest, *best, t, float(np.median(t / elements)))

    def predict(self, term: Term) -> tuple[float, float]:
        """Return the expected time in ms, and the deviation of its logarithm."""
        base = max(float(amounts(term) @ self.rates), _LEAST_MS)
        if not self._solved:
            covariance = _kernel(self.at, self.at, self.amplitude, self.length)
            covariance.flat[:: len(covariance) + 1] += self.noise**2
            inverse: Floats = np.linalg.inv(covariance).astype(np.float64)
            self._solved.update(inverse=inverse, alpha=inverse @ self.rest)
        across = _kernel(sizes(term)[None], self.at, self.amplitude, self.length)[0]
        variance = self.amplitude**2 - across @ self._solved["inverse"] @ across
        shift = float(across @ self._solved["alpha"])
        return base * math.exp(shift), math.sqrt(max(float(variance), 1e-8))

    def times_ms(self) -> list[float]:
        """Return the measured times, in the order of `at`."""
        return [float(one) for one in self.measured_ms]

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON types."""
        return {
            "rates": self.rates.tolist(),
            "at": self.at.tolist(),
            "rest": self.rest.tolist(),
            "process": [self.amplitude, self.length, self.noise],
            "measured_ms": self.measured_ms.tolist(),
            "ms_per_element": self.ms_per_element,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KindCosts:
        """Return what `to_dict` wrote; KeyError, TypeError or ValueError on anything else."""
        amplitude, length, noise = (float(one) for one in values["process"])
        arrays = [np.array(values[name], np.float64) for name in _ARRAYS]
        rates, at, rest, times = arrays
        if at.shape != (len(rest), 5) or not all(np.isfinite(one).all() for one in arrays):
            raise ValueError("the arrays of a kind of operation don't fit together")
        return cls(
            rates, at, rest, amplitude, length, noise, times, float(values["ms_per_element"])
        )


def _rates(x: Floats, t: Floats) -> Floats:
    """Return the costs of the amounts, none negative, by least squares of relative errors."""
    from scipy.optimize import nnls

    relative = x / t[:, None]
    scale = np.maximum(relative.max(axis=0), 1e-300)
    # A little ridge towards equal shares: where columns are alike the data can't tell them apart.
    ridge = 1e-3 * np.eye(x.shape[1])
    wanted = np.r_[np.ones(len(t)), np.zeros(len(ridge))]
    weights, _ = nnls(np.vstack([relative / scale, ridge]), wanted)
    rates: Floats = weights / scale
    return rates


def _kernel(a: Floats, b: Floats, amplitude: float, length: float) -> Floats:
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)) * (_SQRT3 / length)
    covariance: Floats = amplitude**2 * (1 + distance) * np.exp(-distance)
    return covariance


def _likelihood(at: Floats, rest: Floats, amplitude: float, length: float, noise: float) -> float:
    covariance = _kernel(at, at, amplitude, length)
    covariance.flat[:: len(covariance) + 1] += noise**2
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, rest)
    prior = math.log(noise / 0.02) ** 2 / 4 + math.log(length / 1.4) ** 2 / 4
    return float(-0.5 * white @ white - np.log(np.diag(factor)).sum() - prior)
