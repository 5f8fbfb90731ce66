"""Restores whole photographs by a model: files, a page of before and after, and what was done.

out/PHOTO.png        each photograph, restored, of its own size and the right way up
out/index.html       all of them, before and after
out/restore.json     which photograph became which file, by which model
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nas.data.pictures import SUFFIXES, Photo, picture_size, read_photo
from nas.errors import ConfigError, DataError, RunError, unknown
from nas.report.restored_page import RestoredPhoto, restored_html
from nas.system.files import read_json, write_atomically, write_json
from nas.system.hashing import file_sha256
from nas.system.host_lock import working
from nas.tflite.interpreter import Artifact
from nas.tflite.tiling import Tiled, restore_tiled

FORMATS = ("png", "jpeg")
MANIFEST = "restore.json"
MODEL = "model.tflite"
_JPEG_QUALITY = 95
_MOST_EXIF_IN_JPEG = 65_000  # bytes; a JPEG keeps it in one segment
_VERSION = 1

Progress = Callable[[int, int, str], None]
"""Called with the tiles of a photograph that are done, how many it has, and its name."""


def model_file(model: Path) -> Path:
    """Return the `.tflite` that a user means: a file, or a model's folder of `nas export`.

    Raises ConfigError, with what to name instead, on anything else.
    """
    if model.is_file() or (model / MODEL).is_file():
        return model if model.is_file() else model / MODEL
    if not model.exists():
        raise ConfigError(f"model {model} is missing; expected a .tflite, or a folder with one")
    if (model / "run.json").exists():
        raise ConfigError(
            f"{model} is a run: `nas export {model} --out models` writes its models; name one of "
            f"their folders, or a trial's file such as {model / 'trials' / '00003' / MODEL}"
        )
    inside = sorted(path.parent for path in model.glob(f"*/{MODEL}"))
    which = f"; name one of {', '.join(map(str, inside[:9]))}" if inside else ""
    raise ConfigError(f"model {model} is a folder without {MODEL}{which}")


def blurred_samples(folder: Path) -> list[Path]:
    """Write the blurred held-out photographs of the data set `photos`, and return their files.

    A file that is there already is left as it is. Raises RunError where none can be written.
    """
    from PIL import Image

    from nas.data import open_dataset

    files = []
    for pair in open_dataset("photos").heldout():
        path = folder / f"{pair.name}.png"
        if not path.exists():
            picture = Image.fromarray(pair.blurred)
            write_atomically(path, partial(picture.save, format="PNG"))
        files.append(path)
    return files


def photo_files(given: Sequence[Path]) -> list[Path]:
    """Return the photographs that are named, and those in the folders that are named, sorted.

    Raises DataError where one is missing, can't be read, or a folder holds no picture.
    """
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not found:
                raise DataError(f"{path} holds no picture ({', '.join(sorted(SUFFIXES))})")
            files += found
        else:
            files.append(path)
    files = list(dict.fromkeys(files))
    for path in files:
        picture_size(path)
    return files


def restore_photos(
    model: Path,
    photos: Sequence[Path],
    out: Path,
    format_: str = "png",
    threads: int = 4,
    progress: Progress | None = None,
    name: str | None = None,
) -> list[RestoredPhoto]:
    """Restore photographs into a folder and write its page; return what each became.

    A model's file takes pictures of one size: a larger photograph goes through it in tiles that
    overlap, a smaller one with its edges mirrored. The result has the photograph's own size, its
    EXIF and its colour profile, and is the right way up. What an earlier call with the same model
    finished is not done again, so a call that was stopped continues. `name` is what the page calls
    the model; else its path.

    Raises ConfigError on a wrong value, DataError on a photograph that can't be read, RunError
    where `out` holds something else or can't be written, ConversionError where LiteRT refuses the
    model.
    """
    if format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    if not photos:
        raise ConfigError("no photograph was named")
    file = model_file(model)
    about = {"file": name or str(file), "sha256": file_sha256(file)}
    suffix = ".jpg" if format_ == "jpeg" else ".png"
    rows = _claimed(out, about, photos)
    _write_manifest(out, about, rows)
    artifact: Artifact | None = None
    done: list[RestoredPhoto] = []
    for path in photos:
        digest = file_sha256(path)
        row = next((r for r in rows if r.photo_sha256 == digest and r.file.endswith(suffix)), None)
        if row is None:
            artifact = artifact or Artifact(file, threads)
            target = out / _free_name(path.stem, suffix, {other.file for other in rows})
            row = _restore(artifact, path, digest, target, progress)
            rows.append(row)
            _write_manifest(out, about, rows)
        done.append(row)
    _write_page(about["file"], rows, out)
    return done


def _write_manifest(out: Path, about: dict[str, Any], rows: Sequence[RestoredPhoto]) -> None:
    photos = [row.to_dict() for row in rows]
    write_json(out / MANIFEST, {"format": _VERSION, "model": about, "photos": photos})


def _write_page(model: str, rows: Sequence[RestoredPhoto], out: Path) -> None:
    page = restored_html(model, [row for row in rows if Path(row.photo).is_file()], out)
    write_atomically(out / "index.html", lambda target: target.write(page.encode()))


def _restore(
    artifact: Artifact, path: Path, digest: str, target: Path, progress: Progress | None
) -> RestoredPhoto:
    photo = read_photo(path)
    started = time.monotonic()
    tiled = restore_tiled(
        _Polite(artifact),
        photo.pixels,
        lambda done, total: progress(done, total, path.name) if progress else None,
    )
    seconds = time.monotonic() - started
    content = _encoded(tiled, photo, target.suffix)
    write_atomically(target, lambda file: file.write(content))
    height, width = photo.pixels.shape[:2]
    return RestoredPhoto(
        str(path),
        digest,
        target.name,
        (width, height),
        tiled.fitting,
        tiled.tiles,
        tiled.seam_levels,
        round(seconds, 3),
    )


class _Polite:
    """A restorer that lets whoever wants to measure on this machine go first, tile by tile."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        self.height, self.width = artifact.height, artifact.width

    def restore(self, image: Any) -> Any:
        with working():
            return self._artifact.restore(image)


def _encoded(tiled: Tiled, photo: Photo, suffix: str) -> bytes:
    """Return the restored picture as a file's bytes, with the photograph's EXIF and profile."""
    from PIL import Image

    kept: dict[str, Any] = {"icc_profile": photo.icc} if photo.icc else {}
    buffer = io.BytesIO()
    if suffix == ".jpg":
        if photo.exif and len(photo.exif) <= _MOST_EXIF_IN_JPEG:
            kept["exif"] = photo.exif
        kept |= {"quality": _JPEG_QUALITY, "subsampling": 0}
    elif photo.exif:
        kept["exif"] = photo.exif
    Image.fromarray(tiled.picture).save(buffer, "JPEG" if suffix == ".jpg" else "PNG", **kept)
    return buffer.getvalue()


def _free_name(stem: str, suffix: str, taken: set[str]) -> str:
    """Return the photograph's own name, with a number behind it where that is taken."""
    lower = {name.lower() for name in taken}
    name, number = stem + suffix, 2
    while name.lower() in lower:
        name, number = f"{stem}-{number}{suffix}", number + 1
    return name


def _claimed(out: Path, about: dict[str, Any], photos: Sequence[Path]) -> list[RestoredPhoto]:
    """Check that `out` is new, empty or this model's, and return what it holds already."""
    if any(path.resolve().parent == out.resolve() for path in photos):
        raise ConfigError(f"{out} holds the photographs themselves; choose another --out")
    manifest = out / MANIFEST
    if not manifest.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise RunError(
                f"{out} is not empty and holds no earlier result of `nas restore`; choose a new "
                "or an empty folder with --out"
            )
        return []
    values = read_json(manifest)
    if not isinstance(values, dict) or values.get("format") != _VERSION:
        raise RunError(f"{manifest} is no list of `nas restore`; choose another --out")
    if values["photos"] and values["model"]["sha256"] != about["sha256"]:
        raise RunError(
            f"{out} holds photographs restored by another model, {values['model']['file']}; "
            "choose another --out to keep both"
        )
    rows = [RestoredPhoto(**{**row, "size": tuple(row["size"])}) for row in values["photos"]]
    return [row for row in rows if (out / row.file).is_file()]
