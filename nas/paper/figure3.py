"""Makes Figure 3 again: one crop as every optimized form of the chosen network restores it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from nas.data import Pair
from nas.data.image_quality import UInt8Image
from nas.devices.paper_phones.published import FIGURE3_PICTURE
from nas.errors import NasError
from nas.paper.compare import Comparison, TableLine
from nas.report.crops import MODELS, compare_crops, heldout_pairs
from nas.storage.run_folder import RunFolder


@final
@dataclass(frozen=True, eq=False)
class Picture:
    """One version of the crop; `psnr_db` is of the whole picture, None for the sharp one.

    `line` is the row of Table 4 that restored it, None for the blurred and the sharp version.
    """

    name: str
    psnr_db: float | None
    image: UInt8Image
    line: TableLine | None = None


@final
@dataclass(frozen=True)
class Pictures:
    """The crop in all versions; none where `missing` says why."""

    name: str
    versions: tuple[Picture, ...]
    missing: str = ""


def pictures(comparison: Comparison, run: RunFolder) -> Pictures:
    """Return the blurred crop, each row of Table 4 that this run has, and the sharp one.

    The picture is the paper's own where the data set has it, else the one with the most detail.
    """
    lines = [
        line
        for line in comparison.tables[-1].lines
        if line.trial is not None and line.trial.artifact and "psnr_db" in line.trial.metrics
    ]
    if not lines:
        return Pictures("", (), "No form of the chosen network is complete yet.")
    try:
        pairs = _pairs(heldout_pairs(comparison.description["study"]))
        return _compared(lines, run, pairs)
    except NasError as error:
        return Pictures("", (), f"The pictures could not be restored: {error}")


def _pairs(heldout: Iterable[Pair]) -> list[Pair]:
    """Return a few pairs to choose from, or the paper's own one alone."""
    first_pairs: list[Pair] = []
    for pair in heldout:
        if pair.name.endswith(FIGURE3_PICTURE.removesuffix(".png")):
            return [pair]
        if len(first_pairs) < 12:
            first_pairs.append(pair)
    return first_pairs


def _compared(lines: list[TableLine], run: RunFolder, pairs: list[Pair]) -> Pictures:
    versions: list[Picture] = []
    name, sharp = "", None
    for start in range(0, len(lines), MODELS):
        some = lines[start : start + MODELS]
        trials = [line.trial for line in some if line.trial is not None]
        (one,) = compare_crops(run, trials, pairs, 1)
        if not versions:
            versions.append(Picture("blurred", one.blurred_psnr_db, one.blurred))
        versions += [
            Picture(line.row.row, restored.psnr_db, restored.crop, line)
            for line, restored in zip(some, one.restored, strict=True)
        ]
        name, sharp = one.name, one.sharp
    if sharp is not None:
        versions.append(Picture("sharp", None, sharp))
    return Pictures(name, tuple(versions))
