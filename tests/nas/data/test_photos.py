import json
from pathlib import Path

import numpy as np
import pytest

from nas.data import open_dataset
from nas.data.degradations import Shaken
from nas.data.image_quality import psnr_db
from nas.data.photos import (
    HELD_OUT,
    PATCHES,
    TEXTURE,
    TRAINING,
    Photos,
    photograph_path,
    read_photograph,
)
from nas.data.shake import blur, known_shake
from nas.errors import ConfigError, DataError
from nas.system.hashing import content_key


def mean_gradient(patch: np.ndarray) -> float:
    down, right = np.gradient(patch.mean(axis=2) / 255)
    return float(np.hypot(down, right).mean())


def test_held_out_pictures_have_the_documented_psnr() -> None:
    figures = {pair.name: psnr_db(pair.blurred, pair.sharp) for pair in Photos("photos").heldout()}
    assert np.mean(list(figures.values())) == pytest.approx(25.59, abs=0.01)
    assert {name: round(figure, 2) for name, figure in figures.items()} == {
        "chelsea": 28.85,
        "coffee": 24.61,
        "rocket": 26.54,
        "grass": 19.24,
        "text": 28.71,
    }
    mixed = [psnr_db(pair.blurred, pair.sharp) for pair in Photos("p", Shaken("random")).heldout()]
    assert np.mean(mixed) == pytest.approx(25.45, abs=0.01)


def test_held_out_pictures_are_photographs_blurred_whole() -> None:
    pairs = {pair.name: pair for pair in Photos("photos").heldout()}
    assert list(pairs) == [Path(name).stem for name in HELD_OUT]
    sharp = read_photograph("coffee.png")
    np.testing.assert_array_equal(pairs["coffee"].sharp, sharp[8:392, 8:584])
    np.testing.assert_array_equal(pairs["coffee"].blurred, blur(sharp, known_shake())[8:392, 8:584])
    for pair in pairs.values():
        height, width, _ = pair.sharp.shape
        assert height % 16 == width % 16 == 0
        assert pair.blurred.shape == pair.sharp.shape
        assert width <= 640
        assert height <= 512


def test_no_scene_is_on_both_sides() -> None:
    assert not set(TRAINING) & set(HELD_OUT)
    assert {"motorcycle_left.png", "motorcycle_right.png"} <= set(TRAINING)


def test_training_patches_are_textured_and_blurred_by_the_known_shake() -> None:
    pack = Photos("photos").prepare(32)
    assert PATCHES <= len(pack) < PATCHES + len(TRAINING)
    chosen = [pack.pair(index) for index in range(0, len(pack), 37)]
    textures = [mean_gradient(sharp) for _, sharp in chosen]
    assert min(textures) > 0.8 * TEXTURE  # the gradient at a patch's edge needs its neighbours
    assert np.mean([psnr_db(*pair) for pair in chosen]) < 26
    blurred, sharp = pack.pair(100)
    # Where the whole blur lies inside the patch, it is that of the known shake.
    again = blur(sharp, known_shake())
    np.testing.assert_array_equal(blurred[6:-6, 6:-6], again[6:-6, 6:-6])


def test_random_shakes_differ_from_patch_to_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.data.photos.PATCHES", 256)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    pack = Photos("photos:random", Shaken("random")).prepare(24)
    same = 0
    for index in range(0, len(pack), 4):
        blurred, sharp = pack.pair(index)
        same += np.array_equal(blurred[9:-9, 9:-9], blur(sharp, known_shake())[9:-9, 9:-9])
    assert same == 0


def test_every_photograph_gives_its_share() -> None:
    pack = Photos("photos").prepare(32)
    assert [len(shard) for shard in pack.sharp] == [373] * len(TRAINING)


def test_patches_come_from_training_photographs_turned_and_mirrored() -> None:
    """Each patch of a shard is found in its photograph, in several of the eight ways."""
    pack = Photos("photos").prepare(32)
    photograph = read_photograph("camera.png")
    shard = pack.sharp[TRAINING.index("camera.png")]
    ways = set()
    windows = np.lib.stride_tricks.sliding_window_view(photograph[..., 0], (32, 32))
    for patch in shard[:40:2, ..., 0]:  # every second one is from the photograph as it is
        for turns in range(4):
            for mirrored in (False, True):
                turned = np.rot90(patch[:, ::-1] if mirrored else patch, turns)
                corners = windows[..., 0, :4] == turned[0, :4]
                candidates = np.argwhere(corners.all(axis=-1))
                if any(np.array_equal(windows[y, x], turned) for y, x in candidates):
                    ways.add((turns, mirrored))
                    break
            else:
                continue
            break
        else:
            pytest.fail("a patch is not in its photograph")
    assert len(ways) >= 4


def test_the_same_spec_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.data.photos.PATCHES", 256)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "one"))
    first = Photos("photos:random,seed=3", Shaken("random"), 3).prepare(16)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "two"))
    second = Photos("photos:random,seed=3", Shaken("random"), 3).prepare(16)
    assert first.folder != second.folder
    assert first.folder.name == second.folder.name
    for one, other in zip(first.shards, second.shards, strict=True):
        np.testing.assert_array_equal(one, other)
    third = Photos("photos:random,seed=4", Shaken("random"), 4).prepare(16)
    assert not np.array_equal(first.shards[0], third.shards[0])


def test_identity_is_json_and_tells_tasks_apart() -> None:
    specs = ["photos", "photos:random", "photos:seed=7", "photos:random,seed=7"]
    texts = {spec: json.dumps(open_dataset(spec).identity(), sort_keys=True) for spec in specs}
    assert len(set(texts.values())) == 4
    assert texts["photos"] == json.dumps(Photos("any name").identity(), sort_keys=True)
    folder = photograph_path("coffee.png").parent
    assert all(str(folder) not in text for text in texts.values())


def test_split_and_task_say_what_the_shake_is() -> None:
    known, mixed = open_dataset("photos"), open_dataset("photos:random,seed=2")
    assert known.split == "photos-heldout"
    assert mixed.split == "photos-random-heldout"
    assert "known" in known.task
    assert "random" in mixed.task


@pytest.mark.parametrize(
    ("spec", "name", "words"),
    [
        ("photos:shake", "photos-heldout", "one known, curved camera shake"),
        ("photos:random-shake", "photos-random-heldout", "a random camera shake of its own"),
        ("photos:noise=25", "photos-noise25-heldout", "Gaussian noise of deviation 25 "),
        ("photos:jpeg=20,seed=2", "photos-jpeg20-heldout", "JPEG of quality 20 "),
        ("photos:dark=0.1", "photos-dark0.1-heldout", "darkened to 0.1 of its linear light"),
    ],
)
def test_the_degradation_is_in_the_split_and_the_task(spec: str, name: str, words: str) -> None:
    dataset = open_dataset(spec)
    assert dataset.split == name
    assert words in dataset.task


def test_shakes_have_the_identities_that_they_had() -> None:
    """Recorded before there were other degradations: trained weights are named by these."""
    known = {"photos": "58255228f225", "photos:random,seed=7": "05e0cd843a1e"}
    for spec, key in known.items():
        assert content_key(open_dataset(spec).identity()) == key
    same = open_dataset("photos:random-shake,seed=7").identity()
    assert same == open_dataset("photos:random,seed=7").identity()
    assert open_dataset("photos:shake").identity() == open_dataset("photos").identity()


@pytest.mark.parametrize("spec", ["photos:noise=25", "photos:jpeg=20", "photos:dark=0.1"])
def test_patches_and_pictures_of_other_tasks(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.data.photos.PATCHES", 256)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path))
    dataset = open_dataset(spec)
    pack = dataset.prepare(24)
    trained = [psnr_db(*pack.pair(index)) for index in range(0, len(pack), 9)]
    held = [psnr_db(pair.blurred, pair.sharp) for pair in dataset.heldout()]
    assert np.mean(trained) == pytest.approx(np.mean(held), abs=4)
    again = [pair.blurred for pair in open_dataset(spec + ",seed=5").heldout()]
    for pair, other in zip(dataset.heldout(), again, strict=True):
        np.testing.assert_array_equal(pair.blurred, other)


def test_several_degradations_are_refused() -> None:
    with pytest.raises(ConfigError, match="has several degradations; expected one at most"):
        open_dataset("photos:shake,noise=5")


@pytest.mark.parametrize("spec", ["photos:randon", "photos:seed=x", "photos:seed"])
def test_an_unknown_option_names_the_valid_ones(spec: str) -> None:
    option = spec.partition(":")[2]
    with pytest.raises(
        ConfigError, match=rf"unknown option of '{spec}' '{option}'.*random-shake, "
    ):
        open_dataset(spec)


def test_patches_that_fit_no_photograph_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no photograph holds a patch of 1400x1400"):
        Photos("photos").prepare(1400)


def test_a_missing_photograph_says_what_to_install() -> None:
    with pytest.raises(DataError, match=r"nothing\.png is not installed; install scikit-image"):
        read_photograph("nothing.png")
