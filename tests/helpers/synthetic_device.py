"""A made-up device whose latencies are a formula, and predictors fitted to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.networks.candidate import Precision
from nas.predictor import microbenchmarks
from nas.predictor.fitting import FittingSpace, choose, plan_of
from nas.predictor.predictor import Measured, Predictor
from nas.predictor.terms import Term
from tests.helpers.small_study import small_study

ABOUT = {"device": "made-up", "threads": 1, "size": [64, 32], "study": "small"}


def true_ms(term: Term) -> float:
    """What an operation takes alone: vectors of 8 channels, memory, and a start."""
    rate = {"float32": 1.0, "int8": 0.4}[term.dtype]
    wide = term.macs * (-(-term.cout // 8) * 8) / term.cout
    slow = 40.0 if (term.op, term.dtype) == ("PRELU", "int8") else 1.0
    moved = term.elements + term.given_elements
    return rate * (wide / 2e7 + slow * moved / 4e6) + 0.002


def network_ms(terms: Sequence[Term], joined: float = 0.8) -> float:
    """What they take together: concatenations are cheaper there, all else is a little dearer."""
    parts = [true_ms(term) * (joined if term.op == "CONCATENATION" else 1.1) for term in terms]
    return 0.05 + sum(parts)


def timings(plan: microbenchmarks.SessionPlan, noise: float = 0.0) -> microbenchmarks.Timings:
    """What a session would measure of a plan."""
    random = np.random.default_rng(0)
    found = microbenchmarks.Timings()
    for dtype in plan.dtypes:
        for count in (1, 5):
            found.times_ms[f"{count} small {dtype}"] = [0.05 + count * 0.001]
    for term in plan.terms:
        factor = math.exp(noise * random.standard_normal())
        found.times_ms[microbenchmarks.key_of(term)] = [(0.05 + true_ms(term)) * factor]
    for joint in plan.joints:
        found.times_ms[microbenchmarks.key_of(*joint)] = [
            0.05 + sum(true_ms(term) for term in joint)
        ]
    return found


def fitted(
    networks: int = 10, noise: float = 0.0, **changes: Any
) -> tuple[Predictor, FittingSpace]:
    """A predictor of the made-up device, and the space that it is for."""
    space = FittingSpace.of(small_study(**changes))
    sample = space.draw(60, seed=0)
    plan = plan_of(space, sample)
    bare = microbenchmarks.fitted(plan, timings(plan, noise), ABOUT)
    chosen = choose(bare, space, sample, networks)
    rows = [
        measured(space, network, precision) for network in chosen for precision in space.precisions
    ]
    return bare.improved_by(rows, session="fit"), space


def measured(space: FittingSpace, network: Any, precision: Precision) -> Measured:
    """A network on the made-up device."""
    terms = space.terms(network, precision)
    return Measured(terms, network_ms(terms))
