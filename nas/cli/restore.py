"""`nas restore`: whole photographs through a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.console import emit_json, note, out
from nas.cli.options import JsonOption, SizeOption, parse_size

if TYPE_CHECKING:
    from nas.report.restored_page import RestoredPhoto

SAMPLES = Path("photos")


def restore(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A .tflite, or a model's folder of `nas export`."),
    ],
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO",
            help="Photographs, folders of them, or `photos`: those of the quickstart, blurred.",
        ),
    ],
    out_: Annotated[Path, typer.Option("--out", help="The folder of what is written.")] = Path(
        "restored"
    ),
    format_: Annotated[
        str, typer.Option("--format", help="png (nothing is lost), or jpeg (quality 95).")
    ] = "png",
    size: SizeOption = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")] = 4,
    json_: JsonOption = False,
) -> None:
    """Restore whole photographs by a model, and write a page of before and after.

    A photograph keeps its size, its EXIF and its colour profile, and is the right way up. Larger
    ones go through the model in tiles that overlap. The same command goes on where it was stopped.
    """
    from nas.cli.progress import progress_bar
    from nas.report.restoring import blurred_samples, model_file, photo_files, restore_photos
    from nas.tflite.size import at_given_size

    file = model_file(model)
    if photos == [SAMPLES] and not SAMPLES.exists():
        files = blurred_samples(out_.with_name(f"{out_.name}-blurred"))
    else:
        files = photo_files(photos)
    with (
        at_given_size(file, parse_size(size) if size else None) as fixed,
        progress_bar("tiles") as progress,
    ):
        done = restore_photos(fixed, files, out_, format_, threads, progress, str(model))
    if json_:
        emit_json("restore", {"out": str(out_), "photos": [photo.to_dict() for photo in done]})
        return
    _show(done, out_)


def _show(done: Sequence[RestoredPhoto], out_: Path) -> None:
    for photo in done:
        tiles = f" in {photo.tiles} tiles" if photo.tiles > 1 else ""
        seam = "" if photo.seam_levels is None else f", seams of {photo.seam_levels}/255"
        text = f"{out_ / photo.file}  {photo.size[0]}x{photo.size[1]}{tiles}{seam}"
        out.print(text, highlight=False, markup=False)
    note(f"before and after: {out_ / 'index.html'}")
