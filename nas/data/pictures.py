"""Reading picture files: whole, RGB, 8 bits a channel, or an error that names the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from nas.data.image_quality import UInt8Image
from nas.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
# What Pillow raises on damaged files, which is more than it documents.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


def read_picture(path: Path) -> UInt8Image:
    """The picture as uint8 (height, width, 3), turned as its EXIF says; grey ones repeated thrice.

    Transparency is dropped. Raises DataError where the file is missing, truncated, no picture, or
    has more than 8 bits a channel (those would be clipped silently).
    """
    try:
        with Image.open(path) as image:
            _refuse_deep(path, image)
            image.load()
            rgb = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(rgb, dtype=np.uint8)
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, from the file's header only; DataError as `read_picture`."""
    try:
        with Image.open(path) as image:
            _refuse_deep(path, image)
            width, height = image.size
            # A PNG may keep EXIF behind its pixels, where only decoding gets: none is expected.
            turned = image.format != "PNG" and (
                image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
            )
            return (height, width) if turned else (width, height)
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def probe_picture(path: Path) -> tuple[int, int]:
    """(width, height); also notices a truncated PNG, by its end, without decoding the pixels.

    Raises DataError as `read_picture`. Damage in the middle of a file is for `read_picture`.
    """
    size = picture_size(path)
    if path.suffix.lower() == ".png" and not _ends_whole(path):
        read_picture(path)  # some programs append to whole files: decoding decides
    return size


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_PNG_END)))
        return file.read() == _PNG_END


def _refuse_deep(path: Path, image: Image.Image) -> None:
    if image.mode not in _MODES:
        raise DataError(
            f"{path}: expected 8 bits a channel, but its pixels are of kind {image.mode!r}; "
            "convert it to an 8-bit RGB PNG"
        )


def _unreadable(path: Path, error: BaseException) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} is missing")
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{path} can't be read as a picture ({reason}); copy or unpack it again, or take it and "
        "its partner out"
    )
