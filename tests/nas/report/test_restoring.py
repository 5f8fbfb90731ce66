import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from nas.data.pictures import read_photo, read_picture
from nas.errors import ConfigError, ConversionError, DataError, NasError, RunError
from nas.report.restored_page import SHOWN, restored_html
from nas.report.restoring import model_file, photo_files, restore_photos
from nas.system.files import read_json
from tests.browser import axe_violations
from tests.helpers.artifacts import artifact, network, picture
from tests.helpers.report_pages import Page

SIDEWAYS = 6  # EXIF: to be turned by a quarter


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "unet" / "model.tflite"
    path.parent.mkdir()
    path.write_bytes(artifact(network("resize-bilinear", "relu"), "int8-ptq"))
    return path


def photo(path: Path, height: int = 48, width: int = 80, **saved: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.rint(255 * picture(height, width)))).save(path, **saved)
    return path


def test_a_photo_keeps_its_size_its_orientation_its_exif_and_its_colours(
    model: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = SIDEWAYS, "A phone"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    taken = photo(tmp_path / "in" / "IMG 1.jpg", exif=exif, icc_profile=icc, quality=100)
    (row,) = restore_photos(model.parent, [taken], tmp_path / "out")
    assert (row.file, row.size, row.tiles) == ("IMG 1.png", (48, 80), 8)
    with Image.open(tmp_path / "out" / row.file) as image:
        assert image.size == (48, 80)  # stands, as its orientation said
        assert image.info["icc_profile"] == icc
        assert dict(image.getexif()) == {ExifTags.Base.Make: "A phone"}
    before, after = read_picture(taken), read_picture(tmp_path / "out" / row.file)
    assert np.abs(before.astype(int) - after).mean() < 40  # a network near the identity
    turned = np.rot90(read_picture(photo(tmp_path / "plain.png")), -1)
    assert np.abs(turned.astype(int) - before).mean() < 20


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_in_a_browser_axe_finds_nothing_to_mend(
    model: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    photos = [photo(tmp_path / f"{name}.png", 64, 96) for name in range(2)]
    restore_photos(model, photos, tmp_path / "out")
    assert axe_violations(tmp_path / "out" / "index.html", width, dark) == []


def test_another_format_and_names_that_come_twice(model: Path, tmp_path: Path) -> None:
    photos = [photo(tmp_path / "a" / "x.png"), photo(tmp_path / "b" / "X.bmp", 40, 40)]
    rows = restore_photos(model, photos, tmp_path / "out", "jpeg")
    assert [row.file for row in rows] == ["x.jpg", "X-2.jpg"]
    content = (tmp_path / "out" / "x.jpg").read_bytes()
    assert Image.open(io.BytesIO(content)).format == "JPEG"


def test_it_goes_on_where_it_was_stopped(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [photo(tmp_path / f"{name}.png", 32, 40 + 8 * name) for name in range(3)]
    seen: list[str] = []

    def stop(done: int, total: int, name: str) -> None:
        seen.append(name)
        if name == "1.png":
            raise KeyboardInterrupt

    (tmp_path / "none.tflite").write_bytes(b"no model")
    with pytest.raises(ConversionError, match="LiteRT refuses"):
        restore_photos(tmp_path / "none.tflite", photos, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        restore_photos(model, photos, tmp_path / "out", progress=stop)
    assert set(seen) == {"0.png", "1.png"}
    first = (tmp_path / "out" / "0.png").stat().st_mtime_ns
    seen.clear()
    restore_photos(model, photos, tmp_path / "out", progress=lambda *at: seen.append(at[2]))
    assert set(seen) == {"1.png", "2.png"}
    assert (tmp_path / "out" / "0.png").stat().st_mtime_ns == first
    manifest = read_json(tmp_path / "out" / "restore.json")
    assert [row["file"] for row in manifest["photos"]] == ["0.png", "1.png", "2.png"]


def test_what_can_t_be_done_is_told(model: Path, tmp_path: Path) -> None:
    one = photo(tmp_path / "in" / "one.png")
    restore_photos(model, [one], tmp_path / "out")
    other = tmp_path / "other.tflite"
    other.write_bytes(artifact(network("resize-bilinear", "relu"), "float"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    cases: list[tuple[type[NasError], str, Path, Path, str]] = [
        (RunError, "restored by another model, .*model.tflite", other, tmp_path / "out", "png"),
        (RunError, "full is not empty and holds no earlier", model, tmp_path / "full", "png"),
        (ConfigError, "holds the photographs themselves", model, one.parent, "png"),
        (ConfigError, "unknown format 'jpg'. Did you mean 'jpeg'", model, tmp_path / "new", "jpg"),
    ]
    for kind, message, file, out, format_ in cases:
        with pytest.raises(kind, match=message):
            restore_photos(file, [one], out, format_)
    with pytest.raises(ConfigError, match="no photograph was named"):
        restore_photos(model, [], tmp_path / "new")


def test_what_is_named_as_the_model(model: Path, tmp_path: Path) -> None:
    assert model_file(model) == model_file(model.parent) == model
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").touch()
    for path, message in [
        (tmp_path / "none.tflite", "none.tflite is missing; expected a .tflite"),
        (run, "is a run: `nas export .*run --out models`"),
        (model.parent.parent, f"a folder without model.tflite; name one of {model.parent}"),
    ]:
        with pytest.raises(ConfigError, match=message):
            model_file(path)


def test_folders_of_photos_and_what_is_none(tmp_path: Path) -> None:
    b, a = photo(tmp_path / "in" / "b.png"), photo(tmp_path / "in" / "a.png")
    assert photo_files([b, tmp_path / "in"]) == [b, a]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no picture"):
        photo_files([tmp_path / "empty"])
    (tmp_path / "in" / "c.jpg").write_text("<html>")
    with pytest.raises(DataError, match=r"c\.jpg"):
        photo_files([tmp_path / "in"])


def test_a_profile_of_other_colours_is_not_kept(tmp_path: Path) -> None:
    grey = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "grey.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, icc_profile=grey)
    assert read_photo(path).icc is None
    assert read_photo(path).exif is None


def test_the_page_shows_before_and_after_and_needs_no_network(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.report.restored_page.CROP", (32, 48))
    taken = photo(tmp_path / "<in>" / "a&b.png", 64, 96)
    out = tmp_path / "out"
    rows = restore_photos(model.parent, [taken], out, name="models/unet")
    html = (out / "index.html").read_text()
    assert '.stage::after { content: "";' in html  # the line between before and after
    page = Page(html)
    pictures = [address for address in page.addresses if address.startswith("data:image/webp")]
    assert len(pictures) == len(set(pictures)) == 4  # before and after, whole and a part
    assert [a for a in page.addresses if not a.startswith("data:")] == ["a%26b.png"]
    assert page.headings == ["a&b.png"]
    assert "models/unet" in page.text
    assert re.search(r"96x64, tiled by 32x32 in \d+ tiles", page.text)
    assert "Where two tiles meet, they" in page.text
    many = restored_html("m", rows * (SHOWN + 2), out)
    assert "2 more are in this folder" in Page(many).text
    taken.unlink()  # the restored file stays, the page does without it
    again = photo(tmp_path / "again.png", 32, 32)
    restore_photos(model.parent, [again], out)
    assert Page((out / "index.html").read_text()).headings == ["again.png"]
