"""What a U-Net's graph tells before it is trained, in microseconds, for the sampler's benchmarks.

The numbers equal those of `nas.networks.features.of_graph` (tests hold that), which needs a graph
and a millisecond: a benchmark asks for half a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

UP = {"transpose-conv": 0.5, "depth-to-space": 0.25, "resize-bilinear": 1.0}
"""The share of channels that an up-sampling leaves."""


def of_unet(
    upsampling: str,
    activation: str,
    widths: Sequence[float],
    convolutions: int,
    first_kernel: int,
    integer: bool,
) -> dict[str, float]:
    """Return the features of a U-Net at a precision."""
    macs = parameters = 0.0
    below: float = 3
    deepest = len(widths) - 1
    transposed, prelu = upsampling == "transpose-conv", activation == "prelu"
    narrowest = float(min(widths))
    for level, width in enumerate(widths):
        taps = first_kernel**2 if level == 0 else 9
        weights = width * (taps * below + 9 * (convolutions - 1) * width)
        layers = convolutions
        if level < deepest:
            risen = widths[level + 1] * UP[upsampling]
            weights += width * 9 * (risen + width + (convolutions - 1) * width)
            layers += convolutions
            if transposed:
                parameters += 4 * risen * widths[level + 1] + risen
                macs += risen * widths[level + 1] / 4**level
                narrowest = min(narrowest, risen)
        parameters += weights + layers * width * (2 if prelu else 1)
        macs += weights / 4**level
        below = width
    parameters += 27 * widths[0] + 3
    macs += 27 * widths[0]
    return {
        "log macs": log2(macs),
        "log parameters": log2(parameters),
        "log field": log2(_field(len(widths), convolutions, first_kernel)),
        "log narrowest": log2(narrowest),
        "prelu": float(prelu),
        "integer": float(integer),
    }


def _field(levels: int, convolutions: int, first_kernel: int) -> int:
    field = 1 + 2  # the last convolution's
    for level in range(levels):
        field += 2 * convolutions * 2**level * (2 if level < levels - 1 else 1)
        field += 2**level if level < levels - 1 else 0  # the pooling's
    return field + first_kernel - 3
