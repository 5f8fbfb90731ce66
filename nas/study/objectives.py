"""Objectives and constraints: what a study wants of a figure, and what it forbids."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from nas.errors import ConfigError

LOGARITHMIC = frozenset(
    {"latency_ms", "init_ms", "gmacs_conv", "gmacs_profiler", "parameters", "bytes"}
    | {"peak_memory_mb", "worst_latency_ratio"}
)
MARGIN = 2.0  # the reference's cost over the worst of those, so that they count themselves
WORST_RATIO = "worst_latency_ratio"  # see `evaluators.Latency`


def _loss(value: float, objective: Objective) -> float:
    """A value as something to make small: log10 of costs, the negative of what goes up."""
    if _logarithmic(objective):
        if value <= 0:
            raise ValueError(f"{objective.metric} must be more than 0, but {value} came")
        value = math.log10(value)
    return -value if objective.direction == "maximize" else value


def _logarithmic(objective: Objective) -> bool:
    return objective.metric.split("[")[0] in LOGARITHMIC


@dataclass(frozen=True)
class Objective:
    """A metric to push up or down."""

    metric: str
    direction: Literal["maximize", "minimize"]

    @classmethod
    def of(cls, metric: str) -> Objective:
        """The objective for a metric's name: quality goes up, everything else goes down."""
        base = metric.split("[")[0]
        up = base in ("psnr_db", "ssim", "supernet_psnr_db", "accelerated_mac_share")
        return cls(metric, "maximize" if up else "minimize")


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric, e.g. `latency_ms[host]<=50`."""

    metric: str
    comparison: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read METRIC<=NUMBER or METRIC>=NUMBER; ConfigError on anything else."""
        match = re.fullmatch(r"\s*([\w]+(?:\[[^\]]+\])?)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
        try:
            if match is None:
                raise ValueError
            return cls(match[1], match[2], float(match[3]))  # type: ignore[arg-type]
        except ValueError as error:
            raise ConfigError(
                f"constraint {text!r}: expected METRIC<=NUMBER or METRIC>=NUMBER, for example "
                "'latency_ms[host]<=50'"
            ) from error

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"

    def violation(self, value: float) -> float:
        """How far `value` is on the wrong side, as a share of the bound; feasible where <= 0."""
        excess = value - self.bound if self.comparison == "<=" else self.bound - value
        return excess / (abs(self.bound) or 1.0)
