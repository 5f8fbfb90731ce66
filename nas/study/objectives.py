"""Objectives and constraints: the figures that a study improves, and the bounds it sets."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from nas.errors import ConfigError

# Figures that span orders of magnitude: halving one counts the same at 10 ms and at 1000 ms.
LOGARITHMIC = frozenset(
    {"latency_ms", "init_ms", "gmacs_conv", "gmacs_profiler", "parameters", "bytes"}
    | {"peak_memory_mb", "worst_latency_ratio", "ddr_read_mb", "ddr_write_mb", "context_mb"}
)
MARGIN = 2.0  # how far the reference point lies beyond the worst cost, so that this one counts
WORST_RATIO = "worst_latency_ratio"  # the largest over devices; `evaluators.Latency` gives it


def is_logarithmic(metric: str) -> bool:
    """Return whether a figure is taken as its logarithm; `metric` may name a device in brackets."""
    return metric.split("[")[0] in LOGARITHMIC


@dataclass(frozen=True)
class Objective:
    """A metric, and the direction that improves it."""

    metric: str
    direction: Literal["maximize", "minimize"]

    @classmethod
    def of(cls, metric: str) -> Objective:
        """Return the objective for a metric: quality goes up, everything else goes down."""
        base = metric.split("[")[0]
        up = base in (
            "psnr_db", "ssim", "supernet_psnr_db", "accelerated_mac_share", "fidelity_db"
        )  # fmt: skip
        return cls(metric, "maximize" if up else "minimize")

    @property
    def is_logarithmic(self) -> bool:
        """True where values of the metric are compared by their logarithms."""
        return is_logarithmic(self.metric)

    def loss(self, value: float) -> float:
        """Return the value as something to make small: log10 of costs, the negative of gains.

        Raises ValueError for a cost that is not positive: it has no logarithm.
        """
        if self.is_logarithmic:
            if value <= 0:
                raise ValueError(f"{self.metric} must be more than 0, but {value} came")
            value = math.log10(value)
        return -value if self.direction == "maximize" else value


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

    def bounds(self, objective: Objective) -> bool:
        """Return whether the constraint bounds an objective from its bad side.

        That is from above for an objective to minimize, from below for one to maximize.
        """
        at_most = self.comparison == "<="
        return self.metric == objective.metric and at_most == (objective.direction == "minimize")

    def violation(self, value: float) -> float:
        """Return how far `value` is on the wrong side, as a share of the bound; fine where <= 0."""
        excess = value - self.bound if self.comparison == "<=" else self.bound - value
        return excess / (abs(self.bound) or 1.0)
