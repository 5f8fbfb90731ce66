"""Restores held-out pictures by the front's models and crops them to where there is most to see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nas.data import Pair, open_dataset
from nas.data.image_quality import UInt8Image, psnr_db
from nas.errors import RunError
from nas.storage.object_store import fetched
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.hashing import canonical_json
from nas.system.host_lock import working

CANDIDATE_PICTURES = 12  # held-out pictures to choose from
MODELS = 6  # of the front, unless more are worth a sentence
CROP = (216, 324)  # height, width in pixels

Restore = Callable[[UInt8Image], UInt8Image]
OpenModel = Callable[[Path], Restore]
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class RestoredCrop:
    """One model's version of a crop, uint8 of (height, width, 3).

    `psnr_db` is of the whole picture.
    """

    trial: int
    label: str
    psnr_db: float
    crop: UInt8Image


@dataclass(frozen=True, eq=False)
class CropComparison:
    """One crop of one held-out picture: blurred, restored by each model, sharp.

    All crops have one size; `blurred_psnr_db` is of the whole blurred picture.
    """

    name: str
    blurred: UInt8Image
    sharp: UInt8Image
    blurred_psnr_db: float
    restored: tuple[RestoredCrop, ...]


def heldout_pairs(study: Mapping[str, Any]) -> Iterable[Pair]:
    """Return the held-out pictures of a run's study, as its folder describes it.

    Raises RunError where the pictures have changed since the run was made, DataError where they
    can't be read.
    """
    dataset = open_dataset(study["data"]["spec"])
    if canonical_json(dataset.identity()) != canonical_json(study["data"]["identity"]):
        raise RunError(
            f"the data set {dataset.spec} is not what it was when the run was made: its pictures "
            "differ"
        )
    return dataset.heldout()


def compare_crops(
    run: RunFolder,
    models: Sequence[TrialResult],
    pairs: Iterable[Pair],
    count: int = 3,
    open_model: OpenModel | None = None,
) -> tuple[CropComparison, ...]:
    """Restore up to `count` pictures with each of the models.

    Pictures and crops are chosen from the sharp pictures alone, by how much detail they have,
    whatever the models make of them. `open_model` turns a `.tflite` into a function from picture to
    picture; by default LiteRT runs it. Raises what `open_model` raises, and RunError where a file
    of which only a copy is left can't be had.
    """
    chosen = sorted(
        islice(pairs, CANDIDATE_PICTURES), key=lambda pair: -_detail(pair.sharp).mean()
    )[:count]
    opened = [
        (result, (open_model or _litert)(fetched(run, result.number, result.artifact)))
        for result in models
        if result.artifact is not None
    ]
    return tuple(_comparison(pair, opened) for pair in chosen) if opened else ()


def evenly_spaced(members: Sequence[Item], count: int) -> list[Item]:
    """Return up to `count` of the members, evenly over their order, with both ends."""
    if len(members) <= count:
        return list(members)
    return [members[round(index * (len(members) - 1) / (count - 1))] for index in range(count)]


def _comparison(pair: Pair, models: Sequence[tuple[TrialResult, Restore]]) -> CropComparison:
    height, width = (min(side, most) for side, most in zip(pair.sharp.shape, CROP, strict=False))
    top, left = busiest_window(pair.sharp, height, width)

    def crop(image: UInt8Image) -> UInt8Image:
        return image[top : top + height, left : left + width]

    restored = []
    for result, restore in models:
        with working():
            image = restore(pair.blurred)
        quality = psnr_db(image, pair.sharp)
        restored.append(RestoredCrop(result.number, result.label, quality, crop(image)))
    blurred_psnr_db = psnr_db(pair.blurred, pair.sharp)
    return CropComparison(
        pair.name, crop(pair.blurred), crop(pair.sharp), blurred_psnr_db, tuple(restored)
    )


def busiest_window(image: UInt8Image, height: int, width: int) -> tuple[int, int]:
    """Return the top and left of the `height` x `width` window with the most detail in `image`."""
    sums = np.pad(_detail(image).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = np.unravel_index(int(np.argmax(windows)), windows.shape)
    return int(top), int(left)


def _detail(image: UInt8Image) -> npt.NDArray[np.float64]:
    """Return the mean absolute gradient of (height, width, 3), by pixel."""
    grey = image.astype(np.float64).mean(axis=2)
    down, right = np.gradient(grey)
    detail: npt.NDArray[np.float64] = np.abs(down) + np.abs(right)
    return detail


def _litert(path: Path) -> Restore:
    from nas.tflite.interpreter import Artifact
    from nas.tflite.tiling import restore_any_size

    artifact = Artifact(path)
    return lambda image: restore_any_size(artifact, image)[0]
