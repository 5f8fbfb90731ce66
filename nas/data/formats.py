"""Reads a picture file's format and the depth of its channels from its first bytes.

Pillow opens pictures of more than 8 bits a channel without a word: it drops the lower bits, clips
them, or mixes them up (16 bits in planes). So their depth is read here, from the file itself, and
the caller refuses them. Formats that Pillow can't read are named, whatever the file's suffix.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

_HEAD = 64 * 1024  # bytes within which every header lies, save for TIFF's and JPEG's


@dataclass(frozen=True)
class Content:
    """A file's format by its content.

    `bits` are those of a channel where the header holds them, else None. `wrong` gives the reason
    why the file can't be read rightly, or the remedy where it is no picture; "" where it can be
    read.
    """

    format: str
    bits: int | None = None
    wrong: str = ""

    @property
    def readable(self) -> bool:
        """Whether Pillow gives this file's pixels as they are."""
        return not self.wrong and self.format in READ


# Pillow's names of the formats that are read.
READ = frozenset({"PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF", "AVIF", "JPEG2000"})

NOT_READ = "is no format that is read"
"""What is wrong with a picture of a format that is not read."""
_DEEP = "{bits} bits a channel"
# Other pictures, and what is none with what to do about it, by their first bytes.
_SIGNATURES = (
    (b"8BPS", "PSD", NOT_READ),
    (b"v/1\x01", "OpenEXR", NOT_READ),
    (b"#?RADIANCE", "Radiance HDR", NOT_READ),
    (b"\xff\x0a", "JPEG XL", NOT_READ),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL", NOT_READ),
    (b"P7", "PAM", NOT_READ),
    (b"qoif", "QOI", NOT_READ),
    (b"II\xbc", "JPEG XR", NOT_READ),
    (b"FUJIFILMCCD-RAW", "RAW", NOT_READ),
    (b"IIU\x00", "RAW", NOT_READ),
    (b"IIRO", "RAW", NOT_READ),
    (b"%PDF", "PDF", NOT_READ),
    (b"PK\x03\x04", "ZIP archive", "unpack it"),
    (b"\x1f\x8b", "gzip archive", "unpack it"),
    (b"7z\xbc\xaf", "7z archive", "unpack it"),
    (b"Rar!", "RAR archive", "unpack it"),
    (b"\x00\x05\x16\x07", "AppleDouble file (what macOS keeps beside a file)", "take it out"),
    (b"version https://git-lfs", "Git LFS pointer", "fetch the file with `git lfs pull`"),
)
_HEIC_BRANDS = (b"hei", b"hev", b"mif1", b"msf1")


def content_of(file: IO[bytes]) -> Content | None:
    """Return the format of a file from its start; None where its first bytes are unknown.

    Raises struct.error or IndexError where a header is cut.
    """
    file.seek(0)
    head = file.read(_HEAD)
    for start, read in _READERS:
        if head.startswith(start):
            return read(head, file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Content("WEBP", 8)
    if head[4:8] == b"ftyp":
        return _boxes(head)
    if re.match(rb"P[1-6fF]\s", head):
        return _netpbm(head)
    for start, name, wrong in _SIGNATURES:
        if head.startswith(start):
            return Content(name, None, wrong)
    if re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE):
        return Content("web page (HTML)", None, "download the picture again")
    return None


def _unsigned(name: str, bits: int) -> Content:
    return Content(name, bits, _DEEP.format(bits=bits) if bits > 8 else "")


def _png(head: bytes, _: IO[bytes]) -> Content:
    return _unsigned("PNG", head[24])


def _jpeg(_: bytes, file: IO[bytes]) -> Content:
    """Read the precision from the start-of-frame segment, which may lie behind large previews."""
    file.seek(2)
    while marker := file.read(2):
        kind = marker[1]
        if marker[0] != 0xFF or kind == 0xDA:
            break
        if kind == 0xFF:  # a byte of filling
            file.seek(-1, 1)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return _unsigned("JPEG", file.read(1)[0])
        file.seek(length - 2, 1)
    return Content("JPEG")  # cut or strange: decoding decides


def _netpbm(head: bytes) -> Content:
    if head[1:2] in b"fF":
        return Content("PFM", 32, "floating-point numbers")
    if head[1:2] in b"14":
        return Content("PPM", 1)
    words = re.sub(rb"#[^\n\r]*", b" ", head[:4096]).split(maxsplit=4)
    return _unsigned("PPM", int(words[3]).bit_length())


def _jpeg2000(head: bytes, _: IO[bytes]) -> Content:
    start = head.find(b"\xff\x4f\xff\x51")  # the code stream's start, then its sizes
    if start < 0:
        return Content("JPEG2000", None, "its depth is not told where it should be")
    (count,) = struct.unpack_from(">H", head, start + 40)
    depths = head[start + 42 : start + 42 + 3 * count : 3]
    return _unsigned("JPEG2000", max((depth & 0x7F) + 1 for depth in depths))


def _boxes(head: bytes) -> Content:
    """Tell AVIF, HEIC and videos apart, which all begin with a box of the brands they follow."""
    (length,) = struct.unpack_from(">I", head)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(length, 512), 4))]
    if b"avif" in brands or b"avis" in brands:
        # Every AV1 stream tells its own: the picture, its transparency.
        flags = [head[match.start() + 6] for match in re.finditer(rb"av1C\x81", head)]
        deep = [12 if flag & 0x20 else 10 for flag in flags if flag & 0x40]
        return _unsigned("AVIF", max(deep, default=8))
    if any(brand.startswith(_HEIC_BRANDS) for brand in brands):
        return Content("HEIC", None, NOT_READ)
    if b"crx " in brands:
        return Content("RAW", None, NOT_READ)
    return Content("video", None, "extract its frames as PNG")


def _tiff(_: bytes, file: IO[bytes]) -> Content:
    tags = _tiff_tags(file)
    if 50706 in tags:
        return Content("DNG", None, NOT_READ)
    if tags.get(262, (0,))[0] in (32803, 34892):  # a sensor's mosaic, and what is left of one
        return Content("RAW", None, NOT_READ)
    if tags.get(254, (0,))[0] & 1:
        return Content("TIFF", None, "its first picture is only the preview of another")
    bits, numbers = max(tags.get(258, (1,))), set(tags.get(339, (1,)))
    if 3 in numbers:
        return Content("TIFF", bits, f"{bits}-bit floating-point numbers")
    if not numbers <= {1, 4}:  # 4: its kind of number is not told, which is taken for unsigned
        return Content("TIFF", bits, "signed or complex numbers")
    return _unsigned("TIFF", bits)


def _tiff_tags(file: IO[bytes]) -> dict[int, tuple[int, ...]]:
    """Return the first directory's entries of whole numbers, by tag."""
    file.seek(0)
    order, big = ("<" if file.read(2) == b"II" else ">"), file.read(2).strip(b"\0") == b"+"
    word = "Q" if big else "I"

    def unpack(form: str) -> tuple[int, ...]:
        return struct.unpack(order + form, file.read(struct.calcsize(order + form)))

    file.seek(8 if big else 4)
    file.seek(unpack(word)[0])
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(unpack("Q" if big else "H")[0]):
        tag, kind, count = unpack("HH" + word)
        value_at = file.tell()
        form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if form and 0 < count <= 64:
            if struct.calcsize(order + form * count) > (8 if big else 4):
                file.seek(unpack(word)[0])
            tags[tag] = unpack(form * count)
        file.seek(value_at + (8 if big else 4))
    return tags


_READERS: tuple[tuple[bytes, Callable[[bytes, IO[bytes]], Content]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"\xff\xd8\xff", _jpeg),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"BM", lambda head, file: Content("BMP", 8)),
    (b"GIF8", lambda head, file: Content("GIF", 8)),
    (b"\0\0\0\x0cjP  ", _jpeg2000),
    (b"\xff\x4f\xff\x51", _jpeg2000),
)
