"""Computes image quality, to the letter of one convention for PSNR and one for SSIM.

`psnr-rgb-u8-b0-imgmean`: RGB, values clipped to 0..255 and *rounded* to uint8, then float64; no
border cropped; 10 log10(255^2 / MSE) over all pixels and channels; over a set, the mean of the
images' values. `ssim-rgb-u8-g11`: 11x11 Gaussian window, sigma 1.5, K = (0.01, 0.03), L = 255, the
valid region only, each RGB channel on its own, then the mean.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_ROWS = 256  # of a picture, compared at a time
# The names of the conventions, which stand beside every figure.
PSNR_ID = "psnr-rgb-u8-b0-imgmean"
SSIM_ID = "ssim-rgb-u8-g11"
UInt8Image = npt.NDArray[np.uint8]


def to_uint8(image: npt.NDArray[np.floating[Any]]) -> UInt8Image:
    """Return values from 0 to 1 as 0..255: clipped, then rounded to the nearest."""
    rounded: UInt8Image = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return rounded


def _squares(image: UInt8Image, reference: UInt8Image) -> int:
    difference = image.astype(np.int32) - reference
    return int(np.sum(difference * difference, dtype=np.int64))


def psnr_db(image: UInt8Image, reference: UInt8Image) -> float:
    """Return the PSNR of one image (height, width, 3), uint8, in dB; infinite for equal images.

    Raises ValueError where the shapes or types are others.
    """
    _check(image, reference)
    # By rows, as pictures of phones may have 200 million pixels; sums of whole numbers are exact.
    rows = range(0, len(image), _ROWS)
    total = sum(_squares(image[top : top + _ROWS], reference[top : top + _ROWS]) for top in rows)
    error = total / image.size
    return math.inf if error == 0 else 10 * math.log10(255.0**2 / error)


def ssim(image: UInt8Image, reference: UInt8Image) -> float:
    """Return the SSIM of one image (height, width, 3), uint8, at least 11 pixels on each side.

    Raises ValueError where the shapes or types are others. Source: Wang et al., "Image quality
    assessment: from error visibility to structural similarity", 2004.
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
    """Blur by an 11x11 Gaussian of sigma 1.5, over the valid region of (height, width,
    channels).
    """
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
