"""Scores candidates by slices of a supernet's weights: many a second, with nothing
built or traced.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nas.data import Pair
from nas.errors import DataError
from nas.training.supernet.elastic import HEAD, Choice
from nas.training.supernet.network import ElasticUNet

SIDE = 128  # pixels, of the largest crop
PER_PICTURE = 2  # crops of each picture
CROPS = 16  # in all, at most


@final
@dataclass(frozen=True)
class Crops:
    """Held-out crops.

    `blurred` and `sharp` are uint8 (n, side, side, 3); `picture` has each crop's picture as a
    number.
    """

    blurred: npt.NDArray[np.uint8]
    sharp: npt.NDArray[np.uint8]
    picture: npt.NDArray[np.int64]


def heldout_crops(pairs: Iterable[Pair], reduction: int) -> Crops:
    """Return up to `CROPS` crops, two a picture along its diagonal, of pictures spread over the
    set.

    Sides are at most `SIDE` and divide by `reduction`. Raises DataError where there is no picture,
    or all are too small.
    """
    usable = []
    for index, pair in enumerate(pairs):
        height, width = pair.sharp.shape[:2]
        side = min(SIDE, height, width) // reduction * reduction
        if side:
            usable.append((index, side, pair))
    if not usable:
        raise DataError(f"no held-out picture has {reduction}x{reduction} pixels at least")
    every = math.ceil(len(usable) * PER_PICTURE / CROPS)
    chosen = usable[::every]
    side = min(side for _, side, _ in chosen)
    rows = [(i, _places(p, side, n), p) for i, _, p in chosen for n in range(PER_PICTURE)]
    cut = [(i, p.blurred[place], p.sharp[place]) for i, place, p in rows]
    return Crops(
        np.stack([blurred for _, blurred, _ in cut]),
        np.stack([sharp for _, _, sharp in cut]),
        np.array([index for index, _, _ in cut]),
    )


def _places(pair: Pair, side: int, number: int) -> tuple[slice, slice]:
    share = (number + 0.5) / PER_PICTURE
    top, left = (round((length - side) * share) for length in pair.sharp.shape[:2])
    return slice(top, top + side), slice(left, left + side)


@final
class Scorer:
    """Scores slices of one supernet on one set of crops; it is traced once, when it is
    first used.
    """

    def __init__(self, network: ElasticUNet, crops: Crops) -> None:
        self._crops = crops
        row = tf.TensorSpec((len(HEAD) + network.elastic.deepest,), tf.int32)
        pictures = tf.TensorSpec(crops.blurred.shape, tf.uint8)

        @tf.function(autograph=False, input_signature=[row, pictures, pictures])  # type: ignore[untyped-decorator]
        def errors(choice: Any, blurred: Any, sharp: Any) -> Any:
            restored = network(choice, tf.cast(blurred, tf.float32) / 255.0)
            levels = tf.round(tf.clip_by_value(restored, 0.0, 1.0) * 255.0)
            return tf.reduce_mean(tf.square(levels - tf.cast(sharp, tf.float32)), (1, 2, 3))

        self._errors = errors

    def psnr_db(self, choice: Choice) -> float:
        """Return the mean over pictures of the PSNR of their crops, values rounded to 8 bits.

        The figure is a proxy that ranks candidates; no model has this quality.
        """
        errors = self._errors(choice, self._crops.blurred, self._crops.sharp).numpy()
        pictures = np.unique(self._crops.picture)
        means = [float(errors[self._crops.picture == one].mean()) for one in pictures]
        return float(np.mean([10 * math.log10(255.0**2 / max(mean, 1e-12)) for mean in means]))
