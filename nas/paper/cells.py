"""Holds a published figure beside ours, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from nas.devices.paper_phones.published import Footnote

FULL = "full size"
FigureUnit = Literal["dB", "", "GMAC", "ms"]


@final
@dataclass(frozen=True)
class OwnFigure:
    """A figure of ours; `value` is None where `failure` says why.

    `source` is "measured", "modelled", "published", "computed" or "synthetic". `scale` names the
    scale at which it was taken, `about` how. `interval` is in the figure's unit. `fallbacks` are
    the operations that ran on the CPU, or that the model puts there.
    """

    value: float | None
    source: str
    scale: str
    about: str = ""
    interval: tuple[float, float] | None = None
    failure: str | None = None
    fallbacks: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class ComparedCell:
    """A published figure and ours.

    `table`, `row` and `column` are its place in the paper. `outcome` tells what the paper prints: a
    number, "failed", or nothing. `comparable`: both were taken at the same scale and on the same
    data, so that their difference means something.
    """

    table: int
    row: str
    column: str
    unit: FigureUnit
    published: float | None
    outcome: Literal["number", "failed", "empty"]
    here: OwnFigure | None
    comparable: bool
    footnote: Footnote | None = None

    @property
    def difference(self) -> float | None:
        """Return ours less the published figure, in its unit; None where either is missing."""
        if self.published is None or self.here is None or self.here.value is None:
            return None
        return self.here.value - self.published

    @property
    def relative(self) -> float | None:
        """Return the difference over the published figure."""
        if self.difference is None or not self.published:
            return None
        return self.difference / self.published
