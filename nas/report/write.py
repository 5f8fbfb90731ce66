"""Writes a run's report: `index.html`, and its pictures beside it as PNG and SVG files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO

from nas.data import Pair
from nas.errors import NasError
from nas.networks.changes import Suggest
from nas.report.budget import models_to_picture
from nas.report.crops import (
    MODELS,
    CropComparison,
    OpenModel,
    compare_crops,
    evenly_spaced,
    heldout_pairs,
)
from nas.report.effects import telling
from nas.report.evidence import evidence_of
from nas.report.overlay import write_overlays
from nas.report.page import Findings, report_html
from nas.report.replacements import ReadArchitecture
from nas.report.report_data import ReportData, gather
from nas.report.slowness import MODELS as SLOW_MODELS
from nas.report.slowness import ProfileHost, slowness
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import write_atomically


def write_report(
    run: RunFolder,
    pictures: int = 3,
    pairs: Iterable[Pair] | None = None,
    open_model: OpenModel | None = None,
    read: ReadArchitecture | None = None,
    profile_host: ProfileHost | None = None,
    suggest: Suggest | None = None,
) -> Path:
    """Write `report/` into the run's folder and return the path of its `index.html`.

    Works on an unfinished run too. Up to `pictures` held-out pictures are restored by the front's
    models; `pairs` (by default the run's own data set) and `open_model` (by default LiteRT) say
    which and how. Where the pictures can't be had, the report says why and has everything else.
    `read` makes an architecture of its JSON, which the modelled costs of operations need.
    `profile_host` times a file's operations on this machine; without it, only kept profiles are
    shown. `suggest` gives changes of a network that the run did not try, which the same sources
    and kept answers of NPUs tell of.

    Raises RunError where the folder is no run's, is damaged, or can't be written.
    """
    data = gather(run)
    comparisons: tuple[CropComparison, ...] = ()
    reason = "No pictures were asked for."
    if pictures:
        comparisons, reason = _compare(run, data, pictures, pairs, open_model)
    folder = run.path / "report"
    _write_prints(folder, data, comparisons)
    found = _findings(run, data, folder, read, profile_host, suggest)
    page = report_html(data, comparisons, reason, found)
    write_atomically(folder / "index.html", lambda file: file.write(page.encode()))
    return folder / "index.html"


def _findings(
    run: RunFolder,
    data: ReportData,
    folder: Path,
    read: ReadArchitecture | None,
    profile_host: ProfileHost | None,
    suggest: Suggest | None,
) -> Findings:
    """Find out of single models why they are slow, and what stands behind their latencies."""
    if not data.front:
        return Findings()
    models = models_to_explain(data)
    slow = slowness(run, data, models, read, profile_host, suggest)
    timed = list({model.number: model for model in (*data.front, *models)}.values())
    return Findings(
        slow=slow,
        evidence=evidence_of(run, data, timed),
        overlays=write_overlays(run, folder, slow),
    )


def models_to_explain(data: ReportData) -> list[TrialResult]:
    """Choose the models that a report takes apart, at most `SLOW_MODELS` and the cards'."""
    return models_to_picture(data, SLOW_MODELS) or _of_the_front(data)


def _of_the_front(data: ReportData) -> list[TrialResult]:
    """Return the cards' models, and others evenly over the front: for runs that made no files."""
    picked = [pick.result for pick in data.picks]
    models = [*picked, *evenly_spaced(data.front, SLOW_MODELS)]
    return list({model.number: model for model in models}.values())[:SLOW_MODELS]


def _compare(
    run: RunFolder,
    data: ReportData,
    pictures: int,
    pairs: Iterable[Pair] | None,
    open_model: OpenModel | None,
) -> tuple[tuple[CropComparison, ...], str]:
    """Return the comparisons, or none and the reason."""
    if not data.front:
        return (), "There is no model on the front yet."
    if not data.trained:
        return (), "Nothing was trained."
    try:
        if pairs is None:
            pairs = heldout_pairs(data.study)
        return compare_crops(run, models_to_picture(data, MODELS), pairs, pictures, open_model), ""
    except NasError as error:
        return (), f"The pictures could not be restored: {error}"


def _write_prints(folder: Path, data: ReportData, comparisons: tuple[CropComparison, ...]) -> None:
    """Write the pictures that have something to show, and remove those of an earlier report."""
    from nas.report.png import save_compression, save_crops, save_effects, save_front, save_history

    crops = folder / "crops.png"
    if comparisons:
        write_atomically(crops, partial(save_crops, comparisons, data))
    else:
        crops.unlink(missing_ok=True)
    charts: dict[str, Callable[[IO[bytes], IO[bytes]], None] | None] = {
        "front": partial(save_front, data) if data.front and data.costs else None,
        "hypervolume": partial(save_history, data) if data.front else None,
        "parameters": partial(save_effects, data) if telling(data.effects) else None,
        "compression": partial(save_compression, data.compressions) if data.compressions else None,
    }
    for name, save in charts.items():
        png, svg = folder / f"{name}.png", folder / f"{name}.svg"
        if save is None:
            png.unlink(missing_ok=True)
            svg.unlink(missing_ok=True)
        else:
            pixels, vector = io.BytesIO(), io.BytesIO()
            save(pixels, vector)
            _write_bytes(png, pixels.getvalue())
            _write_bytes(svg, vector.getvalue())


def _write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
