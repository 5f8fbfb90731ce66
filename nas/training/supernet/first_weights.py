"""Draws the weights from which an elastic U-Net's training starts. Loads no TensorFlow."""

from __future__ import annotations

from typing import final

import numpy as np
import numpy.typing as npt

from nas.training.supernet.elastic import Elastic

Array = npt.NDArray[np.float32]
OUTPUT_GAIN = 0.1  # as `nas.training.identity_start.start_near_identity`
SHUFFLE = "depth-to-space"  # the up-sampling by which four channels become one of four pixels
PARTS = {"transpose-conv": 2, SHUFFLE: 4, "resize-bilinear": 1}  # what channels are divided by


def first_weights(elastic: Elastic, seed: int) -> dict[str, Array]:
    """Return the weights that a training starts from, by name.

    Kernels start by Glorot's uniform rule at the full width, the output's at a tenth of that. Where
    the picture is carried through, the first three channels at full resolution start at 0: the
    gentle start of `nas.training.identity_start.start_near_identity`.
    """
    first = _FirstWeights(elastic, np.random.default_rng((seed, 3)))
    for way, level in _stages(elastic):
        for index in range(1, elastic.convolutions[-1] + 1):
            first.add_convolution(way, level, index)
    if "transpose-conv" in elastic.upsampling:
        for level in range(elastic.deepest - 1):
            first.add_transpose(level)
    for residual in map(int, elastic.global_residual):
        first.add_output(residual)
    return first.weights


@final
class _FirstWeights:
    """First weights by name, drawn in the order in which layers are added."""

    def __init__(self, elastic: Elastic, rng: np.random.Generator) -> None:
        self.weights: dict[str, Array] = {}
        self._elastic = elastic
        self._rng = rng
        self._rows = len(elastic.upsampling) * len(elastic.activation)  # of biases

    def add_convolution(self, way: str, level: int, index: int) -> None:
        """Add a convolution of a level on the way down or up: kernels, gains, bias and slopes."""
        elastic, wide = self._elastic, self._elastic.widest(level)
        name = f"{way}{level}_conv{index}"
        if name == "down0_conv1":
            self._add_kernel(name, elastic.first_kernel[-1], 3 + wide, (3, wide), 0)
        elif index > 1:
            self._add_kernel(name, 3, 2 * wide, (wide, wide), level)
        elif way == "down":
            before = elastic.widest(level - 1)
            self._add_kernel(name, 3, before + wide, (before, wide), level - 1)
        else:
            below = elastic.widest(level + 1)
            self._add_kernel(f"{name}/skip", 3, below + 2 * wide, (wide, wide), level)
            for up in elastic.upsampling:
                channels = (below // PARTS[up], wide)
                self._add_kernel(f"{name}/{up}", 3, below + 2 * wide, channels, level + 1)
        self.weights[f"{name}/bias"] = np.zeros((self._rows, wide), np.float32)
        if "prelu" in elastic.activation:
            self.weights[f"{way}{level}_prelu{index}"] = np.full(wide, 0.25, np.float32)

    def add_transpose(self, level: int) -> None:
        """Add the transposed convolution that up-samples to `level`."""
        below = self._elastic.widest(level + 1)
        self.weights[f"up{level}_transpose"] = self._uniform(4 / below, (2, 2, below // 2, below))
        self.weights[f"up{level}_transpose/bias"] = np.zeros(below // 2, np.float32)

    def add_output(self, residual: int) -> None:
        """Add the last convolution, of networks with the global residual (1) or without (0)."""
        name, wide = f"output/{residual}", self._elastic.widest(0)
        self._add_kernel(name, 3, wide + 3, (wide, 3), 0)
        self.weights[name] *= np.float32(OUTPUT_GAIN)
        self.weights[f"{name}/bias"] = np.zeros((self._rows, 3), np.float32)

    def _add_kernel(
        self, name: str, side: int, fans: int, channels: tuple[int, int], before: int
    ) -> None:
        """Add a kernel with its gains: one for each output and each width that it may read.

        `fans` is the sum of input and output channels, `before` the level whose widths it reads.
        """
        rows = len(self._elastic.widths[before])
        self.weights[f"{name}/gain"] = np.ones((rows, channels[1]), np.float32)
        self.weights[name] = self._uniform(6 / (side**2 * fans), (side, side, *channels))
        if carries(self._elastic, name):
            self.weights[name][..., :3] = 0

    def _uniform(self, square: float, shape: tuple[int, ...]) -> Array:
        limit = np.sqrt(square)
        return self._rng.uniform(-limit, limit, shape).astype(np.float32)


def _stages(elastic: Elastic) -> list[tuple[str, int]]:
    deep = elastic.deepest
    return [*(("down", n) for n in range(deep)), *(("up", n) for n in range(deep - 1))]


def carries(elastic: Elastic, name: str) -> bool:
    """Return whether the picture passes through the first three channels of a
    full-resolution kernel.
    """
    stage = name.split("_")[0]
    return False in elastic.global_residual and stage in ("down0", "up0") and "conv" in name
