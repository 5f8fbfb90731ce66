"""Image quality, to the letter of one convention, and the value that every figure is kept in.

`psnr-rgb-u8-b0-imgmean`: RGB, values clipped to 0..255 and *rounded* to uint8, then float64; no
border cropped; 10 log10(255^2 / MSE) over all pixels and channels; over a set, the mean of the
images' values. `ssim-rgb-u8-g11`: 11x11 Gaussian window, sigma 1.5, K = (0.01, 0.03), L = 255, the
valid region only, each RGB channel on its own, then the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PSNR_ID = "psnr-rgb-u8-b0-imgmean"
SSIM_ID = "ssim-rgb-u8-g11"
UInt8Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Metric:
    """One figure with what it needs to be believed.

    `source` is "measured" (on the artifact or device itself), "computed" (a closed formula),
    "modelled", "published" or "synthetic" (an emulated device). `definition` names the convention,
    `interval` is (low, high), `conditions` says on what and how the figure was taken.
    """

    value: float
    source: str
    definition: str | None = None
    interval: tuple[float, float] | None = None
    conditions: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a metric must be finite, but {self.value} came")

    def to_dict(self) -> dict[str, Any]:
        """The metric as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Metric:
        """The metric that `to_dict` wrote."""
        interval = values.get("interval")
        return cls(**{**values, "interval": tuple(interval) if interval else None})


_TRUST = ("measured", "computed", "published", "modelled", "synthetic")


def least_trusted(sources: Iterable[str]) -> str:
    """The source of a figure that is made of several: that of its weakest part.

    Raises ValueError where none is given, or an unknown one.
    """
    return max(sources, key=_TRUST.index)


NTIRE_REFERENCE_FPS, NTIRE_MOST_FPS = 8.23, 45.0


def ntire_smartphone_score(psnr_db: float, latency_ms: float) -> float:
    """PSNR + 0.5 log2(fps / 8.23), where more than 45 frames a second count as 45.

    The score of the smartphone track of the NTIRE 2020 image deblurring challenge, there at 256x256
    on a Pixel 4: twice the speed is worth half a dB. Source: Nah et al., "NTIRE 2020 Challenge on
    Image and Video Deblurring", CVPRW 2020. Raises ValueError where the latency is not positive.
    """
    if latency_ms <= 0:
        raise ValueError(f"a latency must be positive, but {latency_ms} ms came")
    fps = min(1000.0 / latency_ms, NTIRE_MOST_FPS)
    return psnr_db + 0.5 * math.log2(fps / NTIRE_REFERENCE_FPS)


def short(value: float) -> str:
    """Three significant digits, whole from 1,000 on, never in powers of ten: "0.0412", "9,770"."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.6f}"


def to_uint8(image: npt.NDArray[np.floating[Any]]) -> UInt8Image:
    """Values from 0 to 1 as 0..255: clipped, then rounded to the nearest."""
    rounded: UInt8Image = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return rounded


def psnr_db(image: UInt8Image, reference: UInt8Image) -> float:
    """PSNR of one image (height, width, 3), uint8, in dB; infinite for equal images.

    Raises ValueError where the shapes or types are not as said.
    """
    _check(image, reference)
    difference = image.astype(np.float64) - reference.astype(np.float64)
    error = float(np.mean(difference * difference))
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def ssim(image: UInt8Image, reference: UInt8Image) -> float:
    """SSIM of one image (height, width, 3), uint8, at least 11 pixels on each side.

    Raises ValueError where the shapes or types are not as said.
    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004.
    """
    _check(image, reference)
    if min(image.shape[:2]) < 11:
        raise ValueError(f"SSIM needs 11 pixels on each side, but {image.shape[:2]} came")
    a = image.astype(np.float64)
    b = reference.astype(np.float64)
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float(np.mean(top / bottom))


def _blur(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """An 11x11 Gaussian of sigma 1.5 over the valid region of (height, width, channels)."""
    from scipy.ndimage import correlate1d

    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    rows = correlate1d(image, window, axis=0)[5:-5]
    blurred: npt.NDArray[np.float64] = correlate1d(rows, window, axis=1)[:, 5:-5]
    return blurred


def _check(image: UInt8Image, reference: UInt8Image) -> None:
    for what, array in (("image", image), ("reference", reference)):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise ValueError(
                f"{what}: expected uint8 (height, width, 3), but {array.dtype} {array.shape} came"
            )
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
