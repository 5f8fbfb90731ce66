import pytest

from nas.data.leftovers import is_archive, kind_of_file, leftover, what_lies

FOLDERS = (
    *(".hidden", ".Trash-1000", ".ipynb_checkpoints", ".thumbnails", ".AppleDouble", ".git"),
    *("@eaDir", "@Recycle", ".@__thumb", "@__thumb", "@tmp", "#recycle", "#snapshot", "~snapshot"),
    *("__MACOSX", "__macosx", "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "LOST.DIR", "FOUND.000"),
    *("System Volume Information", "lost+found", "thumbnails", "Thumbs", "thumb", "_thumbs"),
    *("checkpoints", "ipynb_checkpoints", "PaxHeaders.123", "__pycache__", "Temporary Items"),
)
FILES = (
    *("._x.png", ".x.png", "@x.png", "~$x.png", "~x.png", "x.png~", "x-checkpoint.png"),
    *("x_thumb.jpg", "thumb_x.jpg", "x.thumb.png", "thumbnail.jpg", "SYNOPHOTO_THUMB_XL.jpg"),
    *("x.png.part", "x.png.crdownload", "x.png.download", "x.png.partial", "x.png.tmp", "Icon\r"),
    *("Thumbs.db", "desktop.ini", ".DS_Store", "ehthumbs.db", ".x.png.icloud", "x.png.aria2"),
)


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
def test_what_systems_and_tools_leave_is_passed_over(name: str) -> None:
    assert leftover(name) is not None
    assert kind_of_file(name) == leftover(name)


@pytest.mark.parametrize(
    "name",
    [
        *("000", "GOPR0372_07_00", "blur", "0001", "Größe", "a.b", "#1", "100%", "(copy)"),
        *("thumbelina", "checkpoint charlie", "lost", "recycling", "macosx", "parts", "bin"),
    ],
)
def test_pictures_and_folders_of_people_are_not(name: str) -> None:
    assert leftover(name) is None
    assert kind_of_file(f"{name}.PNG") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("IMG_1.HEIC", "HEIC pictures"),
        ("a.heif", "HEIC pictures"),
        ("a.dng", "DNG pictures"),
        ("a.NEF", "NEF RAW pictures"),
        ("a.jxl", "JPEG XL pictures"),
        ("a.mov", "MOV videos"),
        ("train.tar.gz", "GZ archives"),
        ("a.npy", "NPY data files"),
        ("README", "other files"),
    ],
)
def test_other_formats_have_names(name: str, kind: str) -> None:
    assert kind_of_file(name) == kind


def test_archives_are_to_be_unpacked() -> None:
    assert is_archive("train_blur.ZIP")
    assert not is_archive("train_blur.png")
    assert not is_archive("train_blur.mov")


def test_what_lies_is_counted_with_the_remedy_of_each() -> None:
    assert what_lies({}) == ""
    said = what_lies({"HEIC pictures": 3, "MOV videos": 1, "other files": 2})
    assert said.startswith(": there lie HEIC pictures (3), MOV videos (1), other files (2)")
    assert said.endswith("; convert them to 8-bit RGB PNG, extract their frames as PNG")
