import os
import unicodedata
from pathlib import Path

import pytest

from nas.data.leftovers import AGAIN, FOLDER, LOOP, NO_FILE, PICTURE
from nas.data.problems import Problems
from nas.data.walk import existing, files_in, folders_in

COMPOSED = "Größe é"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def files(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, problems: Problems, deep: bool = True) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_in(folder, problems, deep)]


def messages(problems: Problems) -> str:
    return "\n".join(problem.what for problem in problems.found)


def test_leftovers_are_passed_over_at_any_depth_and_counted(tmp_path: Path) -> None:
    files(*(tmp_path / name for name in ("a.png", "b/c/d.png", "b/e.png.png/f.png")))
    for inside in ("", "b", "b/c"):
        files(tmp_path / inside / "@eaDir" / "a.png" / "SYNOFILE_THUMB_M.png")
        files(tmp_path / inside / "__MACOSX" / "deep" / "._a.png", tmp_path / inside / "._a.png")
    problems = Problems()
    assert names(tmp_path, problems) == ["a.png", "b/c/d.png", "b/e.png.png/f.png"]
    assert sorted(problems.passed_over.values()) == [3, 6]
    assert problems.found == ()


def test_a_folder_that_the_user_names_is_never_judged(tmp_path: Path) -> None:
    files(tmp_path / "@eaDir" / "thumbs" / "a.png")
    assert names(tmp_path / "@eaDir" / "thumbs", Problems()) == ["a.png"]


def test_without_depth_folders_inside_are_told(tmp_path: Path) -> None:
    files(tmp_path / "a.png", tmp_path / "more" / "b.png")
    problems = Problems()
    assert names(tmp_path, problems, deep=False) == ["a.png"]
    assert problems.passed_over == {FOLDER: 1}
    problems = Problems()
    assert list(folders_in(tmp_path, problems)) == ["more"]
    assert problems.passed_over == {PICTURE: 1}


def test_linked_folders_count_as_folders(tmp_path: Path) -> None:
    files(tmp_path / "elsewhere" / "inside" / "a.png", tmp_path / "here" / "b.png")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "here", Problems()) == ["b.png", "link/inside/a.png"]
    assert list(folders_in(tmp_path / "here", Problems())) == ["link"]


def test_loops_are_noticed(tmp_path: Path) -> None:
    here = tmp_path / "above" / "here"
    files(here / "a.png", here / "b" / "c.png", tmp_path / "far" / "d.png")
    (here / "itself").symlink_to(here)
    (here / "b" / "up").symlink_to("..")
    (here / "b" / "top").symlink_to(tmp_path)
    (here / "far").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(here)
    (tmp_path / "far" / "round").symlink_to(tmp_path / "far")
    problems = Problems()
    assert names(here, problems) == ["a.png", "b/c.png", "far/d.png"]
    assert problems.passed_over == {LOOP: 5}
    assert f"{here}/b/up is a link back to {here}, which it lies in" in messages(problems)
    assert list(folders_in(here, Problems())) == ["b", "far"]


def test_a_folder_that_is_linked_twice_is_read_once(tmp_path: Path) -> None:
    files(tmp_path / "far" / "a.png", tmp_path / "here" / "real" / "b.png")
    for link, target in (("one", "far"), ("other", "far"), ("all", "here/real")):
        (tmp_path / "here" / link).symlink_to(tmp_path / target)
    problems = Problems()
    assert names(tmp_path / "here", problems) == ["one/a.png", "real/b.png"]
    assert problems.passed_over == {AGAIN: 2}


def test_pipes_are_no_pictures_and_broken_links_are_left_to_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    problems = Problems()
    assert names(tmp_path, problems) == ["gone.png", "loop.png"]
    assert problems.passed_over == {NO_FILE: 1}


@pytest.mark.parametrize("refused", ["iterdir", "stat"])  # a folder without r, without x
def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    files(tmp_path / "locked" / "a.png")
    kept = getattr(Path, refused)

    def refuse(path: Path, **more: bool) -> object:
        if "locked" in str(path if refused == "iterdir" else path.parent):
            raise PermissionError(13, "Permission denied", str(path))
        return kept(path, **more)

    monkeypatch.setattr(Path, refused, refuse)
    problems = Problems()
    assert files_in(tmp_path, problems, deep=True) == []
    assert f"the folder {tmp_path}/locked can't be read (Permission denied)" in messages(problems)


def test_a_name_is_one_in_every_unicode_form(tmp_path: Path) -> None:
    (tmp_path / DECOMPOSED / "in").mkdir(parents=True)
    assert existing(tmp_path / COMPOSED / "in") == tmp_path / DECOMPOSED / "in"
    assert existing(tmp_path / COMPOSED / "out") == tmp_path / DECOMPOSED / "out"
    assert existing(tmp_path / "nothing") == tmp_path / "nothing"
    assert list(folders_in(tmp_path, Problems())) == [COMPOSED]
    (tmp_path / COMPOSED).mkdir()
    problems = Problems()
    folders_in(tmp_path, problems)
    assert "one name in two Unicode forms: keep one of them" in messages(problems)
