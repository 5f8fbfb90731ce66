"""Models as budgets see them, made up: qualities, and two figures, "a" and "b"."""

from __future__ import annotations

import math

import numpy as np

from nas.study.picker import Offer

METRICS = ("a", "b")


def offer(trial: int, quality: float, a: float, b: float, training: str = "") -> Offer:
    """Return a model whose figures are its latencies on two devices."""
    speed = (math.log(a) + math.log(b)) / 2
    return Offer(trial, quality, training or str(trial), {"a": a, "b": b}, speed)


def drawn(seed: int, count: int = 12) -> list[Offer]:
    """Return models drawn by the seed, with ties in quality, figures and trainings."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        quality = float(np.round(random.normal(30, 1), 1))
        a, b = (float(latency) for latency in random.integers(1, 9, 2))
        found.append(offer(number, quality, a, b, str(random.integers(count))))
    return found
