"""Puts pictures of any size through a network of a fixed one."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np

from nas.data.image_quality import UInt8Image

MARGIN = 32  # pixels at a tile's inner edge that are thrown away: a seam can't be seen then


class Restorer(Protocol):
    """A network that restores pictures of exactly one size, such as `interpreter.Artifact`."""

    @property
    def height(self) -> int:
        """The height of its pictures, in pixels."""
        ...

    @property
    def width(self) -> int:
        """The width of its pictures, in pixels."""
        ...

    def restore(self, image: UInt8Image) -> UInt8Image:
        """Return the restored picture; both are uint8 (height, width, 3)."""
        ...


def restore_any_size(restorer: Restorer, image: UInt8Image) -> tuple[UInt8Image, str]:
    """Restore a picture (h, w, 3) whatever its size; return it, and in words how it was fitted.

    The words are "whole frames" where the sizes agree, "edges mirrored to WxH" where the picture is
    smaller (the result is cropped), and "tiled by WxH" where it is larger (tiles overlap by
    `MARGIN` at least on each side).
    """
    height, width = image.shape[:2]
    if (height, width) == (restorer.height, restorer.width):
        return restorer.restore(image), "whole frames"
    below, right = max(0, restorer.height - height), max(0, restorer.width - width)
    padded = _mirror(image, below, right)
    restored = _tiled(restorer, padded)[:height, :width]
    tiled = height > restorer.height or width > restorer.width
    at = f"{restorer.width}x{restorer.height}"
    return restored, f"tiled by {at}" if tiled else f"edges mirrored to {at}"


def _mirror(image: UInt8Image, below: int, right: int) -> UInt8Image:
    mirrored: UInt8Image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
    return mirrored


def _tiled(restorer: Restorer, image: UInt8Image) -> UInt8Image:
    result = np.empty_like(image)
    rows = _spans(image.shape[0], restorer.height)
    columns = _spans(image.shape[1], restorer.width)
    for top, row_from, row_to in rows:
        for left, column_from, column_to in columns:
            tile = image[top : top + restorer.height, left : left + restorer.width]
            done = restorer.restore(tile)
            result[row_from:row_to, column_from:column_to] = done[
                row_from - top : row_to - top, column_from - left : column_to - left
            ]
    return result


def _spans(length: int, tile: int) -> list[tuple[int, int, int]]:
    """Return where each tile starts, and the part (from, to) of the result that it fills."""
    if length <= tile:
        return [(0, 0, length)]
    margin = min(MARGIN, tile // 4)
    count = -(-(length - 2 * margin) // (tile - 2 * margin))
    starts = [round(index * (length - tile) / (count - 1)) for index in range(count)]
    cuts = [0, *((a + tile + b) // 2 for a, b in pairwise(starts)), length]
    return [(start, cuts[i], cuts[i + 1]) for i, start in enumerate(starts)]
