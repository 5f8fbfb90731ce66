"""Pictures of every depth, written byte by byte: no library that reads them writes them."""

import struct
import zlib
from typing import Any

import numpy as np


def png(pixels: np.ndarray, depth: int) -> bytes:
    """A PNG of (height, width, channels) whole numbers, `depth` bits a channel."""
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in packed))
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(
    pixels: np.ndarray, *, big: bool = False, order: str = "<", planes: bool = False, **tags: Any
) -> bytes:
    """An uncompressed TIFF or BigTIFF of (height, width, channels) in the type of `pixels`.

    `tags` are more entries, by number: `t254=1`.
    """
    height, width, channels = pixels.shape
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    bits = pixels.dtype.itemsize * 8
    body = pixels.transpose(2, 0, 1) if planes else pixels
    data = body.astype(pixels.dtype.newbyteorder(order)).tobytes()
    start = 16 if big else 8
    strips = channels if planes else 1
    strip = len(data) // strips
    entries: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (bits,) * channels,
        259: (1,),
        262: (2 if channels > 2 else 1,),
        273: tuple(start + i * strip for i in range(strips)),
        277: (channels,),
        278: (height,),
        279: (strip,) * strips,
        284: (2 if planes else 1,),
        339: (kind,) * channels,
        **{int(name[1:]): (value,) for name, value in tags.items()},
    }
    word = "Q" if big else "I"
    room = 8 if big else 4
    at = start + len(data)
    extra_at = at + (8 if big else 2) + len(entries) * (12 + (8 if big else 0)) + room
    directory, extra = b"", b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(order + "I" * len(values), *values)
        if len(packed) > room:
            field = struct.pack(order + word, extra_at + len(extra))
            extra += packed
        else:
            field = packed.ljust(room, b"\0")
        directory += struct.pack(order + "HH" + word, tag, 4, len(values)) + field
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, at) if big else (42, at)))
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    return head + data + count + directory + bytes(room) + extra


def ppm(pixels: np.ndarray, most: int) -> bytes:
    """A PGM or PPM (by its channels) whose largest value is `most`."""
    height, width, channels = pixels.shape
    head = f"P{5 if channels == 1 else 6}\n# a remark\n{width} {height}\n{most}\n".encode()
    return head + pixels.astype(">u2" if most > 255 else "u1").tobytes()


def avif_head(depth: int) -> bytes:
    """The boxes that an AVIF of `depth` bits begins with, its picture left out."""
    flags = {8: 0x00, 10: 0x40, 12: 0x60}[depth]
    brands = b"ftyp" + b"avif" + bytes(4) + b"mif1"
    config = b"av1C" + bytes([0x81, 0x20, flags, 0])
    return b"".join(struct.pack(">I", len(box) + 4) + box for box in (brands, config))
