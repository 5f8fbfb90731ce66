"""A figure with its unit, its interval and its source; and the challenge score made of two."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

_TRUST = ("measured", "simulated", "computed", "published", "modelled", "synthetic")
NTIRE_REFERENCE_FPS, NTIRE_MOST_FPS = 8.23, 45.0


@dataclass(frozen=True)
class Metric:
    """One figure with what it needs to be believed.

    `source` is "measured" (on the artifact or device itself), "simulated" (by a vendor's own
    simulator), "computed" (a closed formula), "published", "modelled" or "synthetic" (an emulated
    device). `definition` names the convention, `interval` is (low, high), `conditions` says on what
    and how the figure was taken, `disturbed` who else had the processor meanwhile.
    """

    value: float
    source: str
    definition: str | None = None
    interval: tuple[float, float] | None = None
    conditions: str | None = None
    disturbed: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a metric must be finite, but {self.value} came")

    def to_dict(self) -> dict[str, Any]:
        """Return the metric as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Metric:
        """Return the metric that `to_dict` wrote; TypeError or ValueError on anything else."""
        interval = values.get("interval")
        return cls(**{**values, "interval": tuple(interval) if interval else None})


def least_trusted(sources: Iterable[str]) -> str:
    """Return the source of a figure that is made of several: that of its weakest part.

    Raises ValueError where none is given, or an unknown one.
    """
    return max(sources, key=_TRUST.index)


def ntire_smartphone_score(psnr_db: float, latency_ms: float) -> float:
    """Return PSNR + 0.5 log2(fps / 8.23), where more than 45 frames a second count as 45.

    The score of the smartphone track of the NTIRE 2020 image deblurring challenge, there at 256x256
    on a Pixel 4: twice the speed is worth half a dB. Source: Nah et al., "NTIRE 2020 Challenge on
    Image and Video Deblurring", CVPRW 2020. Raises ValueError where the latency is not positive.
    """
    if latency_ms <= 0:
        raise ValueError(f"a latency must be positive, but {latency_ms} ms came")
    fps = min(1000.0 / latency_ms, NTIRE_MOST_FPS)
    return psnr_db + 0.5 * math.log2(fps / NTIRE_REFERENCE_FPS)
