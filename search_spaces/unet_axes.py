"""The axes of the U-Net family: what each can be, and how the paper's networks are without it."""

from __future__ import annotations

from typing import Any, Literal, get_args

Upsampling = Literal["transpose-conv", "depth-to-space", "resize-bilinear"]
Activation = Literal["relu", "prelu", "leaky-relu", "relu6"]
Skip = Literal["concatenation", "addition"]
Downsampling = Literal["max-pool", "strided-conv", "space-to-depth"]
Block = Literal["plain", "residual", "depthwise-separable", "inverted-bottleneck", "branched"]

UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)
ACTIVATIONS: tuple[Activation, ...] = ("relu", "prelu")
"""The paper's two activations, which spaces and names have without being asked."""
ALL_ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
SKIPS: tuple[Skip, ...] = get_args(Skip)
DOWNSAMPLINGS: tuple[Downsampling, ...] = get_args(Downsampling)
BLOCKS: tuple[Block, ...] = get_args(Block)
STEMS = (1, 2, 4)
"""By how much a stem may divide the height and width of all that follows; 1 stands for none."""
EXPANSION = 4
"""The channels inside an inverted bottleneck, over the level's width."""
LEAK = 0.1
"""The slope of a leaky ReLU below 0."""

PLAIN: dict[str, Any] = {
    "skip": "concatenation",
    "downsampling": "max-pool",
    "stem": 1,
    "block": "plain",
    "decoder_convolutions": None,
    "bottleneck_convolutions": None,
}
"""The values that the paper's networks have, which JSON and labels leave out: a network without
these axes has the key that it had before there were any."""
