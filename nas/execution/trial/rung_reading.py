"""Trials that wait at a rung, and readings: how much a network improves held-out pictures there.

A reading is cheap on purpose: the float network itself, without a conversion, on the middles of a
few held-out pictures. Loads no TensorFlow by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.data import Dataset, Pair
from nas.data.folders import Folders, read_pair
from nas.data.image_quality import UInt8Image, psnr_db, ssim, to_uint8
from nas.errors import TrainingError

READ_ON = "gain over the blurred, float network of averaged weights, middles of held-out pictures"
PICTURES = 8
SIDE = 256  # pixels of a picture's middle; ten of a network's reach in a short training
SCORES: dict[str, Callable[[UInt8Image, UInt8Image], float]] = {"psnr_db": psnr_db, "ssim": ssim}
_kept: dict[tuple[str, int], list[Pair]] = {}


@dataclass(frozen=True)
class Reader:
    """Scores a model by the middles of held-out pictures: the gain over the blurred ones.

    `key` stands for the data set, `reduction` is what the sides must divide by.
    """

    dataset: Dataset
    key: str
    metrics: tuple[str, ...]
    reduction: int

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the mean gain in each metric; TrainingError where the output is not finite."""
        gains: dict[str, list[float]] = {metric: [] for metric in self.metrics}
        for pair in self._middles():
            output = model(pair.blurred[None].astype(np.float32) / np.float32(255), training=False)
            restored = np.asarray(output)[0]
            if not np.isfinite(restored).all():
                raise TrainingError("the training diverged: the network's output is not finite")
            for metric in self.metrics:
                score = SCORES[metric]
                after = score(to_uint8(restored), pair.sharp)
                gains[metric].append(after - score(pair.blurred, pair.sharp))
        return {metric: float(np.mean(values)) for metric, values in gains.items()}

    def _middles(self) -> list[Pair]:
        """Return the middles, which are kept, as every trial of a process asks for them."""
        place = (self.key, self.reduction)
        if place not in _kept:
            _kept[place] = [middle(pair, self.reduction) for pair in _sample(self.dataset)]
        return _kept[place]


def middle(pair: Pair, reduction: int, side: int = SIDE) -> Pair:
    """Return a pair's middle: at most `side` pixels a side, a multiple of `reduction`."""
    height, width = (min(side, n) // reduction * reduction for n in pair.sharp.shape[:2])
    top = (pair.sharp.shape[0] - height) // 2
    left = (pair.sharp.shape[1] - width) // 2
    window = np.s_[top : top + height, left : left + width]
    return Pair(pair.name, pair.blurred[window], pair.sharp[window])


def _sample(dataset: Dataset) -> Sequence[Pair]:
    """Return at most `PICTURES` held-out pairs, evenly spread; no others are read."""
    if isinstance(dataset, Folders):
        return [read_pair(files) for files in _spread(dataset.listing.heldout)]
    return _spread(list(dataset.heldout()))


def _spread(values: Sequence[Any]) -> list[Any]:
    count = min(PICTURES, len(values))
    return [values[index * len(values) // count] for index in range(count)]
