"""Everything that is there, and everything that is wrong with it, before anything is trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from nas.data import Progress, open_dataset, split_spec
from nas.data.folders import Folders, Size, read_pair
from nas.data.image_quality import PSNR_ID, psnr_db
from nas.data.layouts import list_folders
from nas.data.listing import Files, Listing
from nas.data.pack import pair_bytes
from nas.data.photos import TRAINING, read_photograph
from nas.data.pictures import probe_picture, read_picture
from nas.data.problems import Problem
from nas.errors import DataError, NasError
from nas.system.host_lock import working

DECODE_AT_MOST = 1000  # pairs decoded where not all are asked for
_SAMPLE = 16  # held-out pairs whose PSNR is taken
_CHUNK = 16  # pairs looked at between two looks at whether somebody measures
_UNLIKE_DB = 10.0  # two different photographs have about this PSNR


@dataclass(frozen=True)
class Check:
    """What a check found. `sizes` counts pictures by "WxH"; `blurred_psnr_db` is the mean over
    `psnr_pairs` held-out pairs spread over all; `patches` and `patch` are what packing makes of the
    training pictures, None where it isn't known beforehand.
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

    @property
    def usable(self) -> bool:
        """Whether networks can be trained and scored on it."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def pack_bytes(self) -> int | None:
        """The disk space that `nas data prepare` needs."""
        if self.patches is None or self.patch is None:
            return None
        return self.patches * pair_bytes(self.patch)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        values = {**asdict(self), "problems": [asdict(problem) for problem in self.problems]}
        return {
            **values,
            "usable": self.usable,
            "psnr_metric": PSNR_ID,
            "pack_bytes": self.pack_bytes,
        }


def check_dataset(spec: str, full: bool = False, progress: Progress | None = None) -> Check:
    """Look at every picture of a data set: its header, its end, and its partner's size.

    Pixels are decoded, which finds damage in the middle of a file, of all pairs where there are
    1000 or fewer or with `full`, else of 1000 spread over all.
    Raises ConfigError where the spec is not understood; whatever is wrong with the pictures is in
    the result's `problems`.
    """
    kind, rest = split_spec(spec)
    if kind == "photos":
        return _check_photos(spec)
    report = progress or (lambda done, total, name: None)
    return _check_folders(spec, list_folders(spec, kind, rest), full, report)


def _check_photos(spec: str) -> Check:
    dataset = open_dataset(spec)
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
        patches=None,
        patch=None,
        problems=tuple(problems),
    )


def _check_folders(spec: str, listing: Listing, full: bool, progress: Progress) -> Check:
    training = [files for clip in listing.training for files in clip.files]
    everything = [*training, *listing.heldout]
    decoded = len(everything) if full else min(len(everything), DECODE_AT_MOST)
    chosen = {id(files) for files in _spread(everything, decoded)}
    problems = list(listing.problems)
    sizes: dict[int, Size] = {}
    for files, size, wrong in _inspect_all(everything, chosen, progress):
        problems += [Problem("error", what) for what in wrong]
        if size is not None:
            sizes[id(files)] = size
    problems += _changing(listing, sizes)
    figures = [_figure(files) for files in _spread(listing.heldout, _SAMPLE) if id(files) in sizes]
    known = [figure for figure in figures if figure is not None]
    problems += _doubts(known)
    finite = [figure for figure in known if math.isfinite(figure)]
    patches, patch, no_pack = _packing(spec, listing, problems)
    counted = Counter(f"{width}x{height}" for width, height in sizes.values())
    return Check(
        spec=spec,
        split=listing.split,
        task=listing.task,
        training_clips=len(listing.training),
        training_pairs=len(training),
        heldout_pairs=len(listing.heldout),
        sizes=dict(counted.most_common()),
        decoded_pairs=decoded,
        blurred_psnr_db=fmean(finite) if finite else None,
        psnr_pairs=len(finite),
        patches=patches,
        patch=patch,
        problems=(*problems, *no_pack),
    )


def _inspect_all(
    everything: Sequence[Files], decode: set[int], progress: Progress
) -> Iterator[tuple[Files, Size | None, list[str]]]:
    def inspect(files: Files) -> tuple[Files, Size | None, list[str]]:
        return files, *_inspect(files, id(files) in decode)

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(everything), _CHUNK):
            chunk = everything[start : start + _CHUNK]
            progress(start, len(everything), chunk[0].name)
            with working():
                yield from list(pool.map(inspect, chunk))
    progress(len(everything), len(everything), "done")


def _inspect(files: Files, decode: bool) -> tuple[Size | None, list[str]]:
    """The pair's size, or what is wrong with it: of both pictures, not only of the first."""
    sizes: list[Size] = []
    wrong: list[str] = []
    for path in (files.blurred, files.sharp):
        try:
            if decode:
                height, width = read_picture(path).shape[:2]
                sizes.append((width, height))
            else:
                sizes.append(probe_picture(path))
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        return None, wrong
    if sizes[0] != sizes[1]:
        (width, height), (other_width, other_height) = sizes
        return None, [
            f"{files.blurred} is {width}x{height}, but its sharp partner is "
            f"{other_width}x{other_height}"
        ]
    return sizes[0], []


def _changing(listing: Listing, sizes: dict[int, Size]) -> list[Problem]:
    """Clips whose frames are not of one size."""
    problems = []
    for clip in listing.training:
        found = {sizes[id(files)] for files in clip.files if id(files) in sizes}
        if clip.uniform and len(found) > 1:
            names = ", ".join(f"{width}x{height}" for width, height in sorted(found))
            problems.append(Problem("error", f"clip {clip.name}: frames of several sizes: {names}"))
    return problems


def _figure(files: Files) -> float | None:
    try:
        pair = read_pair(files)
    except DataError:  # told by the inspection
        return None
    with working():
        return psnr_db(pair.blurred, pair.sharp)


def _doubts(figures: Sequence[float]) -> list[Problem]:
    equal = sum(math.isinf(figure) for figure in figures)
    problems = []
    if equal:
        what = f"{equal} of {len(figures)} sampled pairs are two equal pictures: nothing to restore"
        problems.append(Problem("warning", what))
    unlike = sum(figure < _UNLIKE_DB for figure in figures)
    if unlike:
        what = (
            f"{unlike} of {len(figures)} sampled pairs have a PSNR under {_UNLIKE_DB:.0f} dB: are "
            "they pictures of the same scene?"
        )
        problems.append(Problem("warning", what))
    return problems


def _packing(
    spec: str, listing: Listing, problems: Sequence[Problem]
) -> tuple[int | None, int | None, list[Problem]]:
    """How many patches of what side packing makes, and what is in its way."""
    if any(problem.severity == "error" for problem in problems):
        return None, None, []
    try:
        dataset = Folders(spec, listing)
        return (*dataset.patches(1), [])
    except NasError as error:
        return None, None, [Problem("error", str(error))]


def _spread(files: Sequence[Files], count: int) -> list[Files]:
    """At most `count` of them, evenly over all."""
    if len(files) <= count:
        return list(files)
    return [files[index * len(files) // count] for index in range(count)]
