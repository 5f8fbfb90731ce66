from pathlib import Path

from nas.data.listing import Clip, Files, in_shards, match, no_folder, pictures_in, prefixed, some
from nas.data.problems import Problem, Problems


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_pairs_are_matched_by_name_without_suffix(tmp_path: Path) -> None:
    blurred = tree(tmp_path / "blurred", "b.jpg", "a.png", "only.png")
    sharp = tree(tmp_path / "sharp", "a.png", "b.png")
    problems = Problems()
    files = match("train", blurred, sharp, problems, lone="warning")
    assert files == (
        Files("a", blurred / "a.png", sharp / "a.png"),
        Files("b", blurred / "b.jpg", sharp / "b.png"),
    )
    assert problems.found == (Problem("warning", "train: blurred without sharp: only"),)


def test_a_side_that_is_missing_or_empty_is_an_error(tmp_path: Path) -> None:
    blurred, sharp = tree(tmp_path / "blurred", "a.png"), tmp_path / "sharp"
    problems = Problems()
    assert match("train", blurred, sharp, problems, lone="error") == ()
    sharp.mkdir()
    assert match("train", blurred, sharp, problems, lone="error") == ()
    missing, empty = problems.found
    assert (missing.severity, empty.severity) == ("error", "error")
    assert missing.what == f"train: the folder {sharp} is missing"
    assert empty.what == f"train: no picture in {sharp}"


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    folder = tree(tmp_path / "a", "x.png", "x.jpg")
    problems = Problems()
    assert list(pictures_in(folder, problems)) == ["x"]
    (problem,) = problems.found
    assert problem.severity == "error"
    assert "x.jpg and x.png: keep one of them" in problem.what


def test_loose_pictures_become_at_most_256_shards_that_hold_all() -> None:
    files = [Files(f"{n:04d}", Path(f"b{n}"), Path(f"s{n}")) for n in range(600)]
    clips = in_shards(files)
    assert len(clips) == 200
    assert [file for clip in clips for file in clip.files] == files
    assert clips[0].name == "0000 … 0002"
    assert in_shards(files[:1]) == (Clip("0000", (files[0],), uniform=False),)


def test_names_in_messages_are_few() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some([str(n) for n in range(7)]) == "0, 1, 2, 3, 4, … (7 in all)"
    assert [file.name for file in prefixed("000", [Files("7", Path("b"), Path("s"))])] == ["000/7"]


def test_why_a_path_is_no_folder(tmp_path: Path) -> None:
    tree(tmp_path, "a.zip", "a.png")
    assert no_folder(tmp_path / "absent") == "missing"
    assert no_folder(tmp_path / "a.png") == "no folder, but a file"
    assert no_folder(tmp_path / "a.zip") == "no folder, but a file: unpack it"
