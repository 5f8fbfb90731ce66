"""Checks a data set before anything is trained: counts what is there, and finds all
that is wrong.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from nas.data import Progress, split_spec
from nas.data.folders import PATCH, SAMPLED, Folders, Size, equal_heldout, read_pair, spread
from nas.data.image_quality import PSNR_ID, psnr_db
from nas.data.layouts import list_folders
from nas.data.listing import Files, Listing
from nas.data.pack import pair_bytes
from nas.data.photos import TRAINING, parse_photos, read_photograph
from nas.data.pictures import probe_picture, read_picture
from nas.data.problems import Problem
from nas.errors import DataError, NasError
from nas.system.host_lock import working

DECODE_AT_MOST = 1000  # pairs decoded where not all are asked for
_CHUNK = 16  # pairs looked at between two looks at whether somebody measures
_UNLIKE_DB = 10.0  # two different photographs have about this PSNR


@dataclass(frozen=True)
class Check:
    """The result of a check.

    `split` and `task` are the data set's. `sizes` counts pictures by "WxH", and `decoded_pairs`
    those whose pixels were decoded. `blurred_psnr_db` is the mean over `psnr_pairs` held-out pairs
    spread over all. `patches` and `patch` are the number and the side of the patches that packing
    makes of the training pictures, None where they aren't known beforehand. `passed_over` counts by
    kind the files and folders that lie there and are no pictures of the data set.
    """

    spec: str
    split: str
    task: str
    training_clips: int
    training_pairs: int
    heldout_pairs: int
    sizes: dict[str, int]
    decoded_pairs: int
    blurred_psnr_db: float | None
    psnr_pairs: int
    patches: int | None
    patch: int | None
    problems: tuple[Problem, ...]
    passed_over: dict[str, int]

    @property
    def usable(self) -> bool:
        """Whether networks can be trained and scored on the data set."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def pack_bytes(self) -> int | None:
        """The disk space that `nas data prepare` needs, in bytes; None where the patches aren't
        known.
        """
        if self.patches is None or self.patch is None:
            return None
        return self.patches * pair_bytes(self.patch)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON types."""
        values = {**asdict(self), "problems": [asdict(problem) for problem in self.problems]}
        return {
            **values,
            "usable": self.usable,
            "psnr_metric": PSNR_ID,
            "pack_bytes": self.pack_bytes,
        }


def check_dataset(
    spec: str, full: bool = False, progress: Progress | None = None, patch: int | None = None
) -> Check:
    """Look at every picture of a data set: its header, its end, and its partner's size.

    Pixels are decoded, which finds damage in the middle of a file, of all held-out pairs, and of
    all others where there are 1000 or fewer in all or with `full`, else of 1000 spread over all.
    The verdict is that of preparing the same `patch`: by default the largest that fits, to 256.
    Raises ConfigError where the spec is not understood; whatever is wrong with the pictures is in
    the result's `problems`.
    """
    kind, rest = split_spec(spec)
    if kind == "photos":
        return _check_photos(spec, patch)
    report = progress or (lambda done, total, name: None)
    return _check_folders(spec, list_folders(spec, kind, rest), full, patch, report)


def _check_photos(spec: str, patch: int | None) -> Check:
    dataset = parse_photos(spec, split_spec(spec)[1])
    problems: list[Problem] = []
    sizes: Counter[str] = Counter()
    for name in TRAINING:
        try:
            height, width = read_photograph(name).shape[:2]
            sizes[f"{width}x{height}"] += 1
        except DataError as error:
            problems.append(Problem("error", str(error)))
    figures: list[float] = []
    try:
        for pair in dataset.heldout():
            sizes[f"{pair.sharp.shape[1]}x{pair.sharp.shape[0]}"] += 1
            figures.append(psnr_db(pair.blurred, pair.sharp))
    except DataError as error:
        problems.append(Problem("error", str(error)))
    patches = None
    if patch is not None:
        try:
            patches = dataset.patches(patch)
        except NasError as error:
            problems.append(Problem("error", str(error)))
    return Check(
        spec=spec,
        split=dataset.split,
        task=dataset.task,
        training_clips=len(TRAINING),
        training_pairs=len(TRAINING),
        heldout_pairs=len(figures),
        sizes=dict(sizes.most_common()),
        decoded_pairs=len(TRAINING) + len(figures),
        blurred_psnr_db=fmean(figures) if figures else None,
        psnr_pairs=len(figures),
        patches=patches,
        patch=None if patches is None else patch,
        problems=tuple(problems),
        passed_over={},
    )


def _check_folders(
    spec: str, listing: Listing, full: bool, patch: int | None, progress: Progress
) -> Check:
    training = [files for clip in listing.training for files in clip.files]
    others = len(training) if full else max(0, DECODE_AT_MOST - len(listing.heldout))
    decode = [*spread(training, others), *listing.heldout]
    chosen = {id(files) for files in decode}
    looks = {
        id(files): look
        for files, look in _inspect_all([*training, *listing.heldout], chosen, progress)
    }
    sizes = {key: look.size for key, look in looks.items() if look.size is not None}
    problems = [*listing.problems, *_seen(listing, looks), *_changing(listing, sizes)]
    figures = _figures(listing, looks)
    problems += _doubts(figures)
    patches, side, no_pack = _packing(spec, listing, patch, problems)
    counted = Counter(f"{width}x{height}" for width, height in sizes.values())
    return Check(
        spec=spec,
        split=listing.split,
        task=listing.task,
        training_clips=len(listing.training),
        training_pairs=len(training),
        heldout_pairs=len(listing.heldout),
        sizes=dict(counted.most_common()),
        decoded_pairs=len(decode),
        blurred_psnr_db=fmean(figures) if figures else None,
        psnr_pairs=len(figures),
        patches=patches,
        patch=side,
        problems=(*problems, *no_pack),
        passed_over=dict(listing.passed_over),
    )


@dataclass(frozen=True)
class _Look:
    """A pair's common size, or what is wrong with it.

    `equal` says that both pictures were decoded and are equal.
    """

    size: Size | None = None
    wrong: tuple[str, ...] = ()
    equal: bool = False


def _inspect_all(
    everything: Sequence[Files], decode: set[int], progress: Progress
) -> Iterator[tuple[Files, _Look]]:
    def inspect(files: Files) -> tuple[Files, _Look]:
        return files, _inspect(files, _decoded if id(files) in decode else _probed)

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(everything), _CHUNK):
            chunk = everything[start : start + _CHUNK]
            progress(start, len(everything), chunk[0].name)
            with working():
                yield from list(pool.map(inspect, chunk))
    progress(len(everything), len(everything), "done")


def _inspect(files: Files, read: Callable[[Path], tuple[Size, str]]) -> _Look:
    """Look at both pictures of a pair, even where the first is wrong."""
    looks: list[tuple[Size, str]] = []
    wrong: list[str] = []
    for path in (files.blurred, files.sharp):
        try:
            looks.append(read(path))
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        return _Look(wrong=tuple(wrong))
    (size, pixels), (other, other_pixels) = looks
    if size != other:
        what = (
            f"{files.blurred} is {size[0]}x{size[1]}, but its sharp partner is "
            f"{other[0]}x{other[1]}"
        )
        return _Look(wrong=(what,))
    return _Look(size, equal=bool(pixels) and pixels == other_pixels)


def _probed(path: Path) -> tuple[Size, str]:
    return probe_picture(path), ""


def _decoded(path: Path) -> tuple[Size, str]:
    """Return a picture's size and a hash of its pixels: two large pictures need not be
    in memory.
    """
    pixels = read_picture(path)
    return (pixels.shape[1], pixels.shape[0]), hashlib.sha256(pixels.data).hexdigest()


def _seen(listing: Listing, looks: Mapping[int, _Look]) -> list[Problem]:
    """Return the problems of single pairs, in their order."""
    problems = [Problem("error", what) for look in looks.values() for what in look.wrong]
    if equal := [files for files in listing.heldout if looks[id(files)].equal]:
        problems.append(Problem("error", equal_heldout(equal, len(listing.heldout))))
    return problems


def _changing(listing: Listing, sizes: dict[int, Size]) -> list[Problem]:
    """Return a problem for each clip whose frames are not of one size."""
    problems = []
    for clip in listing.training:
        frame_sizes = {sizes[id(files)] for files in clip.files if id(files) in sizes}
        if clip.uniform and len(frame_sizes) > 1:
            names = ", ".join(f"{width}x{height}" for width, height in sorted(frame_sizes))
            problems.append(Problem("error", f"clip {clip.name}: frames of several sizes: {names}"))
    return problems


def _figures(listing: Listing, looks: Mapping[int, _Look]) -> list[float]:
    """Return the PSNR of held-out pairs spread over all, except those with which something is
    wrong.
    """
    figures = []
    for files in spread(listing.heldout, SAMPLED):
        look = looks[id(files)]
        if look.size is not None and not look.equal:
            with working():
                pair = read_pair(files)
                figures.append(psnr_db(pair.blurred, pair.sharp))
    return figures


def _doubts(figures: Sequence[float]) -> list[Problem]:
    problems = []
    unlike = sum(figure < _UNLIKE_DB for figure in figures)
    if unlike:
        what = (
            f"{unlike} of {len(figures)} sampled pairs have a PSNR under {_UNLIKE_DB:.0f} dB: are "
            "they pictures of the same scene?"
        )
        problems.append(Problem("warning", what))
    return problems


def _packing(
    spec: str, listing: Listing, patch: int | None, problems: Sequence[Problem]
) -> tuple[int | None, int | None, list[Problem]]:
    """Return how many patches of what side packing makes, and the problems that prevent it."""
    if any(problem.severity == "error" for problem in problems):
        return None, None, []
    try:
        dataset = Folders(spec, listing)
        dataset.refuse_equal()
        count, side = dataset.patches(patch or dataset.default_patch)
    except NasError as error:
        return None, None, [Problem("error", str(error))]
    smallest, name = dataset.smallest
    if patch is not None or smallest >= PATCH:
        return count, side, []
    what = (
        f"the smallest training picture has {smallest} pixels on a side (in {name}): a search's "
        f"patches may be {smallest}x{smallest} at most, and larger ones ({PATCH}x{PATCH} by "
        "default) are refused; --patch asks for one"
    )
    return count, side, [Problem("warning", what)]
