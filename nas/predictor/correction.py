"""The correction that whole networks teach: their time against the sum of their operations'.

    log(latency / sum) ~ GP(0, c^2 + d^2 [same session] + f^2 sum_k w_k w'_k
                               + s^2 matern(z, z')) + noise

w are the shares of families of operations in the sum. f is how much more a family may cost in a
network than alone (caches, memory, how a runtime joins operations). c is common to all networks, d
to those of one session (a machine that is slower today); predictions are for the last session. The
smooth part takes up the rest, by shares and size. The deviations are few and fitted to the data
against priors, so ten networks move the sum a little, and hundreds as much as they agree upon.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
COMMON = 0.3
SESSION = 0.1
FAMILIES = (0.05, 0.1, 0.2, 0.4)
SMOOTH = (0.01, 0.03, 0.06, 0.12)
NOISES = (0.015, 0.03, 0.05, 0.08)
FREEDOM = 3.0
"""Degrees of freedom of the noise, a Student's t: a disturbed measurement is far off."""
_ROUNDS = 6
_MOST = 60
"""The most networks that deviations are fitted to; the posterior uses all of them."""
_SQRT3 = math.sqrt(3.0)
_SIZE_SCALE = 2.0  # octaves of latency that count as much as a change of all shares


@final
@dataclass(frozen=True)
class Observation:
    """A measured network.

    `key`: the content key of its operations.
    `macs`: its multiply-accumulates.
    `shares`: the share of each family of operations in `sum_ms`.
    `sum_ms`: the sum of its operations' times; `latency_ms`: the measurement.
    `session`: the name of the session that measured it.
    """

    key: str
    macs: float
    shares: Mapping[str, float]
    sum_ms: float
    latency_ms: float
    session: str = "fit"
    spread: float = 0.0
    """The deviation of the latency's logarithm between launches, which adds to the noise."""

    def to_dict(self) -> dict[str, Any]:
        """Return the observation as JSON types."""
        return {**vars(self), "shares": dict(self.shares)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Observation:
        """Return what `to_dict` wrote; KeyError, TypeError or ValueError on anything else."""
        shares = {str(name): float(value) for name, value in values["shares"].items()}
        observation = cls(
            str(values["key"]), float(values["macs"]), shares,
            float(values["sum_ms"]), float(values["latency_ms"]), str(values["session"]),
            float(values["spread"]),
        )  # fmt: skip
        if not (observation.sum_ms > 0 and observation.latency_ms > 0 and observation.spread >= 0):
            raise ValueError(
                f"not positive: {observation.sum_ms}, {observation.latency_ms}, "
                f"{observation.spread}"
            )
        return observation


@final
@dataclass(frozen=True)
class Correction:
    """The posterior of a network's correction, given measured networks of one data type.

    `families` are the names of the families of operations whose shares count.
    """

    observed: tuple[Observation, ...]
    families: tuple[str, ...]
    deviations: tuple[float, float, float]
    """The deviations of families, of the smooth part and of the noise."""
    doubts: tuple[float, ...]
    """A variance for each observation, added to the noise: for launches, and for outliers."""
    _solved: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def fitted(cls, observed: Sequence[Observation], families: Sequence[str]) -> Correction:
        """Return the posterior with the most probable deviations; takes milliseconds."""
        names = tuple(families)
        shares, log_sums, rest = _arrays(observed, names)
        parts = _parts(shares, log_sums, shares, log_sums)
        sessions = _together(observed)
        own = doubts = np.array([one.spread**2 for one in observed])
        some = np.unique(np.linspace(0, len(rest) - 1, min(len(rest), _MOST)).astype(int))
        square = np.ix_(some, some)
        few = (parts[0][square], parts[1][square])

        def worth(one: _Deviations) -> float:
            spread = sessions[square] + np.diag(doubts[some])
            return _likelihood(spread + _covariance(few, one), one, rest[some])

        best = (0.0, 0.0, 0.0)
        for turn in range(_ROUNDS):
            if turn % 3 == 0:
                best = max(product(FAMILIES, SMOOTH, NOISES), key=worth)
            inverse = np.linalg.inv(sessions + np.diag(doubts) + _covariance(parts, best))
            # Without itself, each is so far off from what the others say of it.
            off = (inverse @ rest) ** 2 / np.diag(inverse)
            noise = best[2] ** 2 + own
            target = noise * np.maximum((FREEDOM + off) / (FREEDOM + 1), 1.0) - best[2] ** 2
            doubts = 0.5 * (doubts + target)
        return cls(tuple(observed), names, best, tuple(doubts.tolist()))

    def ratio(self, shares: Mapping[str, float], sum_ms: float) -> tuple[float, float]:
        """Return the expected log(latency / sum), and its deviation for one more network."""
        solved = self._solution()
        w = np.array([[shares.get(name, 0.0) for name in self.families]])
        parts = _parts(w, np.array([math.log2(sum_ms)]), solved["shares"], solved["log_sums"])
        across = solved["session"] + _mixed(parts, self.deviations)[0]
        mean = float(across @ solved["alpha"])
        family, smooth, noise = self.deviations
        before = COMMON**2 + SESSION**2 + family**2 * float((w * w).sum()) + smooth**2
        variance = before - float(across @ solved["inverse"] @ across)
        return mean, math.sqrt(max(variance, 0.0) + noise**2)

    def mean(self, shares: Sequence[float], sum_ms: float) -> float:
        """Return the first value of `ratio`, faster, for shares in the order of `families`."""
        solved = self._solution()
        w = np.asarray(shares)
        distance = ((solved["shares"] - w) ** 2).sum(axis=1)
        distance += ((solved["log_sums"] - math.log2(sum_ms)) / _SIZE_SCALE) ** 2
        root = np.sqrt(distance) * _SQRT3
        family, smooth, _ = self.deviations
        across = solved["session"] + COMMON**2 + family**2 * (solved["shares"] @ w)
        across += smooth**2 * (1 + root) * np.exp(-root)
        return float(across @ solved["alpha"])

    def to_dict(self) -> dict[str, Any]:
        """Return the posterior without its observations, as JSON types."""
        return {
            "families": list(self.families),
            "deviations": list(self.deviations),
            "doubts": list(self.doubts),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], observed: Sequence[Observation]) -> Correction:
        """Return what `to_dict` wrote; KeyError, TypeError or ValueError on anything else."""
        family, smooth, noise = (float(one) for one in values["deviations"])
        if min(family, smooth, noise) <= 0:
            raise ValueError(f"deviations must be positive: {values['deviations']}")
        names = tuple(str(name) for name in values["families"])
        doubts = tuple(float(one) for one in values["doubts"])
        if len(doubts) != len(observed) or min(doubts) < 0:
            raise ValueError(f"{len(doubts)} doubts of {len(observed)} networks")
        return cls(tuple(observed), names, (family, smooth, noise), doubts)

    def _solution(self) -> dict[str, Any]:
        if not self._solved:
            shares, log_sums, rest = _arrays(self.observed, self.families)
            together = _together(self.observed) + np.diag(self.doubts)
            parts = _parts(shares, log_sums, shares, log_sums)
            covariance = together + _covariance(parts, self.deviations)
            inverse = np.linalg.inv(covariance)
            self._solved.update(
                shares=shares,
                log_sums=log_sums,
                session=_same_session(self.observed),
                inverse=inverse,
                alpha=inverse @ rest,
            )
        return self._solved


def _arrays(
    observed: Sequence[Observation], families: Sequence[str]
) -> tuple[Floats, Floats, Floats]:
    shares = np.array([[one.shares.get(name, 0.0) for name in families] for one in observed])
    log_sums = np.array([math.log2(one.sum_ms) for one in observed])
    rest = np.array([math.log(one.latency_ms / one.sum_ms) for one in observed])
    return shares.reshape(len(observed), len(families)), log_sums, rest


def _together(observed: Sequence[Observation]) -> Floats:
    """Return the covariance (n, n) that measurements of one session share."""
    names = np.array([one.session for one in observed])
    covariance: Floats = SESSION**2 * (names[:, None] == names[None])
    return covariance


def _same_session(observed: Sequence[Observation]) -> Floats:
    """Return the covariance (n) of each measurement with another one of the last session."""
    last = observed[-1].session
    covariance: Floats = SESSION**2 * np.array(
        [one.session == last for one in observed], np.float64
    )
    return covariance


_Parts = tuple[Floats, Floats]
_Deviations = tuple[float, float, float]


def _parts(a: Floats, log_a: Floats, b: Floats, log_b: Floats) -> _Parts:
    """Return the products of shares (n, m), and the smooth part's correlation (n, m)."""
    distance = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    distance += ((log_a[:, None] - log_b[None]) / _SIZE_SCALE) ** 2
    root = np.sqrt(distance) * _SQRT3
    return a @ b.T, (1 + root) * np.exp(-root)


def _mixed(parts: _Parts, deviations: tuple[float, float, float]) -> Floats:
    family, smooth, _ = deviations
    covariance: Floats = COMMON**2 + family**2 * parts[0] + smooth**2 * parts[1]
    return covariance


def _covariance(parts: _Parts, deviations: tuple[float, float, float]) -> Floats:
    covariance = _mixed(parts, deviations)
    covariance.flat[:: len(covariance) + 1] += deviations[2] ** 2
    return covariance


def _likelihood(covariance: Floats, deviations: tuple[float, float, float], rest: Floats) -> float:
    """Return the logarithm of likelihood times priors, without a constant."""
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, rest)
    centres = (0.1, 0.03, 0.03)
    prior = sum(
        (math.log(value / centre)) ** 2 / 2
        for value, centre in zip(deviations, centres, strict=True)
    )
    return float(-0.5 * white @ white - np.log(np.diag(factor)).sum() - prior)
