"""Puts pictures of any size through a network of a fixed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, final

import numpy as np

from nas.data.image_quality import UInt8Image
from nas.errors import ConversionError

Span = tuple[int, int, int]
"""Where a tile starts, and the part (from, to) of the result that it fills, along one side."""
MARGIN = 32  # pixels at a tile's inner edge that are thrown away: a seam can't be seen then
GRID = 16  # pixels: what a U-Net of five levels reduces to one


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


@dataclass(frozen=True, eq=False)
class Tiled:
    """A restored picture, and how it was put together.

    `picture` is uint8 (height, width, 3). `fitting` says in words how the picture was fitted to the
    network's size, `tiles` how often the network ran. `seam_levels` is the largest difference, in
    levels of 255, between two tiles at the pixels on both sides of the cut between them; None
    where there is no cut.
    """

    picture: UInt8Image
    fitting: str
    tiles: int
    seam_levels: int | None


def restore_any_size(restorer: Restorer, image: UInt8Image) -> tuple[UInt8Image, str]:
    """Restore a picture (h, w, 3) whatever its size; return it, and in words how it was fitted.

    The words are "whole frames" where the sizes agree, "edges mirrored to WxH" where the picture is
    smaller (the result is cropped), and "tiled by WxH" where it is larger (tiles overlap by
    `MARGIN` at least on each side).
    """
    tiled = restore_tiled(restorer, image)
    return tiled.picture, tiled.fitting


def restore_tiled(
    restorer: Restorer, image: UInt8Image, progress: Callable[[int, int], None] | None = None
) -> Tiled:
    """Restore a picture (h, w, 3) as `restore_any_size`, and measure its seams.

    `progress` is called with the number of tiles that are done, and of all. Raises ConversionError
    where the network gives pictures of another size than it takes.
    """
    height, width = image.shape[:2]
    if (height, width) == (restorer.height, restorer.width):
        return Tiled(_checked(restorer, image), "whole frames", 1, None)
    below, right = max(0, restorer.height - height), max(0, restorer.width - width)
    work = _Work(restorer, _mirror(image, below, right), progress or (lambda done, total: None))
    work.do()
    larger = height > restorer.height or width > restorer.width
    at = f"{restorer.width}x{restorer.height}"
    fitting = f"tiled by {at}" if larger else f"edges mirrored to {at}"
    return Tiled(work.result[:height, :width], fitting, work.tiles, work.seam_levels)


def _checked(restorer: Restorer, tile: UInt8Image) -> UInt8Image:
    """Return the restored tile; a network that enlarges pictures can't restore them."""
    done = restorer.restore(tile)
    if done.shape != tile.shape:
        (height, width), (high, wide) = done.shape[:2], tile.shape[:2]
        raise ConversionError(
            f"the network gives pictures of {width}x{height} for pictures of {wide}x{high}: "
            "expected the same size"
        )
    return done


def _mirror(image: UInt8Image, below: int, right: int) -> UInt8Image:
    mirrored: UInt8Image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
    return mirrored


@final
class _Work:
    """One picture on its way through the tiles.

    `seam_levels` grows while tiles are compared with their neighbours to the left and above.
    """

    def __init__(
        self, restorer: Restorer, image: UInt8Image, progress: Callable[[int, int], None]
    ) -> None:
        self._restorer, self._image, self._progress = restorer, image, progress
        self._rows = _spans(image.shape[0], restorer.height)
        self._columns = _spans(image.shape[1], restorer.width)
        self.tiles = len(self._rows) * len(self._columns)
        self.result = np.empty_like(image)
        self.seam_levels: int | None = None

    def do(self) -> None:
        """Restore all tiles, a row of them after the other."""
        above: list[UInt8Image] = []
        for index, row in enumerate(self._rows):
            line: list[UInt8Image] = []
            for number, column in enumerate(self._columns):
                done = self._tile(row, column)
                if line:
                    self._compare_left(row, self._columns[number - 1], column, line[-1], done)
                if above:
                    self._compare_above(self._rows[index - 1], row, column, above[number], done)
                line.append(done)
                self._progress(index * len(self._columns) + number + 1, self.tiles)
            above = line

    def _tile(self, row: Span, column: Span) -> UInt8Image:
        (top, row_from, row_to), (left, column_from, column_to) = row, column
        tile = self._image[top : top + self._restorer.height, left : left + self._restorer.width]
        done = _checked(self._restorer, tile)
        self.result[row_from:row_to, column_from:column_to] = done[
            row_from - top : row_to - top, column_from - left : column_to - left
        ]
        return done

    def _compare_left(
        self, row: Span, before: Span, column: Span, left: UInt8Image, done: UInt8Image
    ) -> None:
        top, first, last = row
        rows, cut = slice(first - top, last - top), column[1]
        self._note(
            left[rows, cut - 1 - before[0] : cut + 1 - before[0]],
            done[rows, cut - 1 - column[0] : cut + 1 - column[0]],
        )

    def _compare_above(
        self, before: Span, row: Span, column: Span, above: UInt8Image, done: UInt8Image
    ) -> None:
        left, first, last = column
        columns, cut = slice(first - left, last - left), row[1]
        self._note(
            above[cut - 1 - before[0] : cut + 1 - before[0], columns],
            done[cut - 1 - row[0] : cut + 1 - row[0], columns],
        )

    def _note(self, one: UInt8Image, other: UInt8Image) -> None:
        levels = int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())
        self.seam_levels = max(levels, self.seam_levels or 0)


def _spans(length: int, tile: int) -> list[Span]:
    """Return where each tile starts, and the part (from, to) of the result that it fills.

    Starts are multiples of `GRID`, so that poolings halve the same pixels as in the whole picture.
    """
    if length <= tile:
        return [(0, 0, length)]
    step = tile - 2 * min(MARGIN, tile // 4)
    step -= step % GRID if step > GRID else 0
    starts = [min(start, length - tile) for start in range(0, length - tile + step, step)]
    cuts = [0, *((a + tile + b) // 2 for a, b in pairwise(starts)), length]
    return [(start, cuts[i], cuts[i + 1]) for i, start in enumerate(starts)]
