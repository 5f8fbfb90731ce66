"""From the simulator's estimates to milliseconds on a phone: `a + b * simulated`, and how wrong.

`published.csv` holds latencies that Qualcomm published for networks on real devices. What the
simulator says of the same networks, rebuilt, is in `simulated.csv`, which
benchmarks/npu_calibration.py writes. Two numbers a device and precision are fitted to them; the
interval of a latency is as wide as the errors for networks that were left out of the fit.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

import numpy as np

from nas.devices.npu.chips import ESTIMATED_AS
from nas.system.hashing import content_key, file_sha256

FOLDER = Path(__file__).parent
RUNTIMES = {"float": "qnn_dlc", "int8": "tflite", "int16": "qnn_dlc"}
"""Of the published runtimes the one whose latencies are fitted, by precision.

In int8 what was published as `tflite` is quantized as our files are, and `qnn_dlc` by another
program into another graph. In float both are the same network but for one, whose `.tflite` is
three times as slow on every device (XLSR, with its grouped convolutions).
"""
SAME_CHIP = "Dragonwing IQ-9075 EVK"
"""A board with the very chip that the simulator knows (QCS9075, which equals SA8255)."""
COVERAGE = 0.8
"""How probably an interval shall hold a latency, where so many networks were published."""
FEWEST = 4
"""Networks without which nothing is fitted."""


@final
@dataclass(frozen=True)
class Point:
    """A network that was published on a device, beside what the simulator says of it, in ms."""

    network: str
    published_ms: float
    simulated_ms: float


@final
@dataclass(frozen=True)
class LeftOut:
    """A network's latency by a fit to all others, in ms."""

    point: Point
    modelled_ms: float

    @property
    def error(self) -> float:
        """Relative to what was published; above 0 where the model is too slow."""
        return self.modelled_ms / self.point.published_ms - 1


@final
@dataclass(frozen=True)
class Fit:
    """`latency = offset_ms + slope * simulated` for one device and precision.

    With probability `coverage` a latency is at most `factor` times as long or as short, judged by
    the networks that were left out, if the next network is of their kind.
    """

    device: str
    precision: str
    offset_ms: float
    slope: float
    left_out: tuple[LeftOut, ...]
    factor: float
    coverage: float

    def latency_ms(self, simulated_ms: float) -> float:
        """A network's latency, from the simulator's estimate of it."""
        return self.offset_ms + self.slope * simulated_ms

    def interval_ms(self, simulated_ms: float) -> tuple[float, float]:
        """What holds the latency with probability `coverage`."""
        middle = self.latency_ms(simulated_ms)
        return (middle / self.factor, middle * self.factor)

    @property
    def mean_error(self) -> float:
        """The mean relative error, without its sign, of networks that were left out."""
        return sum(abs(row.error) for row in self.left_out) / len(self.left_out)

    @property
    def worst_error(self) -> float:
        """The largest relative error, without its sign, of networks that were left out."""
        return max(abs(row.error) for row in self.left_out)

    @property
    def largest_ms(self) -> float:
        """The longest estimate that the fit has seen."""
        return max(row.point.simulated_ms for row in self.left_out)


@cache
def fitted(device: str, precision: str) -> Fit | None:
    """The fit for a device as published and "float", "int8" or "int16"; None without figures."""
    points = points_of(device, precision)
    return fit(device, precision, points) if len(points) >= FEWEST else None


def fit(device: str, precision: str, points: tuple[Point, ...]) -> Fit:
    """Fit to points, and to all but each of them; ValueError where there are fewer than three."""
    if len(points) < 3:
        raise ValueError(f"a fit needs three networks, but {len(points)} came")
    left_out = []
    for number, point in enumerate(points):
        offset, slope = _coefficients(points[:number] + points[number + 1 :])
        left_out.append(LeftOut(point, offset + slope * point.simulated_ms))
    ratios = sorted(abs(math.log(row.modelled_ms / row.point.published_ms)) for row in left_out)
    # The n + 1st network is as likely to be the k-th worst as any other: k / (n + 1) of them lie
    # within the k-th largest error.
    rank = min(len(ratios), math.ceil(COVERAGE * (len(ratios) + 1)))
    coverage = rank / (len(ratios) + 1)
    factor = math.exp(ratios[rank - 1])
    return Fit(device, precision, *_coefficients(points), tuple(left_out), factor, coverage)


def offset_ms(points: Iterable[Point]) -> float:
    """The `a` of `a + simulated` with the least sum of squared relative errors; never below 0."""
    known = tuple(points)
    weights = np.array([1 / point.published_ms for point in known])
    rest = np.array([1 - point.simulated_ms / point.published_ms for point in known])
    return max(0.0, float(weights @ rest / (weights @ weights)))


@cache
def own_offset_ms(precision: str) -> float | None:
    """How much longer the simulated chip takes than its simulator says; None without figures."""
    points = points_of(SAME_CHIP, precision)
    return offset_ms(points) if len(points) >= FEWEST else None


def _coefficients(points: tuple[Point, ...]) -> tuple[float, float]:
    """Offset and slope, neither below 0, with the least sum of squared relative errors."""
    from scipy.optimize import nnls

    published = np.array([point.published_ms for point in points])
    simulated = np.array([point.simulated_ms for point in points])
    rows = np.stack([1 / published, simulated / published], axis=1)
    offset, slope = nnls(rows, np.ones(len(points)))[0]
    return float(offset), float(slope)


def points_of(device: str, precision: str, runtime: str | None = None) -> tuple[Point, ...]:
    """What was published of a device at a precision, beside the estimates.

    `runtime` is that of `RUNTIMES` where it is None.
    """
    runtime = runtime or RUNTIMES[precision]
    simulated = {
        row["network"]: float(row["simulated_ms"])
        for row in rows("simulated.csv")
        if row["precision"] == precision and int(row["chip_number"]) == ESTIMATED_AS
    }
    return tuple(
        Point(row["network"], float(row["latency_ms"]), simulated[row["network"]])
        for row in rows("published.csv")
        if (row["device"], row["precision"], row["runtime"]) == (device, precision, runtime)
        and row["network"] in simulated
    )


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one of the calibration's CSV files."""
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def identity() -> str:
    """A key of the data and of the form of the fit: with others, other latencies."""
    files = [file_sha256(FOLDER / name) for name in ("published.csv", "simulated.csv")]
    return content_key([1, files, RUNTIMES, COVERAGE, FEWEST, ESTIMATED_AS])
