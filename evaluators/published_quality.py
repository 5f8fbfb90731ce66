"""PSNR of U-Nets like the paper's, modelled from the cells that it published; nothing is trained.

The eleven float rows of Tables 3 and 4 lie within hundredths of a dB on one curve of the network's
MACs, whatever the up-sampling operation and whether it was built or pruned to them:

    psnr_db = P - a (M / M0)^-b - c [ReLU instead of PReLU] + d(precision)

M0 are the MACs of the paper's final network. Of each precision there is one row, so d is that row's
difference. The paper varies all levels together. M therefore counts a network's MACs level by
level, as the harmonic mean of their ratios to the paper's: what is missing at one level is not made
up for by more at another. That is our assumption, and the careful one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np

from evaluators.replacements import Replacement, together
from nas.devices.paper_phones.networks import network, recognised, row_of
from nas.devices.paper_phones.published import Row, rows
from nas.errors import ConfigError
from nas.networks.candidate import Precision
from nas.tflite.operations import Operations

_FINAL = "unet-resizebilinear-prelu"
SEEN_FROM, SEEN_TO = 0.45, 1.1
"""The range of M / M0 that the curve is trusted in: the tables' own, and a step beyond."""
_START = (32.0, 0.3, 3.0, 0.2)  # P, a, b and c to fit from


@final
@dataclass(frozen=True)
class QualityEstimate:
    """A PSNR on REDS (dB) with its interval; `source` is "published" or "modelled".

    `about` names the row, or the fit, that the PSNR comes from. `macs_ratio` is M / M0, None for
    other networks than U-Nets; below `SEEN_FROM` the curve is drawn beyond its rows. The interval
    is two root mean squares of the model's leave-one-out errors, wider for a precision with one
    row only, None for a published figure.
    """

    psnr_db: float
    interval_db: tuple[float, float] | None
    source: str
    about: str
    macs_ratio: float | None


def estimate(
    operations: Operations, precision: Precision, replaced: Sequence[Replacement] = ()
) -> QualityEstimate:
    """Estimate the PSNR of a network at 1280x720 and a precision.

    What it has `replaced` of the paper's U-Net shifts the curve by a measured difference, and adds
    that difference's uncertainty to the interval.

    A network of the paper has its published figure. MACs beyond 1.1 times the paper's count as 1.1
    times; below half of them, where no row is, the interval grows with the loss. Raises ConfigError
    where the network is no U-Net of five levels: of others the paper says nothing.
    """
    match = recognised(operations)
    row = row_of(match[0], precision) if match else None
    if row is not None:
        about = f"Table {row.table}, {row.row}"
        return QualityEstimate(row.psnr_db, None, "published", about, _ratio(operations))
    ratio, relu = _described(operations)
    curve = _fitted()
    drop = _precision_drop_db(precision)
    shift, unsure = together(replaced)
    value = curve.psnr_db(min(ratio, SEEN_TO), relu) - drop
    beyond = max(0.0, curve.psnr_db(SEEN_FROM, relu) - drop - value)
    reach = 2 * curve.error_db + 0.25 * (abs(drop) + beyond) + max(0.0, ratio - 1) * 0.5
    reach = math.hypot(reach, unsure)
    value += shift
    about = f"a curve of MACs fitted to {len(_points())} published rows"
    if replaced:
        names = ", ".join(one.name for one in replaced)
        about += f", with what {names} cost in short trainings ({shift:+.2f} ± {unsure:.2f} dB)"
    return QualityEstimate(value, (value - reach, value + reach), "modelled", about, ratio)


@final
@dataclass(frozen=True)
class Curve:
    """The four numbers of the formula, and its leave-one-out error (root mean square, dB)."""

    best_db: float
    spread_db: float
    power: float
    relu_db: float
    error_db: float = math.nan

    def psnr_db(self, ratio: float, relu: bool) -> float:
        """Return the float PSNR at M / M0 = `ratio`."""
        return float(self.best_db - self.spread_db * ratio**-self.power - self.relu_db * relu)


@final
@dataclass(frozen=True)
class _Point:
    ratio: float
    relu: bool
    psnr_db: float


def leave_one_out() -> list[tuple[str, float, float]]:
    """List each published float row: its name, its PSNR, and that of a fit to all other rows."""
    points = _points()
    figures = []
    for index, (row, point) in enumerate(points.items()):
        others = [other for at, other in enumerate(points.values()) if at != index]
        figures.append((row, point.psnr_db, _fit(others).psnr_db(point.ratio, point.relu)))
    return figures


@cache
def _fitted() -> Curve:
    errors = [modelled - published for _, published, modelled in leave_one_out()]
    curve = _fit(list(_points().values()))
    error = float(np.sqrt(np.mean(np.square(errors))))
    return Curve(curve.best_db, curve.spread_db, curve.power, curve.relu_db, error)


def _fit(points: Sequence[_Point]) -> Curve:
    from scipy.optimize import least_squares

    def residuals(values: Sequence[float]) -> list[float]:
        curve = Curve(*values)
        return [curve.psnr_db(point.ratio, point.relu) - point.psnr_db for point in points]

    return Curve(*map(float, least_squares(residuals, _START).x))


@cache
def _points() -> dict[str, _Point]:
    """List the float rows of the U-Nets, each network once."""
    points: dict[str, _Point] = {}
    for row in rows():
        if row.table in (3, 4) and row.precision == "float":
            ratio, relu = _described(network(row.network, row.pruned_percent))
            name = f"Table {row.table}, {row.row}"
            if _Point(ratio, relu, row.psnr_db) not in points.values():
                points[name] = _Point(ratio, relu, row.psnr_db)
    return points


def _precision_drop_db(precision: Precision) -> float:
    if precision == "float":
        return 0.0
    whole = _whole("float")
    return whole.psnr_db - _whole(precision).psnr_db


def _whole(precision: Precision) -> Row:
    row = row_of(_FINAL, precision)
    if row is None:
        raise ConfigError(f"the paper has no row of {_FINAL} at {precision}")
    return row


def _ratio(operations: Operations) -> float | None:
    same = _by_level(operations).keys() == _by_level(network(_FINAL)).keys()
    return _described(operations)[0] if same else None


def _described(operations: Operations) -> tuple[float, bool]:
    """Return M / M0, and whether ReLU is used; raises ConfigError on other levels."""
    ours, theirs = _by_level(operations), _by_level(network(_FINAL))
    if ours.keys() != theirs.keys():
        raise ConfigError(
            "PSNR is modelled for U-Nets of five levels like the paper's at 1280x720; this network "
            f"works at {_sizes(ours)}, those at {_sizes(theirs)}"
        )
    total = sum(theirs.values())
    harmonic = 1 / sum(macs / total * macs / ours[level] for level, macs in theirs.items())
    return harmonic, not any(step.op == "PRELU" for step in operations.steps)


def _by_level(operations: Operations) -> dict[tuple[int, int], int]:
    """Count the convolutions' MACs at each (width, height); transposed ones at their output's."""
    macs: dict[tuple[int, int], int] = defaultdict(int)
    for step in operations.steps:
        if step.conv_macs:
            macs[step.shape[1], step.shape[0]] += step.conv_macs
    return dict(macs)


def _sizes(levels: dict[tuple[int, int], int]) -> str:
    return ", ".join(f"{width}x{height}" for width, height in levels)
