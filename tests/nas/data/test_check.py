import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.data import open_dataset
from nas.data.check import Check, check_dataset
from nas.data.image_quality import psnr_db
from nas.data.pictures import read_picture
from nas.errors import ConfigError, DataError
from tests.helpers import deep_pictures as deep
from tests.helpers import picture_trees as trees


def problems(check: Check, severity: str) -> str:
    return "\n".join(p.what for p in check.problems if p.severity == severity)


def test_photos_are_usable_and_measured() -> None:
    check = check_dataset("photos")
    assert check.usable
    assert check.problems == ()
    assert check.split == "photos-heldout"
    assert (check.training_pairs, check.heldout_pairs, check.psnr_pairs) == (11, 5, 5)
    assert check.blurred_psnr_db == pytest.approx(25.59, abs=0.01)


def test_reds_is_counted_measured_and_sized(tmp_path: Path) -> None:
    trees.reds(tmp_path, val_clips=2)
    told: list[tuple[int, int, str]] = []
    check = check_dataset(f"reds:{tmp_path}", progress=lambda *event: told.append(event))
    assert check.usable
    assert (check.training_clips, check.training_pairs, check.heldout_pairs) == (2, 6, 4)
    assert check.sizes == {"32x24": 10}
    assert check.decoded_pairs == 10
    figures = [
        psnr_db(
            read_picture(tmp_path / f"val/val_blur/{clip:03d}/{frame:08d}.png"),
            read_picture(tmp_path / f"val/val_sharp/{clip:03d}/{frame:08d}.png"),
        )
        for clip in range(2)
        for frame in (9, 19)
    ]
    assert check.blurred_psnr_db == pytest.approx(np.mean(figures))
    assert (check.patches, check.patch) == (12, 24)
    assert check.pack_bytes == 12 * 2 * 24 * 24 * 3
    assert told[0] == (0, 10, "00000000")
    assert told[-1] == (10, 10, "done")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    trees.reds(tmp_path, clips=4, frames=4)
    train = tmp_path / "train"
    trees.truncate(train / "train_blur/000/00000001.png")
    trees.truncate(train / "train_sharp/000/00000001.png")
    trees.corrupt_middle(train / "train_sharp/000/00000002.png")
    trees.save(train / "train_sharp/001/00000003.png", trees.picture(0, 31, 24))
    for side in ("blur", "sharp"):
        trees.save(train / f"train_{side}/002/00000001.png", trees.picture(0, 64, 48))
    (train / "train_sharp/003/00000000.png").unlink()
    (tmp_path / "val/val_sharp/000/00000009.png").write_bytes(b"")
    check = check_dataset(f"reds:{tmp_path}")
    assert not check.usable
    found = problems(check, "error")
    assert "train_blur/000/00000001.png can't be read" in found
    assert "train_sharp/000/00000001.png can't be read" in found
    assert "train_sharp/000/00000002.png can't be read" in found
    assert "train_blur/001/00000003.png is 32x24, but its sharp partner is 31x24" in found
    assert "clip 002: frames of several sizes: 32x24, 64x48" in found
    assert "train clip 003: blurred without sharp: 00000000" in found
    assert "val_sharp/000/00000009.png can't be read" in found
    assert len(found.splitlines()) == 7
    assert "train: 4 of REDS's 240 clips" in problems(check, "warning")
    assert check.patches is None


def test_many_pictures_are_decoded_in_part_unless_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.data.check.DECODE_AT_MOST", 4)
    trees.reds(tmp_path, clips=2, frames=15)
    trees.corrupt_middle(tmp_path / "train/train_blur/000/00000003.png")
    trees.truncate(tmp_path / "train/train_blur/000/00000004.png")
    part = check_dataset(f"reds:{tmp_path}")
    assert part.decoded_pairs == 4
    assert "00000004.png" in problems(part, "error")  # a truncated one is always found
    assert "00000003.png" not in problems(part, "error")
    whole = check_dataset(f"reds:{tmp_path}", full=True)
    assert whole.decoded_pairs == 32
    assert "00000003.png" in problems(whole, "error")


def test_a_folder_that_is_not_there_is_a_report_not_an_exception(tmp_path: Path) -> None:
    check = check_dataset(f"reds:{tmp_path}/none")
    assert not check.usable
    assert "is missing" in problems(check, "error")
    assert check.blurred_psnr_db is None


def test_equal_and_unlike_pairs_are_doubted(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 30)
    for index in range(30):
        trees.save(before / f"shot{index:02d}.png", read_picture(after / f"shot{index:02d}.bmp"))
    check = check_dataset(f"pairs:{before},{after}")
    assert not check.usable
    assert "all held-out pairs (3) are two equal pictures" in problems(check, "error")
    assert check.blurred_psnr_db is None
    for index in range(30):
        trees.save(before / f"shot{index:02d}.png", trees.picture(index + 500))
    check = check_dataset(f"pairs:{before},{after}")
    assert "PSNR under 10 dB" in problems(check, "warning")
    assert check.blurred_psnr_db is not None
    assert check.blurred_psnr_db < 10


def test_the_report_is_json(tmp_path: Path) -> None:
    for spec in ("photos", f"reds:{tmp_path}", f"gopro:{trees.gopro(tmp_path / 'g')},blur"):
        values = json.loads(json.dumps(check_dataset(spec).to_dict(), allow_nan=False))
        assert values["spec"] == spec
        assert values["psnr_metric"] == "psnr-rgb-u8-b0-imgmean"
        assert values["usable"] is (not spec.startswith("reds"))
        assert all(set(problem) == {"severity", "what"} for problem in values["problems"])
        assert values["blurred_psnr_db"] is None or math.isfinite(values["blurred_psnr_db"])


def test_what_cannot_be_understood_raises(tmp_path: Path) -> None:
    for spec in ("nothing", f"gopro:{trees.gopro(tmp_path)}", "pairs:one"):
        with pytest.raises(ConfigError):
            check_dataset(spec)


def verdict(spec: str, patch: int | None) -> bool:
    """Whether `nas data prepare` would pack it."""
    try:
        dataset = open_dataset(spec)
        dataset.prepare(patch or dataset.default_patch)
    except (ConfigError, DataError):
        return False
    return True


@pytest.mark.parametrize("patch", [None, 8, 24, 25, 256])
@pytest.mark.parametrize(
    "harm", ["none", "tiny", "copy", "one folder", "deep", "cut", "damaged", "gone", "heic"]
)
def test_the_verdict_is_that_of_preparing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str, patch: int | None
) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    before, after = trees.pairs(tmp_path, 12)
    spec = f"pairs:{before},{after}"
    if harm == "tiny":
        trees.save_pair(before / "tiny.png", after / "tiny.bmp", 1, 40, 7)
    elif harm == "copy":
        shutil.copytree(after, tmp_path / "copy")
        spec = f"pairs:{after},{tmp_path}/copy"
    elif harm == "one folder":
        spec = f"pairs:{after},{after}"
    elif harm == "deep":
        pixels = np.zeros((24, 32, 3), np.uint16)
        (before / "shot05.png").write_bytes(deep.png(pixels, 16))
    elif harm == "cut":
        trees.truncate(before / "shot05.png")
    elif harm == "damaged":
        trees.corrupt_middle(before / "shot05.png")
    elif harm == "gone":
        (before / "shot05.png").unlink()  # told, but the others are usable
    elif harm == "heic":
        for path in before.iterdir():
            path.rename(path.with_suffix(".heic"))
    check = check_dataset(spec, patch=patch)
    assert check.usable is verdict(spec, patch)
    assert check.usable is (harm in ("none", "gone") and (patch or 8) <= 24)


def test_what_was_passed_over_is_counted_by_kind(tmp_path: Path) -> None:
    before, after = trees.pairs(tmp_path, 12)
    assert check_dataset(f"pairs:{before},{after}").passed_over == {}
    for index in range(3):
        (before / f"more{index}.heic").touch()
    (after / "@eaDir" / "shot00.png").mkdir(parents=True)
    check = check_dataset(f"pairs:{before},{after}")
    assert check.usable
    assert check.passed_over["HEIC pictures"] == 3
    assert sum(check.passed_over.values()) == 4
    assert check.to_dict()["passed_over"] == check.passed_over
    assert check.sizes == {"32x24": 12}


def test_held_out_pairs_are_all_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.data.check.DECODE_AT_MOST", 1)
    trees.corrupt_middle(trees.reds(tmp_path) / "val/val_blur/000/00000019.png")
    assert "00000019.png" in problems(check_dataset(f"reds:{tmp_path}"), "error")


def test_a_patch_that_no_photograph_holds() -> None:
    check = check_dataset("photos", patch=1400)
    assert not check.usable
    assert "no photograph holds a patch of 1400x1400" in problems(check, "error")
