import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nas.data.pictures import picture_size, probe_picture, read_picture
from nas.errors import DataError
from tests.helpers import deep_pictures as deep
from tests.helpers.picture_trees import corrupt_middle, picture, save, truncate


def test_pixels_come_back_as_they_were_written(tmp_path: Path) -> None:
    pixels = picture(0)
    save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)
    assert probe_picture(tmp_path / "a.png") == (32, 24)


def test_grey_and_transparent_pictures_become_rgb(tmp_path: Path) -> None:
    pixels = picture(0)
    save(tmp_path / "grey.png", pixels[..., 0])
    np.testing.assert_array_equal(
        read_picture(tmp_path / "grey.png"), np.repeat(pixels[..., :1], 3, axis=2)
    )
    clear = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=2)
    save(tmp_path / "clear.png", clear)
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png"), pixels)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_picture_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    save(path, picture(0, 200, 100))
    truncate(path)
    with pytest.raises(DataError, match=rf"cut\{suffix} can't be read as a picture .*truncated"):
        read_picture(path)


def test_a_probe_sees_a_truncated_png_by_its_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    save(path, picture(0, 200, 100))
    assert picture_size(path) == (200, 100)
    truncate(path)
    assert picture_size(path) == (200, 100)  # the header alone doesn't show it
    with pytest.raises(DataError, match=r"cut\.png can't be read"):
        probe_picture(path)


def test_bytes_behind_a_whole_png_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "longer.png"
    save(path, picture(0))
    path.write_bytes(path.read_bytes() + b"appended")
    assert probe_picture(path) == (32, 24)


def test_damage_in_the_middle_is_found_by_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    save(path, picture(0, 100, 100))
    corrupt_middle(path)
    assert probe_picture(path) == (100, 100)
    with pytest.raises(DataError, match=r"bad\.png can't be read as a picture"):
        read_picture(path)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "not.png"
    path.write_bytes(content)
    for read in (read_picture, picture_size, probe_picture):
        with pytest.raises(DataError, match=r"not\.png can't be read as a picture") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.png"
    for read in (read_picture, picture_size):
        with pytest.raises(DataError, match=re.escape(f"{path} is missing")):
            read(path)


def test_sixteen_bit_pictures_are_refused_instead_of_clipped(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((20, 20), 40000, np.uint16)).save(path)
    for read in (read_picture, picture_size):
        with pytest.raises(DataError, match="expected 8 bits a channel"):
            read(path)


def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(0, 32, 24)).save(path, exif=exif)
    assert read_picture(path).shape == (32, 24, 3)
    assert picture_size(path) == (24, 32)


def forged(width: int, height: int) -> bytes:
    """A small PNG whose header says that it is large."""
    whole = deep.png(np.zeros((2, 2, 3), np.uint8), 8)
    header = b"IHDR" + struct.pack(">II", width, height) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.mark.parametrize("size", [(16400, 16400), (50_000, 50_000)])
def test_a_guard_against_forged_sizes_says_that_it_is_one(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(forged(*size))
    for read in (read_picture, picture_size, probe_picture):
        with pytest.raises(DataError, match=rf"{size[0]}x{size[1]} pixels; at most 268 million"):
            read(path)


@pytest.mark.parametrize("size", [(12000, 9000), (16320, 12240)])
@pytest.mark.filterwarnings("error")
def test_pictures_of_phones_are_large_and_no_reason_for_a_warning(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "phone.png"
    path.write_bytes(forged(*size))
    assert picture_size(path) == size


@pytest.mark.filterwarnings("error")
def test_pillows_limit_does_not_hold_for_pictures_of_phones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    pixels = picture(0)
    save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)


def test_a_guard_against_texts_that_unpack_to_much_is_told(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("remark", "x" * (2 * PngImagePlugin.MAX_TEXT_CHUNK), zip=True)
    Image.fromarray(picture(0)).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(DataError, match=r"unpacks to more than Pillow's guard"):
        read_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("error")
def test_transparent_colours_of_a_palette_are_no_reason_for_a_warning(tmp_path: Path) -> None:
    image = Image.fromarray(picture(0)).quantize(16)
    image.save(tmp_path / "a.png", transparency=bytes(range(16)))
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png"), np.asarray(image.convert("RGB"))
    )
