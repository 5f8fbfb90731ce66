"""Reads picture files: whole, RGB, 8 bits a channel, or an error that names the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, features

from nas.data.formats import NOT_READ, READ, content_of
from nas.data.image_quality import UInt8Image
from nas.errors import DataError, one_line

_AVIF = {".avif"} if features.check("avif") else set()
# Names of files that may be pictures end so.
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
    | _AVIF
)
# Phones' largest pictures have 200 million. Beyond this a few forged bytes could fill the memory.
MOST_PIXELS = 2**28
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_RGB_MODES = frozenset({"RGB", "RGBA", "RGBX", "P", "PA"})  # others' profiles are not of RGB values
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
# What Pillow raises on damaged files, which is more than it documents.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError),
    *(OverflowError, struct.error, zlib.error),
)


def read_picture(path: Path) -> UInt8Image:
    """Return the picture as uint8 (height, width, 3), turned as its EXIF says; grey is repeated
    thrice.

    Transparency is dropped. Raises DataError where the file is missing, truncated, no picture, of
    more than 8 bits a channel (they would be cut silently) or of more than `MOST_PIXELS`.
    """
    return read_photo(path).pixels


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture with what its file says of it: uint8 (height, width, 3), the right way up.

    `exif` is the file's EXIF without the orientation, as the pixels are turned already. `icc` is
    the colour profile of its RGB values. Both are None where the file has none that still holds.
    """

    pixels: UInt8Image
    exif: bytes | None
    icc: bytes | None


def read_photo(path: Path) -> Photo:
    """Return a picture and its metadata; raises DataError as `read_picture`."""
    with _opened(path) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        exif = image.getexif()
        icc = image.info.get("icc_profile") if image.mode in _RGB_MODES else None
        if image.mode == "P":  # else Pillow warns of transparent colours
            image = image.convert("RGBA")
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        pixels = np.asarray(rgb, dtype=np.uint8)
        return Photo(pixels, exif.tobytes() if exif else None, icc or None)


def picture_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels, from the file's header only; DataError as
    `read_picture`.
    """
    with _opened(path) as image:
        width, height = image.size
        # A PNG may keep EXIF behind its pixels, where only decoding gets: none is expected.
        turned = image.format != "PNG" and (
            image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
        )
        return (height, width) if turned else (width, height)


def probe_picture(path: Path) -> tuple[int, int]:
    """Return (width, height); also notice a truncated PNG, by its end, without decoding the pixels.

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


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open the picture and read its header; DataError also for what is raised within the block.

    Pillow's own `open` is not used: it warns from 89 million pixels on, refuses from 179, and
    doesn't tell why a format's reader gave up.
    """
    try:
        with path.open("rb") as file:
            content = content_of(file)
            if content is None:
                raise ValueError(f"its first bytes are of none of {', '.join(sorted(READ))}")
            if not content.readable:
                raise DataError(f"{path}: {_refusal(content.format, content.bits, content.wrong)}")
            with _reader(content.format, file, path) as image:
                _refuse_large(path, image.size)
                _refuse_modes(path, image)
                yield image
    except _DAMAGE as error:
        raise _unreadable(path, error) from error


def _reader(name: str, file: IO[bytes], path: Path) -> Image.Image:
    if name not in Image.OPEN:
        Image.init()
    file.seek(0)
    reader, _ = Image.OPEN[name]
    return reader(file, str(path))


def _refusal(name: str, bits: int | None, wrong: str) -> str:
    if bits is not None:
        return (
            f"expected 8 bits a channel, but this {name} has {wrong}, which would be cut; convert "
            "both pictures of the pair in one way to 8-bit RGB PNG"
        )
    if wrong == NOT_READ:
        return f"this is a picture of format {name}, which is not read; convert it to 8-bit RGB PNG"
    if name in READ:
        return f"this {name} can't be read rightly: {wrong}; convert it to 8-bit RGB PNG"
    return f"this is no picture, but a {name}; {wrong}"


def _refuse_large(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{path} says that it has {width}x{height} pixels; at most {MOST_PIXELS / 1e6:.0f} "
            "million are read, a guard against forged files that would fill the memory; cut it "
            "and its partner into smaller pictures"
        )


def _refuse_modes(path: Path, image: Image.Image) -> None:
    if image.mode not in _MODES:
        raise DataError(
            f"{path}: expected 8 bits a channel, but its pixels are of kind {image.mode!r}; "
            "convert it to an 8-bit RGB PNG"
        )


def _unreadable(path: Path, error: BaseException) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} is missing")
    reason = one_line(error)
    if isinstance(error, KeyError):
        reason = f"Pillow doesn't know its way of packing, {reason}"
    if "MAX_TEXT" in reason:
        return DataError(
            f"{path} holds a text or colour profile that unpacks to more than Pillow's guard "
            "against forged files allows; save it and its partner again without metadata"
        )
    return DataError(
        f"{path} can't be read as a picture ({reason}); copy or unpack it again, or take it and "
        "its partner out"
    )
