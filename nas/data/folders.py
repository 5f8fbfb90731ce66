"""Data sets that are folders of pictures, whatever their layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, final

import numpy as np

from nas.data.listing import Clip, Files, Listing, some
from nas.data.pack import Pack, PatchPairs, Progress, Unit, open_or_build
from nas.data.pair import Pair
from nas.data.pictures import probe_picture, read_picture
from nas.errors import ConfigError, DataError
from nas.system.hashing import content_key
from nas.system.host_lock import working

PATCH = 256  # the paper's
LEAST_PATCH = 8  # pixels a side, of what can be trained on
_CHUNK = 64  # patches handed on, or pictures looked at, at a time
SAMPLED = 16
"""How many pairs to train on, and how many held out, are compared for equal pictures."""

Size = tuple[int, int]  # width, height


@final
@dataclass(frozen=True, eq=False)
class Folders:
    """Pairs of files in folders, as a listing has them.

    Raises DataError where the listing has errors, or a picture that is held out or leads a clip is
    damaged or not of its partner's size.
    """

    spec: str
    listing: Listing

    def __post_init__(self) -> None:
        if errors := self.listing.errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise DataError(f"{errors[0]}{more}; `nas data check {self.spec}` tells everything")
        for files in self.listing.heldout:
            common_size(files)
        self._sizes  # noqa: B018  # reads the headers now, before anything is trained

    @property
    def default_patch(self) -> int:
        """The paper's 256 pixels, or what fits the smallest training picture, but at least 8."""
        return max(LEAST_PATCH, min(PATCH, self.smallest[0]))

    @property
    def split(self) -> str:
        """The name of the held-out split."""
        return self.listing.split

    @property
    def task(self) -> str:
        """A sentence for reports: which blur, and which pictures."""
        return self.listing.task

    def identity(self) -> dict[str, Any]:
        """Return the layout, counts, and a hash over all names and file sizes, as JSON types."""
        return dict(self._identity)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        training = [files for clip in self.listing.training for files in clip.files]
        return {
            "kind": self.listing.layout,
            "version": 1,  # of this module's way to make patches
            "split": self.split,
            "training_pairs": len(training),
            "heldout_pairs": len(self.listing.heldout),
            "files": content_key(
                {
                    "training": [
                        [clip.name, [_stamp(files) for files in clip.files]]
                        for clip in self.listing.training
                    ],
                    "heldout": [_stamp(files) for files in self.listing.heldout],
                }
            ),
        }

    def heldout(self) -> Iterator[Pair]:
        """Yield the held-out pairs, whole, in the listing's order; DataError where one
        is damaged.
        """
        for files in self.listing.heldout:
            yield read_pair(files)

    def prepare(self, patch: int, progress: Progress | None = None) -> Pack:
        """Return patches that cover every training picture: REDS's 1280x720 gives 5 x 3 of 256x256.

        They are 256x256 also where `patch` is smaller: batches then crop them. Where `patch` is
        larger, or a picture is smaller than 256, they are of the nearest side that fits. Raises
        ConfigError where a training picture is smaller than `patch`, DataError where a held-out
        picture is damaged or no other than its partner, or all training pictures are.
        """
        side = self._side(patch)

        def units() -> Sequence[Unit]:
            self._decode_heldout(progress or (lambda done, total, name: None))
            self.refuse_equal()
            return self._units(side)

        return open_or_build(self.listing.layout, self.identity(), side, units, progress)

    def refuse_equal(self) -> None:
        """Raise DataError where all sampled training pairs are two equal pictures."""
        sample = spread([files for clip in self.listing.training for files in clip.files], SAMPLED)
        if sample and all(_are_equal(files) for files in sample):
            first = sample[0]
            raise DataError(
                f"all {len(sample)} sampled training pairs are two equal pictures, {first.blurred} "
                f"and {first.sharp} for example: there is nothing to learn; is one folder a copy "
                "of the other?"
            )

    def _decode_heldout(self, progress: Progress) -> None:
        """Read every held-out picture whole, so that a useless one is noticed before
        the training.
        """
        heldout = self.listing.heldout
        equal = []
        for index, files in enumerate(heldout):
            if index and index % _CHUNK == 0:
                progress(index, len(heldout), f"held-out {files.name}")
            if _are_equal(files):
                equal.append(files)
        if equal:
            raise DataError(equal_heldout(equal, len(heldout)))

    def patches(self, patch: int) -> tuple[int, int]:
        """Return how many patches, and of what side, `prepare` of the same patch packs."""
        side = self._side(patch)
        return sum(unit.count for unit in self._units(side)), side

    def _side(self, patch: int) -> int:
        smallest, name = self.smallest
        if patch > smallest:
            raise ConfigError(
                f"a patch of {patch}x{patch} doesn't fit the smallest training picture "
                f"({smallest} pixels, in {name}): train on smaller patches, or take it out"
            )
        return max(patch, min(PATCH, smallest))

    @property
    def smallest(self) -> tuple[int, str]:
        """The least side of all training pictures, in pixels, and the clip that has it."""
        return min((min(size), clip.name) for clip, sizes in self._sized() for size in sizes)

    def _units(self, side: int) -> Sequence[Unit]:
        return [
            Unit(
                clip.name,
                sum(len(grid(*size, side)) for size in sizes),
                partial(clip_patches, clip, sizes, side),
            )
            for clip, sizes in self._sized()
        ]

    def _sized(self) -> Iterator[tuple[Clip, tuple[Size, ...]]]:
        return zip(self.listing.training, self._sizes, strict=True)

    @cached_property
    def _sizes(self) -> tuple[tuple[Size, ...], ...]:
        """The size of every training picture; of a clip's frames the first one's header is read."""
        return tuple(
            (common_size(clip.files[0]),) * len(clip.files)
            if clip.uniform
            else tuple(common_size(files) for files in clip.files)
            for clip in self.listing.training
        )


def common_size(files: Files) -> Size:
    """Return (width, height) of both pictures of a pair, from their headers.

    Raises DataError where they differ, or one is truncated or no picture.
    """
    return _same(files, probe_picture(files.blurred), probe_picture(files.sharp))


def read_pair(files: Files) -> Pair:
    """Return both pictures, decoded; DataError where one is damaged or their sizes differ."""
    blurred, sharp = read_picture(files.blurred), read_picture(files.sharp)
    _same(files, (blurred.shape[1], blurred.shape[0]), (sharp.shape[1], sharp.shape[0]))
    return Pair(files.name, blurred, sharp)


def equal_heldout(equal: Sequence[Files], count: int) -> str:
    """Return the message for held-out pairs that are two equal pictures."""
    named = some([f"{files.blurred} and {files.sharp}" for files in equal], 2)
    if len(equal) == count:
        return (
            f"all held-out pairs ({count}) are two equal pictures, {named}: there is nothing to "
            "learn; is one folder a copy of the other?"
        )
    return (
        f"{len(equal)} of {count} held-out pairs are two equal pictures, of infinite PSNR, as is "
        f"every mean with them: {named}; take them out, or the right ones in"
    )


def spread(files: Sequence[Files], count: int) -> list[Files]:
    """Return at most `count` of the files, evenly over all."""
    if len(files) <= count:
        return list(files)
    return [files[index * len(files) // count] for index in range(count)]


def grid(width: int, height: int, side: int) -> list[tuple[int, int]]:
    """Return the corners (top, left) of the fewest patches that cover a picture, evenly spread."""
    return [(top, left) for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    count = -(-length // side)
    if count == 1:
        return [0]
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def clip_patches(clip: Clip, sizes: Sequence[Size], side: int) -> Iterator[PatchPairs]:
    """Yield the patches (n, 2, side, side, 3) of a clip, a part of a picture at a time.

    `sizes` are those of the clip's pictures. Raises DataError where a picture has another size.
    """
    for files, (width, height) in zip(clip.files, sizes, strict=True):
        pair = read_pair(files)
        if pair.sharp.shape[:2] != (height, width):
            raise DataError(
                f"{files.sharp} is {pair.sharp.shape[1]}x{pair.sharp.shape[0]}, but its clip began "
                f"with {width}x{height}: a clip's frames must have one size"
            )
        both, corners = (pair.blurred, pair.sharp), grid(width, height, side)
        for start in range(0, len(corners), _CHUNK):  # a picture of 200 million pixels has many
            yield np.stack(
                [
                    [whole[top : top + side, left : left + side] for whole in both]
                    for top, left in corners[start : start + _CHUNK]
                ]
            )


def _are_equal(files: Files) -> bool:
    with working():
        pair = read_pair(files)
        return bool(np.array_equal(pair.blurred, pair.sharp))


def _same(files: Files, blurred: Size, sharp: Size) -> Size:
    if blurred != sharp:
        raise DataError(
            f"{files.blurred} is {blurred[0]}x{blurred[1]}, but its sharp partner {files.sharp} is "
            f"{sharp[0]}x{sharp[1]}: a pair must have one size"
        )
    return blurred


def _stamp(files: Files) -> list[str | int]:
    try:
        return [files.name, files.blurred.stat().st_size, files.sharp.stat().st_size]
    except OSError as error:  # of a clip's frames only the first was looked at
        raise DataError(
            f"{error.filename} is missing or can't be read ({error.strerror})"
        ) from error
