"""The choice of what to measure: the operations of a space, and the networks that teach most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.predictor.correction import COMMON
from nas.predictor.costs import sizes
from nas.predictor.terms import UPSAMPLINGS, Term

Floats = npt.NDArray[np.float64]
MOST_CONVOLUTIONS = 80
MOST_OTHERS = 12
"""The most operations to measure of each kind, other than convolutions."""
JOINTS = 3
"""How many joints to measure for each up-sampling."""
Joint = tuple[Term, ...]


class RandomTrial:
    """Takes the place of an Optuna trial, and draws each parameter uniformly."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random

    def suggest_categorical(self, name: str, choices: Sequence[object]) -> object:
        """Return one of the choices."""
        return choices[int(self._random.integers(len(choices)))]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from `low` to `high`."""
        return low + step * int(self._random.integers((high - low) // step + 1))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from `low` to `high`."""
        return float(self._random.uniform(low, high))


def worth(term: Term) -> float:
    """Return a rough cost of a term before any measurement: its MACs and moved elements."""
    return term.macs + 10.0 * (term.elements + term.given_elements)


def chosen_terms(networks: Sequence[Sequence[Term]]) -> tuple[Term, ...]:
    """Return the operations of sampled networks that are worth measuring.

    These are all operations of a kind where they are few; else the smallest, the largest, and
    those that are frequent, expensive and unlike the ones already chosen.
    """
    weights: dict[Term, float] = defaultdict(float)
    for network in networks:
        total = sum(worth(term) for term in network)
        for term in network:
            weights[term.alone] += worth(term) / total
    kinds: dict[tuple[str, str], list[Term]] = defaultdict(list)
    for term in weights:
        kinds[term.op, term.dtype].append(term)
    chosen: list[Term] = []
    for (op, _), terms in sorted(kinds.items()):
        most = MOST_CONVOLUTIONS if op == "CONV_2D" else MOST_OTHERS
        chosen += _spread(sorted(terms), weights, most)
    return tuple(chosen)


def _spread(terms: Sequence[Term], weights: dict[Term, float], most: int) -> list[Term]:
    """Return `most` of the terms; each next one has most weight and distance to the others."""
    if len(terms) <= most:
        return list(terms)
    at = np.array([sizes(term) for term in terms])
    weight = np.array([weights[term] for term in terms])
    elements = at[:, 0] + at[:, 3]
    ends = [elements.argmin(), elements.argmax(), weight.argmax()]
    ends += [at[:, 2].argmin(), at[:, 2].argmax()]
    taken = list(dict.fromkeys(int(one) for one in ends))
    distance = np.min([np.linalg.norm(at - at[one], axis=1) for one in taken], axis=0)
    while len(taken) < most:
        best = int(np.argmax(np.sqrt(weight / weight.max()) * distance))
        taken.append(best)
        distance = np.minimum(distance, np.linalg.norm(at - at[best], axis=1))
    return [terms[one] for one in sorted(taken)]


def chosen_joints(networks: Sequence[Sequence[Term]]) -> tuple[Joint, ...]:
    """Return joints to measure: up-sampling, concatenation and convolution in a row.

    There are `JOINTS` sizes for each up-sampling, and for each of these also the joint without the
    convolution.
    """
    joints_by_kind: dict[tuple[str, str], list[Joint]] = defaultdict(list)
    for network in networks:
        for first, second, third in zip(network, network[1:], network[2:], strict=False):
            joins = second.op == "CONCATENATION" and third.op == "CONV_2D"
            if first.op in UPSAMPLINGS and joins and len(second.channels) == 2:
                joint = (first, second, third)
                if joint not in joints_by_kind[first.op, first.dtype]:
                    joints_by_kind[first.op, first.dtype].append(joint)
    joints: list[Joint] = []
    for _, rows in sorted(joints_by_kind.items()):
        rows.sort(key=lambda joint: (sum(worth(term) for term in joint), joint))
        places = np.linspace(0, len(rows) - 1, JOINTS).round().astype(int)
        for place in dict.fromkeys(places.tolist()):
            joints += [rows[place][:2], rows[place]]
    return tuple(joints)


def chosen_networks(features: Sequence[Floats], count: int) -> list[int]:
    """Return the indices of the networks that teach most about all of them.

    `features` holds for each data type an array (n, families) of shares. The choice is greedy: each
    next network removes most of the correction's prior variance over all networks.
    """
    family, noise = 0.15, 0.03
    spreads = [COMMON**2 + family**2 * (one @ one.T) + _smooth(one) for one in features]
    taken: list[int] = []
    while len(taken) < min(count, len(features[0])):
        gains = [
            (spread**2).sum(axis=0) / (np.diag(spread) + noise**2) / np.trace(spread)
            for spread in spreads
        ]
        gain = np.sum(gains, axis=0)
        gain[taken] = -math.inf
        best = int(np.argmax(gain))
        taken.append(best)
        spreads = [
            spread - np.outer(spread[best], spread[best]) / (spread[best, best] + noise**2)
            for spread in spreads
        ]
    return taken


def _smooth(shares: Floats) -> Floats:
    distance = np.linalg.norm(shares[:, None] - shares[None], axis=2) * math.sqrt(3.0)
    covariance: Floats = 0.05**2 * (1 + distance) * np.exp(-distance)
    return covariance
