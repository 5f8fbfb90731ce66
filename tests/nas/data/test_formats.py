import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data.formats import Content, content_of
from nas.data.pictures import picture_size, read_picture
from nas.errors import DataError
from tests.helpers import deep_pictures as deep

VALUES = np.random.default_rng(0).integers(0, 65536, (24, 32, 3)).astype(np.uint16)
EIGHT = (VALUES >> 8).astype(np.uint8)
SHARES = (VALUES / 65535).astype(np.float32)
DEEP = {
    "rgb.png": deep.png(VALUES, 16),
    "grey.png": deep.png(VALUES[..., :1], 16),
    "grey and clear.png": deep.png(VALUES[..., :2], 16),
    "clear.png": deep.png(np.dstack([VALUES, VALUES[..., :1]]), 16),
    "rgb.tif": deep.tiff(VALUES),
    "grey.tiff": deep.tiff(VALUES[..., :1]),
    "planes.tif": deep.tiff(VALUES, planes=True),
    "big.tif": deep.tiff(VALUES, big=True),
    "motorola.tif": deep.tiff(VALUES, order=">"),
    "cmyk.tif": deep.tiff(np.dstack([VALUES, VALUES[..., :1]]), t262=5),
    "32 bits.tif": deep.tiff(VALUES.astype(np.uint32)),
    "float.tif": deep.tiff(SHARES),
    "grey float.tif": deep.tiff(SHARES[..., :1]),
    "half.tif": deep.tiff(SHARES.astype(np.float16)),
    "10 bits.ppm": deep.ppm(VALUES >> 6, 1023),
    "256 values.ppm": deep.ppm(VALUES % 257, 256),
    "16 bits.pgm": deep.ppm(VALUES[..., :1], 65535),
    "float.ppm": b"PF\n32 24\n-1.0\n" + SHARES.tobytes(),
    "10 bits.avif": deep.avif_head(10),
    "12 bits.avif": deep.avif_head(12),
    "12 bits.jpg": b"\xff\xd8\xff\xe0\0\4ab\xff\xff\xc1\0\x11\x0c\0\x18\0\x20\3" + bytes(9),
}


def content(data: bytes) -> Content | None:
    return content_of(io.BytesIO(data))


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_refused_by_name_whatever_pillow_makes_of_them(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(DEEP[name])
    for read in (read_picture, picture_size):
        with pytest.raises(DataError, match=r"expected 8 bits a channel, but this \w+ has") as e:
            read(path)
        assert str(path) in str(e.value)
        assert "convert both pictures" in str(e.value)


@pytest.mark.parametrize("name", DEEP)
def test_a_deep_picture_under_another_suffix_is_refused_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(DEEP[name])
    with pytest.raises(DataError, match="expected 8 bits a channel"):
        read_picture(path)


@pytest.mark.parametrize(
    ("data", "format_", "bits"),
    [
        (deep.png(VALUES, 16), "PNG", 16),
        (deep.tiff(SHARES.astype(np.float16)), "TIFF", 16),
        (deep.tiff(VALUES, big=True, order=">"), "TIFF", 16),
        (deep.ppm(VALUES >> 6, 1023), "PPM", 10),
        (deep.avif_head(12), "AVIF", 12),
        (deep.avif_head(8), "AVIF", 8),
    ],
)
def test_the_true_depth_is_told(data: bytes, format_: str, bits: int) -> None:
    found = content(data)
    assert found is not None
    assert (found.format, found.bits) == (format_, bits)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", deep.png(EIGHT, 8)),
        ("b.png", deep.png(np.dstack([EIGHT, EIGHT[..., :1]]), 8)),
        ("a.tif", deep.tiff(EIGHT)),
        ("b.tif", deep.tiff(EIGHT, planes=True)),
        ("c.tif", deep.tiff(EIGHT, big=True)),
        ("d.tif", deep.tiff(EIGHT, order=">")),
        ("a.ppm", deep.ppm(EIGHT, 255)),
        ("suffix of another.jpg", deep.ppm(EIGHT, 255)),
    ],
)
def test_8_bits_come_back_as_they_are(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(read_picture(tmp_path / name), EIGHT)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_fewer_bits_are_scaled_to_the_full_range(tmp_path: Path, depth: int) -> None:
    most = 2**depth - 1
    grey = VALUES[..., :1] & most
    (tmp_path / "few.png").write_bytes(deep.png(grey, depth))
    scaled = np.repeat(np.rint(grey / most * 255), 3, axis=2)
    np.testing.assert_array_equal(read_picture(tmp_path / "few.png"), scaled)
    (tmp_path / "few.pgm").write_bytes(deep.ppm(grey, most))
    np.testing.assert_array_equal(read_picture(tmp_path / "few.pgm"), scaled)


def test_signed_numbers_are_not_taken_for_unsigned(tmp_path: Path) -> None:
    (tmp_path / "signed.tif").write_bytes(deep.tiff(EIGHT[..., :1].view(np.int8)))
    with pytest.raises(DataError, match="signed or complex numbers"):
        read_picture(tmp_path / "signed.tif")


@pytest.mark.parametrize(
    ("tags", "wrong"),
    [
        ({"t254": 1}, "can't be read rightly: its first picture is only the preview"),
        ({"t50706": 1}, "format DNG, which is not read"),
        ({"t262": 32803}, "format RAW, which is not read"),
    ],
)
def test_a_preview_is_never_taken_for_the_picture(
    tmp_path: Path, tags: dict[str, int], wrong: str
) -> None:
    (tmp_path / "raw.tif").write_bytes(deep.tiff(EIGHT, **tags))
    with pytest.raises(DataError, match=wrong):
        read_picture(tmp_path / "raw.tif")


def box(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0 ftypheic", "format HEIC, which is not read; convert it"),
        (box(b"mif1", b"heic"), "format HEIC, which"),
        (box(b"crx "), "format RAW, which"),
        (b"\xff\x0a1234", "format JPEG XL, which"),
        (box(b"isom"), "no picture, but a video; extract its frames"),
        (b"\x00\x05\x16\x07" + bytes(30), "no picture, but a AppleDouble file .*take it out"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer; .*git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "no picture, but a web page .*download the picture again"),
        (b"PK\x03\x04", "no picture, but a ZIP archive; unpack it"),
    ],
)
def test_other_formats_are_named_whatever_their_suffix(
    tmp_path: Path, data: bytes, said: str
) -> None:
    (tmp_path / "photo.jpg").write_bytes(data)
    with pytest.raises(DataError, match=rf"photo\.jpg: this is .*{said}"):
        read_picture(tmp_path / "photo.jpg")


@pytest.mark.parametrize("data", [b"", b"P6\n12", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\0\0", b"x"])
def test_a_cut_header_is_an_error_of_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "cut.png").write_bytes(data)
    with pytest.raises(DataError, match=r"cut\.png can't be read as a picture"):
        read_picture(tmp_path / "cut.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "gif", "jp2"])
def test_what_pillow_writes_is_known(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(EIGHT).save(path)
    with path.open("rb") as file:
        found = content_of(file)
    assert found is not None
    assert found.readable
    assert found.bits == 8
