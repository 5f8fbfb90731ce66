import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.data import open_dataset
from nas.data.folders import Folders, clip_patches, grid
from nas.data.pictures import read_picture
from nas.errors import ConfigError, DataError
from tests.helpers import deep_pictures as deep
from tests.helpers import picture_trees as trees


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    monkeypatch.setenv("NAS_CACHE_DIR", str(folder))
    return folder


def test_a_reds_frame_gives_fifteen_patches_that_cover_it() -> None:
    corners = grid(1280, 720, 256)
    assert len(corners) == 15
    assert sorted({left for _, left in corners}) == [0, 256, 512, 768, 1024]
    assert sorted({top for top, _ in corners}) == [0, 232, 464]
    covered = np.zeros((720, 1280), bool)
    for top, left in corners:
        covered[top : top + 256, left : left + 256] = True
    assert covered.all()


@pytest.mark.parametrize("size", [(24, 24), (25, 24), (100, 31), (640, 480)])
def test_a_grid_covers_any_picture_within_its_borders(size: tuple[int, int]) -> None:
    width, height = size
    covered = np.zeros((height, width), bool)
    for top, left in grid(width, height, 24):
        assert 0 <= top <= height - 24
        assert 0 <= left <= width - 24
        covered[top : top + 24, left : left + 24] = True
    assert covered.all()


def test_a_pack_of_reds_holds_the_frames_patches(tmp_path: Path) -> None:
    dataset = open_dataset(f"reds:{trees.reds(tmp_path, width=40, height=24)}")
    told: list[tuple[int, int, str]] = []
    pack = dataset.prepare(16, lambda *event: told.append(event))
    assert pack.side == 24  # the largest that fits, for batches to crop
    assert len(pack) == 2 * 3 * 2  # clips, frames, columns
    assert told == [(0, 2, "000"), (1, 2, "001"), (2, 2, "done")]
    blurred, sharp = pack.pair(7)  # clip 1, frame 0, the right column
    frame = read_picture(tmp_path / "train/train_sharp/001/00000000.png")
    np.testing.assert_array_equal(sharp, frame[:, 16:40])
    frame = read_picture(tmp_path / "train/train_blur/001/00000000.png")
    np.testing.assert_array_equal(blurred, frame[:, 16:40])


def test_large_frames_are_packed_as_256_whatever_patch_is_asked(tmp_path: Path) -> None:
    trees.reds(tmp_path, clips=1, frames=1, val_frames=10, width=1280, height=720)
    dataset = open_dataset(f"reds:{tmp_path}")
    assert dataset.default_patch == 256
    small, paper = dataset.prepare(64), dataset.prepare(256)
    assert small.folder == paper.folder
    assert (len(paper), paper.side) == (15, 256)
    assert small.batch(0, 4, 64, 0)[0].shape == (4, 64, 64, 3)
    assert isinstance(dataset, Folders)
    assert dataset.patches(256) == (15, 256)
    larger = dataset.prepare(512)
    assert (larger.side, len(larger)) == (512, 6)


def test_held_out_pictures_come_whole_and_in_order(tmp_path: Path) -> None:
    dataset = open_dataset(f"reds:{trees.reds(tmp_path, val_clips=2)}")
    pairs = list(dataset.heldout())
    assert [pair.name for pair in pairs] == [
        "000/00000009",
        "000/00000019",
        "001/00000009",
        "001/00000019",
    ]
    np.testing.assert_array_equal(
        pairs[2].sharp, read_picture(tmp_path / "val/val_sharp/001/00000009.png")
    )
    np.testing.assert_array_equal(
        pairs[2].blurred, read_picture(tmp_path / "val/val_blur/001/00000009.png")
    )
    assert [pair.name for pair in dataset.heldout()] == [pair.name for pair in pairs]


def test_training_and_held_out_pictures_of_pairs_do_not_meet(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 12)
    dataset = open_dataset(f"pairs:{before},{after}")
    pack = dataset.prepare(24)
    heldout = [pair.sharp[:, :24].tobytes() for pair in dataset.heldout()]
    packed = {pack.pair(index)[1].tobytes() for index in range(len(pack))}
    assert len(heldout) == 1
    assert len(packed) == 22
    assert not packed & set(heldout)


def test_pairs_of_several_sizes(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 12)
    trees.save_pair(before / "wide.png", after / "wide.png", 99, width=100, height=50)
    dataset = open_dataset(f"pairs:{before},{after}")
    assert "wide" not in [pair.name for pair in dataset.heldout()]
    pack = dataset.prepare(16)
    assert pack.side == 24
    assert len(pack) == 11 * 2 + 5 * 3


def test_a_patch_larger_than_a_picture_names_it(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 2)
    dataset = open_dataset(f"pairs:{before},{after}")
    with pytest.raises(ConfigError, match=r"48x48 doesn't fit .* \(24 pixels, in shot0[01]\)"):
        dataset.prepare(48)


def test_identity_does_not_depend_on_the_place_but_on_the_pictures(tmp_path: Path) -> None:
    trees.reds(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here = open_dataset(f"reds:{tmp_path}/here").identity()
    there = open_dataset(f"reds:{tmp_path}/there").identity()
    assert here == there
    assert str(tmp_path) not in json.dumps(here)
    changed = tmp_path / "there/train/train_sharp/001/00000002.png"
    trees.save(changed, np.zeros((24, 32, 3), np.uint8))
    assert open_dataset(f"reds:{tmp_path}/there").identity() != here
    shutil.rmtree(tmp_path / "there")
    trees.reds(tmp_path / "there", frames=4)
    assert open_dataset(f"reds:{tmp_path}/there").identity() != here


def test_two_places_share_a_pack(tmp_path: Path) -> None:
    trees.reds(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    first = open_dataset(f"reds:{tmp_path}/here").prepare(16)
    second = open_dataset(f"reds:{tmp_path}/there").prepare(16)
    assert first.folder == second.folder


def test_gopro_blurs_have_other_identities_and_packs(tmp_path: Path) -> None:
    trees.gopro(tmp_path)
    specs = [f"gopro:{tmp_path},blur", f"gopro:{tmp_path},blur_gamma"]
    folders = {open_dataset(spec).prepare(16).folder for spec in specs}
    assert len(folders) == 2


def test_an_unusable_folder_says_the_first_problem_and_where_to_see_all(tmp_path: Path) -> None:
    spec = f"reds:{tmp_path}"
    with pytest.raises(DataError, match=rf"no clips in .*\(and 3 more\); `nas data check {spec}`"):
        open_dataset(spec)


def test_a_truncated_held_out_picture_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    trees.truncate(trees.reds(tmp_path) / "val/val_blur/000/00000019.png")
    with pytest.raises(DataError, match=r"val_blur/000/00000019\.png can't be read"):
        open_dataset(f"reds:{tmp_path}")


def test_frames_of_different_sizes_are_found_before_anything_is_trained(tmp_path: Path) -> None:
    trees.reds(tmp_path)
    trees.save(tmp_path / "train/train_sharp/001/00000000.png", trees.picture(0, 30, 24))
    with pytest.raises(DataError, match=r"is 32x24, but its sharp partner .* is 30x24"):
        open_dataset(f"reds:{tmp_path}")


def test_a_truncated_training_frame_stops_packing_and_is_named(tmp_path: Path) -> None:
    path = trees.reds(tmp_path) / "train/train_blur/001/00000001.png"
    whole = path.read_bytes()
    trees.truncate(path)
    dataset = open_dataset(f"reds:{tmp_path}")
    with pytest.raises(DataError, match=r"train_blur/001/00000001\.png can't be read"):
        dataset.prepare(16)
    path.write_bytes(whole)
    told: list[str] = []
    pack = open_dataset(f"reds:{tmp_path}").prepare(16, lambda *event: told.append(event[2]))
    assert len(pack) == 12


def test_a_clip_that_changes_size_is_named(tmp_path: Path) -> None:
    trees.reds(tmp_path)
    for side in ("blur", "sharp"):
        trees.save(tmp_path / f"train/train_{side}/001/00000002.png", trees.picture(0, 48, 24))
    with pytest.raises(DataError, match=r"00000002\.png is 48x24, but its clip began with 32x24"):
        open_dataset(f"reds:{tmp_path}").prepare(16)


@pytest.mark.parametrize("spec", ["photoz", "redds:/data", "", "/data/REDS"])
def test_an_unknown_kind_lists_the_valid_ones(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown data set .* Valid: gopro, pairs, photos, reds"):
        open_dataset(spec)


def test_a_typing_error_is_recognised() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'reds'\?.*reds:PATH"):
        open_dataset("redds:/data")


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees.reds(tmp_path / "REDS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_dataset("reds:~/REDS").split == "reds-val2-p9"


def test_leftovers_never_become_training_data(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 12)
    spec = f"pairs:{before},{after}"
    clean = open_dataset(spec)
    identity, pack = clean.identity(), clean.prepare(16)
    for folder in (before, after, before / "inside"):
        trees.junk(folder)
    assert open_dataset(spec).identity() == identity
    assert open_dataset(spec).prepare(16).folder == pack.folder


def test_the_usual_patch_is_what_fits(tmp_path: Path) -> None:
    dataset = open_dataset(f"reds:{trees.reds(tmp_path)}")
    assert dataset.default_patch == 24
    assert dataset.prepare(dataset.default_patch).side == 24


def test_a_deep_frame_anywhere_stops_packing(tmp_path: Path) -> None:
    path = trees.reds(tmp_path) / "train/train_blur/001/00000002.png"
    path.write_bytes(deep.png(np.zeros((24, 32, 3), np.uint16), 16))
    with pytest.raises(DataError, match=r"00000002\.png: expected 8 bits .* PNG has 16 bits"):
        open_dataset(f"reds:{tmp_path}").prepare(16)


def test_a_held_out_picture_damaged_in_its_middle_is_found_before_training(tmp_path: Path) -> None:
    trees.corrupt_middle(trees.reds(tmp_path) / "val/val_blur/000/00000019.png")
    with pytest.raises(DataError, match=r"val_blur/000/00000019\.png can't be read"):
        open_dataset(f"reds:{tmp_path}").prepare(16)


def test_copies_of_one_folder_are_refused_before_training(tmp_path: Path) -> None:
    _, after = trees.pairs(tmp_path, 12)
    shutil.copytree(after, tmp_path / "copy")
    spec = f"pairs:{after},{tmp_path}/copy"
    with pytest.raises(
        DataError, match=r"all held-out pairs \(1\) are two equal .* nothing to learn"
    ):
        open_dataset(spec).prepare(16)
    heldout = next(iter(open_dataset(spec).heldout())).name
    trees.save(tmp_path / f"copy/{heldout}.bmp", trees.picture(99))
    with pytest.raises(DataError, match=r"all 11 sampled training pairs are two equal pictures"):
        open_dataset(spec).prepare(16)


def test_a_held_out_pair_of_two_equal_pictures_is_refused(tmp_path: Path) -> None:
    trees.reds(tmp_path)
    names = [tmp_path / f"val/val_{side}/000/00000009.png" for side in ("sharp", "blur")]
    shutil.copy(*names)
    with pytest.raises(DataError, match=r"1 of 2 held-out pairs are two equal .*00000009\.png"):
        open_dataset(f"reds:{tmp_path}").prepare(16)


def test_a_frame_that_is_a_broken_link_is_named(tmp_path: Path) -> None:
    path = trees.reds(tmp_path) / "train/train_blur/001/00000002.png"
    path.unlink()
    path.symlink_to(tmp_path / "nothing.png")
    with pytest.raises(DataError, match=r"00000002\.png is missing"):
        open_dataset(f"reds:{tmp_path}").prepare(16)


def test_a_picture_of_many_patches_is_packed_whole(tmp_path: Path) -> None:
    for index in range(3):
        trees.save_pair(tmp_path / f"x/{index}.png", tmp_path / f"y/{index}.png", index, 90, 80)
    dataset = open_dataset(f"pairs:{tmp_path}/x,{tmp_path}/y")
    assert isinstance(dataset, Folders)
    clip = dataset.listing.training[0]
    chunks = list(clip_patches(clip, [(90, 80)], 8))
    assert [len(chunk) for chunk in chunks] == [64, 56]
    frame = read_picture(clip.files[0].sharp)
    for (top, left), (_, sharp) in zip(grid(90, 80, 8), np.concatenate(chunks), strict=True):
        np.testing.assert_array_equal(sharp, frame[top : top + 8, left : left + 8])
