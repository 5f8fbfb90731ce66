"""Small U-Nets off the paper's axes: one for each value, and a few that have several at once."""

from __future__ import annotations

from dataclasses import replace

from search_spaces import UNet

SMALL = UNet("resize-bilinear", "relu", (8, 12), 2, 3, True)
AXES: dict[str, UNet] = {
    "addition": replace(SMALL, skip="addition"),
    "addition-shuffle": replace(SMALL, skip="addition", upsampling="depth-to-space"),
    "addition-transpose": replace(SMALL, skip="addition", upsampling="transpose-conv"),
    "strided": replace(SMALL, downsampling="strided-conv", activation="prelu"),
    "space-to-depth": replace(SMALL, downsampling="space-to-depth"),
    "stem2": replace(SMALL, stem=2),
    "stem4": replace(SMALL, stem=4, skip="addition", upsampling="depth-to-space"),
    "residual": replace(SMALL, block="residual", convolutions=3),
    "separable": replace(SMALL, block="depthwise-separable"),
    "inverted": replace(SMALL, block="inverted-bottleneck"),
    "branched": replace(SMALL, block="branched"),
    "counts": replace(SMALL, decoder_convolutions=1, bottleneck_convolutions=3),
    "leaky": replace(SMALL, activation="leaky-relu"),
    "relu6": replace(SMALL, activation="relu6", block="residual"),
}

_OFTEN = replace(SMALL, widths=(4, 8))
MIXED: dict[str, UNet] = {
    "add-shuffle-strided": replace(
        _OFTEN, skip="addition", upsampling="depth-to-space", downsampling="strided-conv",
        activation="prelu",
    ),
    "add-transpose-s2d": replace(
        _OFTEN, skip="addition", upsampling="transpose-conv", downsampling="space-to-depth",
        activation="leaky-relu",
    ),
    "stem2-residual": replace(
        _OFTEN, stem=2, block="residual", activation="relu6", decoder_convolutions=3
    ),
    "stem4-separable": replace(
        _OFTEN, stem=4, block="depthwise-separable", skip="addition", activation="relu6"
    ),
    "inverted": replace(_OFTEN, block="inverted-bottleneck", bottleneck_convolutions=1),
}  # fmt: skip
"""Together they have every layer that any value of any axis brings."""
