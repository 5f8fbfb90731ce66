import hashlib
import re
import shutil
import unicodedata
from pathlib import Path

import pytest

from nas.data.layouts import list_folders, list_gopro, list_pairs, list_reds
from nas.data.listing import MAX_SHARDS, Files, Listing, in_shards
from nas.errors import ConfigError
from tests.helpers import picture_trees as trees


def errors(listing: Listing) -> str:
    return "\n".join(listing.errors)


def warnings(listing: Listing) -> str:
    return "\n".join(p.what for p in listing.problems if p.severity == "warning")


def test_reds_trains_on_all_frames_and_holds_out_the_ninths(tmp_path: Path) -> None:
    listing = list_reds(trees.reds(tmp_path, clips=2, frames=3, val_clips=2, val_frames=30))
    assert not listing.errors
    assert [clip.name for clip in listing.training] == ["000", "001"]
    assert listing.training_pairs == 6
    names = [files.name for files in listing.heldout]
    assert names == [f"{clip:03d}/{frame:08d}" for clip in range(2) for frame in (9, 19, 29)]
    first = listing.heldout[0]
    assert first.blurred == tmp_path / "val/val_blur/000/00000009.png"
    assert first.sharp == tmp_path / "val/val_sharp/000/00000009.png"
    assert listing.split == "reds-val6-p9"  # not the paper's: it is incomplete


def test_the_whole_reds_has_the_papers_split(tmp_path: Path) -> None:
    for side in ("blur", "sharp"):
        for part, clips in (("train", 240), ("val", 30)):
            for clip in range(clips):
                folder = tmp_path / part / f"{part}_{side}" / f"{clip:03d}"
                folder.mkdir(parents=True)
                for frame in range(100):
                    (folder / f"{frame:08d}.png").touch()
    listing = list_reds(tmp_path)
    assert listing.problems == ()
    assert listing.split == "reds-val300-p9"
    assert len(listing.heldout) == 300
    assert listing.training_pairs == 24_000
    assert len(listing.training) == 240


def test_an_incomplete_reds_is_told_but_usable(tmp_path: Path) -> None:
    listing = list_reds(trees.reds(tmp_path))
    assert not listing.errors
    assert "train: 2 of REDS's 240 clips" in warnings(listing)
    assert "val: 1 of REDS's 30 clips" in warnings(listing)
    assert "train clip 001: 3 of 100 frames" in warnings(listing)


def test_an_empty_reds_names_every_missing_folder(tmp_path: Path) -> None:
    listing = list_reds(tmp_path)
    assert len(listing.errors) == 4
    for folder in ("train_blur", "train_sharp", "val_blur", "val_sharp"):
        assert folder in errors(listing)
    assert "expected REDS as it unpacks, train/train_blur/000/00000000.png" in errors(listing)


def test_half_a_reds_names_the_other_half(tmp_path: Path) -> None:
    shutil.rmtree(trees.reds(tmp_path) / "val" / "val_sharp")
    listing = list_reds(tmp_path)
    assert len(listing.errors) == 1
    assert f"no clips in {tmp_path}/val/val_sharp" in errors(listing)


def test_reds_in_a_folder_too_high_is_pointed_at(tmp_path: Path) -> None:
    trees.reds(tmp_path / "REDS")
    assert f"did you mean reds:{tmp_path}/REDS?" in errors(list_reds(tmp_path))


def test_a_missing_folder_is_one_error(tmp_path: Path) -> None:
    for listing in (list_reds(tmp_path / "no"), list_gopro(tmp_path / "no", "blur")):
        assert len(listing.errors) == 1
        assert f"{tmp_path}/no is missing" in errors(listing)


def test_a_clip_or_frame_on_one_side_only_is_an_error(tmp_path: Path) -> None:
    trees.reds(tmp_path, clips=3, frames=12)
    shutil.rmtree(tmp_path / "train/train_sharp/001")
    for frame in (0, 4, 5, 6, 7, 8, 9):
        (tmp_path / f"train/train_blur/002/{frame:08d}.png").unlink()
    listing = list_reds(tmp_path)
    assert "train: clips in train_blur but not in train_sharp: 001" in errors(listing)
    assert (
        "train clip 002: sharp without blurred: 00000000, 00000004, 00000005, 00000006, 00000007, "
        "… (7 in all)" in errors(listing)
    )
    assert len(listing.errors) == 2


def test_validation_clips_too_short_to_hold_out_anything(tmp_path: Path) -> None:
    listing = list_reds(trees.reds(tmp_path, val_frames=9))
    assert "none of the frames 9, 19 … 99 is there" in errors(listing)


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    trees.reds(tmp_path)
    trees.save(tmp_path / "train/train_blur/000/00000001.bmp", trees.picture(0))
    assert "holds 00000001.bmp and 00000001.png: keep one" in errors(list_reds(tmp_path))


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    trees.reds(tmp_path)
    for name in ("._00000000.png", "Thumbs.db", ".DS_Store"):
        (tmp_path / "train/train_blur/000" / name).write_bytes(b"?")
    (tmp_path / "train/train_blur/.cache").mkdir()
    assert not list_reds(tmp_path).errors


def test_gopro_must_be_chosen_aloud(tmp_path: Path) -> None:
    trees.gopro(tmp_path)
    choice = re.escape(f"choose gopro:{tmp_path},blur or gopro:{tmp_path},blur_gamma")
    with pytest.raises(ConfigError, match=choice):
        list_folders(f"gopro:{tmp_path}", "gopro", str(tmp_path))
    for blur in ("blur", "blur_gamma"):
        listing = list_folders(f"gopro:{tmp_path},{blur}", "gopro", f"{tmp_path},{blur}")
        assert not listing.errors
        assert listing.layout == f"gopro-{blur}"
        assert listing.split == f"gopro-test3-{blur}"
        assert listing.heldout[0].name == "GOPR0384_11_00/000001"
        assert listing.heldout[0].blurred.parent.name == blur
        assert listing.heldout[0].sharp.parent.name == "sharp"
        assert [clip.name for clip in listing.training] == ["GOPR0372_07_00", "GOPR0374_11_00"]
        assert "train: 6 of GoPro's 2103 pairs" in warnings(listing)


def test_gopro_with_one_kind_of_blur_needs_no_choice(tmp_path: Path) -> None:
    listing = list_gopro(trees.gopro(tmp_path, ("blur_gamma",)), None)
    assert listing.split == "gopro-test3-blur_gamma"
    assert not listing.errors


def test_gopro_without_the_chosen_blur_names_each_missing_folder(tmp_path: Path) -> None:
    listing = list_gopro(trees.gopro(tmp_path, ("blur_gamma",)), "blur")
    assert len(listing.errors) == 3
    assert f"{tmp_path}/test/GOPR0384_11_00/blur is missing" in errors(listing)


def test_half_a_gopro(tmp_path: Path) -> None:
    shutil.rmtree(trees.gopro(tmp_path) / "test")
    assert f"no clips in {tmp_path}/test" in errors(list_gopro(tmp_path, "blur"))


def test_an_unknown_kind_of_blur_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind of blur .* Did you mean 'blur_gamma'"):
        list_folders("gopro:x,blurgamma", "gopro", f"{tmp_path},blurgamma")


@pytest.mark.parametrize(
    ("names", "spec", "split"),
    [
        (("input", "target"), None, "gopro-test4-input"),
        (("blur", "sharp"), None, "gopro-test4-blur"),
        (("blur", "sharp"), "blur", "gopro-test4-blur"),
    ],
)
def test_flat_gopro_folders(
    tmp_path: Path, names: tuple[str, str], spec: str | None, split: str
) -> None:
    for part in ("train", "test"):
        for index in range(4):
            blurred, sharp = (tmp_path / part / name / f"{index}.png" for name in names)
            trees.save_pair(blurred, sharp, index)
    listing = list_gopro(tmp_path, spec)
    assert not listing.errors
    assert listing.split == split
    assert listing.training_pairs == len(listing.heldout) == 4
    if names[0] == "input":
        with pytest.raises(ConfigError, match=r"flat folders, input and target.*write gopro:"):
            list_gopro(tmp_path, "blur")
        shutil.rmtree(tmp_path / "test/target")
        assert f"the folder {tmp_path}/test/target is missing" in errors(list_gopro(tmp_path, None))


def test_pairs_are_matched_by_name_and_split_by_its_hash(tmp_path: Path) -> None:
    listing = list_pairs(*trees.pairs(tmp_path, 30))
    assert listing.problems == ()
    names = sorted(
        (f"shot{i:02d}" for i in range(30)), key=lambda n: hashlib.sha256(n.encode()).hexdigest()
    )
    assert [files.name for files in listing.heldout] == sorted(names[:3])
    training = {files.name for clip in listing.training for files in clip.files}
    assert training == set(names[3:])
    assert listing.heldout[0].blurred.suffix == ".png"
    assert listing.heldout[0].sharp.suffix == ".bmp"
    assert listing.split == "pairs-heldout"


def test_pairs_in_folders_inside(tmp_path: Path) -> None:
    for name in ("a/1", "b/1", "b/2"):
        trees.save_pair(tmp_path / f"x/{name}.png", tmp_path / f"y/{name}.png", 1)
    listing = list_pairs(tmp_path / "x", tmp_path / "y")
    assert not listing.errors
    names = {files.name for clip in listing.training for files in clip.files}
    assert names | {files.name for files in listing.heldout} == {"a/1", "b/1", "b/2"}


def test_names_without_a_partner_are_left_out_and_told(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 12)
    (before / "shot03.png").unlink()
    (after / "shot07.bmp").unlink()
    listing = list_pairs(before, after)
    assert not listing.errors
    assert "blurred without sharp: shot07" in warnings(listing)
    assert "sharp without blurred: shot03" in warnings(listing)
    assert listing.training_pairs + len(listing.heldout) == 10


def test_pairs_that_do_not_match_at_all(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 3)
    for path in list(after.iterdir()):
        path.rename(after / f"sharp_{path.name}")
    listing = list_pairs(before, after)
    assert "at least 2 are needed" in errors(listing)
    assert listing.training == listing.heldout == ()


def test_missing_and_empty_pair_folders(tmp_path: Path) -> None:
    before, _ = trees.pairs(tmp_path, 3)
    (tmp_path / "empty").mkdir()
    assert f"the folder {tmp_path}/gone is missing" in errors(list_pairs(before, tmp_path / "gone"))
    assert f"no picture in {tmp_path}/empty" in errors(list_pairs(before, tmp_path / "empty"))


def test_a_comma_may_be_part_of_a_folders_name(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 3)
    strange = tmp_path / "before, at night"
    before.rename(strange)
    listing = list_folders("pairs", "pairs", f"{strange},{after}")
    assert not listing.errors


@pytest.mark.parametrize("rest", ["", "one", "one,", ",two"])
def test_pairs_needs_two_folders(rest: str) -> None:
    with pytest.raises(ConfigError, match="names no two folders: write pairs:BLURRED_DIR,SHARP"):
        list_folders(f"pairs:{rest}", "pairs", rest)


@pytest.mark.parametrize("kind", ["reds", "gopro"])
def test_a_folder_must_be_named(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"'{kind}' names no folder: write {kind}:PATH"):
        list_folders(kind, kind, "")


def test_many_loose_pictures_share_shards() -> None:
    files = [Files(str(index), Path("a"), Path("b")) for index in range(2103)]
    clips = in_shards(files)
    assert len(clips) <= MAX_SHARDS
    assert [file for clip in clips for file in clip.files] == files
    assert [clip.name for clip in in_shards(files[:2])] == ["0", "1"]


@pytest.mark.parametrize("layout", ["reds", "gopro", "flat", "pairs"])
def test_leftovers_are_no_pictures_at_any_depth_of_any_layout(tmp_path: Path, layout: str) -> None:
    if layout == "reds":
        spec, clean = f"reds:{trees.reds(tmp_path / 'd')}", list_reds(tmp_path / "d")
    elif layout == "gopro":
        spec, clean = (
            f"gopro:{trees.gopro(tmp_path / 'd')},blur",
            list_gopro(tmp_path / "d", "blur"),
        )
    else:
        flat = ("input", "target") if layout == "flat" else ("before", "after")
        for part in ("train", "test"):
            for side in flat:
                for name in ("1.png", "2.png", "3.png", "deep/1.png")[
                    : 3 if layout == "flat" else 4
                ]:
                    trees.save(tmp_path / "d" / part / side / name, trees.picture(len(side)))
        spec = f"gopro:{tmp_path / 'd'}"
        if layout == "pairs":
            spec = f"pairs:{tmp_path}/d/train/before,{tmp_path}/d/train/after"
        clean = list_folders(spec, *spec.split(":", 1))
    assert not clean.errors
    walked = [p for p in (tmp_path / "d").rglob("*") if p.is_dir()]
    per_folder = [trees.junk(folder) for folder in walked]
    junk = list_folders(spec, *spec.split(":", 1))
    assert not junk.errors
    assert junk.training == clean.training
    assert junk.heldout == clean.heldout
    assert sum(junk.passed_over.values()) >= per_folder[0] * 2
    assert len(junk.passed_over) >= 7


def test_archives_of_reds_each_in_a_folder_of_its_name(tmp_path: Path) -> None:
    usual = list_reds(trees.reds(tmp_path / "usual"))
    for part in ("train", "val"):
        for name in (f"{part}_blur", f"{part}_sharp"):
            whole = tmp_path / "usual" / part / name
            shutil.copytree(whole, tmp_path / "archives" / name / part / name)
            shutil.copytree(whole, tmp_path / "twice" / name / name)
            shutil.copytree(whole, tmp_path / "once" / name)
    for layout in ("archives", "twice", "once"):
        listing = list_reds(tmp_path / layout)
        assert not listing.errors, layout
        assert listing.split == usual.split
        assert [clip.name for clip in listing.training] == ["000", "001"]
        assert [files.name for files in listing.heldout] == [f.name for f in usual.heldout]
    shutil.move(tmp_path / "archives", tmp_path / "above" / "REDS")
    assert f"did you mean reds:{tmp_path}/above/REDS?" in errors(list_reds(tmp_path / "above"))


def test_half_of_reds_archives_gives_no_misleading_hint(tmp_path: Path) -> None:
    trees.reds(tmp_path / "usual")
    for side in ("blur", "sharp"):
        whole = tmp_path / "usual/train" / f"train_{side}"
        shutil.copytree(whole, tmp_path / f"r/train_{side}/train/train_{side}")
        (tmp_path / f"r/val_{side}.zip").write_bytes(b"PK")
    found = errors(list_reds(tmp_path / "r"))
    assert "did you mean" not in found
    assert f"no clips in {tmp_path}/r/val/val_blur" in found
    assert "there lie ZIP archives (2), which are not read; unpack them" in found


def test_gopro_parts_each_in_a_folder_of_its_name(tmp_path: Path) -> None:
    trees.gopro(tmp_path / "usual", ("blur",))
    for part in ("train", "test"):
        shutil.copytree(tmp_path / "usual" / part, tmp_path / "g" / part / part)
    listing = list_gopro(tmp_path / "g", None)
    assert not listing.errors
    assert (listing.training_pairs, len(listing.heldout)) == (6, 3)
    shutil.move(tmp_path / "usual", tmp_path / "above" / "GOPRO_Large")
    assert f"did you mean gopro:{tmp_path}/above/GOPRO_Large?" in errors(
        list_gopro(tmp_path / "above", None)
    )


def test_linked_clips_are_clips_and_loops_are_told(tmp_path: Path) -> None:
    trees.reds(tmp_path / "far")
    here = tmp_path / "here"
    for side in ("blur", "sharp"):
        root = here / "train" / f"train_{side}"
        root.mkdir(parents=True)
        (root / "000").symlink_to(tmp_path / f"far/train/train_{side}/000")
        (root / "loop").symlink_to(here)
    (here / "val").symlink_to(tmp_path / "far/val")
    listing = list_reds(here)
    assert not listing.errors
    assert [clip.name for clip in listing.training] == ["000"]
    assert f"train_blur/loop is a link back to {here}" in warnings(listing)


def test_names_that_differ_in_unicode_form_only_are_one(tmp_path: Path) -> None:
    for form, side in (("NFD", "x"), ("NFC", "y")):
        for index in range(4):
            name = unicodedata.normalize(form, f"Größe/é{index}.png")
            trees.save(tmp_path / side / name, trees.picture(index + len(form)))
    listing = list_pairs(tmp_path / "x", tmp_path / "y")
    assert listing.problems == ()
    names = {f.name for clip in listing.training for f in clip.files}
    names |= {files.name for files in listing.heldout}
    assert names == {f"Größe/é{index}" for index in range(4)}
    again = list_pairs(tmp_path / "y", tmp_path / "x")  # the split hangs on no side's form
    assert [f.name for f in again.heldout] == [f.name for f in listing.heldout]


def test_two_forms_of_one_name_in_a_folder_are_told_as_such(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 3)
    for form in ("NFC", "NFD"):
        trees.save(before / unicodedata.normalize(form, "é.png"), trees.picture(0))
    assert "one name in two Unicode forms" in errors(list_pairs(before, after))


def test_a_folder_of_a_spec_is_found_in_its_other_unicode_form(tmp_path: Path) -> None:
    decomposed, composed = (unicodedata.normalize(f, f"{tmp_path}/Bücher") for f in ("NFD", "NFC"))
    trees.reds(Path(decomposed))
    assert not list_folders("reds", "reds", composed).errors


def test_what_lies_there_instead_of_pictures_is_named(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.heic", "c.dng", "d.mp4", "e.tar.gz", "in/f.jxl", "notes.txt"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).touch()
    found = errors(list_pairs(tmp_path / "x", trees.pairs(tmp_path, 2)[1]))
    assert f"no picture in {tmp_path}/x: there lie HEIC pictures (2)" in found
    for kind in ("DNG pictures", "MP4 videos", "GZ archives", "JPEG XL pictures", "other files"):
        assert f"{kind} (1)" in found
    assert "convert them to 8-bit RGB PNG, extract their frames as PNG, unpack them" in found


def test_an_archive_for_a_folder_is_to_be_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "REDS.zip"
    archive.touch()
    assert f"{archive} is no folder, but a file: unpack it" in errors(list_reds(archive))
    assert "is no folder, but a file: unpack it" in errors(list_pairs(archive, tmp_path))


def test_one_folder_for_both_sides_is_an_error(tmp_path: Path) -> None:
    before, _ = trees.pairs(tmp_path, 3)
    (tmp_path / "link").symlink_to(before)
    for other in (before, tmp_path / "link", tmp_path / "after" / ".." / "before"):
        assert "are one folder: every pair would be two equal" in errors(list_pairs(before, other))


def test_pairs_in_one_folder_more_are_pointed_at(tmp_path: Path) -> None:
    for index in range(3):
        name = f"{index}.png"
        trees.save_pair(tmp_path / "x/blur" / name, tmp_path / "y/sharp" / name, index)
    hint = f"(did you mean pairs:{tmp_path}/x/blur,{tmp_path}/y/sharp?)"
    assert hint in errors(list_pairs(tmp_path / "x", tmp_path / "y"))
    trees.save(tmp_path / "x/other/9.png", trees.picture(9))
    assert "did you mean" not in errors(list_pairs(tmp_path / "x", tmp_path / "y"))
