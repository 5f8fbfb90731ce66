import io
import math

import numpy as np
import pytest
from PIL import Image

from nas.data.degradations import (
    Dark,
    Jpeg,
    Noisy,
    Shaken,
    degraded_word,
    parse_degradation,
)
from nas.data.shake import MARGIN
from nas.errors import ConfigError

RNG = np.random.default_rng(0)
SMOOTH = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (10, 12, 3), np.uint8)).resize((96, 80)), np.uint8
)


def test_noise_has_its_deviation_and_no_mean() -> None:
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    noise = Noisy(12.5).patches(grey, np.random.default_rng(1)).astype(float) - 128
    assert noise.shape == (1, 200 - 2 * MARGIN, 200 - 2 * MARGIN, 3)
    assert noise.std() == pytest.approx(12.5, rel=0.02)
    assert abs(noise.mean()) < 0.2
    assert abs(np.corrcoef(noise[0, :, :-1].ravel(), noise[0, :, 1:].ravel())[0, 1]) < 0.02
    white = Noisy(12.5).whole(np.full((9, 9, 3), 255, np.uint8), np.random.default_rng(1))
    assert white.max() == 255


def test_darkness_is_a_gain_of_linear_light() -> None:
    picture = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    dark = Dark(0.25).whole(picture, RNG)[0, :, 0]
    for value in (0, 17, 100, 255):
        light = (value / 255) ** 2.2 * 0.25
        assert dark[value] == round(255 * math.pow(light, 1 / 2.2))
    assert len(set(dark.tolist())) < 140  # of 256 values


def test_jpeg_is_pillows_own_and_its_blocks_begin_anywhere_in_a_patch() -> None:
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, "JPEG", quality=15, subsampling=2)
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(Jpeg(15).whole(SMOOTH, RNG), expected)
    patches = Jpeg(90).patches(np.stack([SMOOTH] * 12), np.random.default_rng(0))
    assert patches.shape == (12, 80 - 2 * MARGIN, 96 - 2 * MARGIN, 3)
    middle = SMOOTH[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(float)
    errors = [float(np.abs(patch - middle).mean()) for patch in patches]
    shifted = float(np.abs(SMOOTH[MARGIN:-MARGIN, 1 + MARGIN : 1 - MARGIN] - middle).mean())
    assert 0.5 < min(errors) <= max(errors) < shifted / 2
    assert len({patch.tobytes() for patch in patches}) > 6


def test_random_shakes_are_drawn_for_each_patch() -> None:
    patches = Shaken("random").patches(np.stack([SMOOTH] * 3), np.random.default_rng(0))
    assert len({patch.tobytes() for patch in patches}) == 3
    again = Shaken("random").patches(np.stack([SMOOTH] * 3), np.random.default_rng(0))
    np.testing.assert_array_equal(patches, again)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("shake", Shaken()),
        ("random-shake", Shaken("random")),
        ("noise=2.5", Noisy(2.5)),
        ("jpeg=30", Jpeg(30)),
        ("dark=0.2", Dark(0.2)),
    ],
)
def test_degradations_by_name(text: str, value: object) -> None:
    assert parse_degradation(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nois=3", r"unknown degradation 'nois=3'"),
        ("noise", r"unknown degradation 'noise'"),
        ("noise=", r"noise=: expected a number behind noise="),
        ("noise=0", r"noise=0: expected a deviation over 0"),
        ("noise=nan", r"noise=nan: expected a deviation over 0"),
        ("jpeg=2.5", r"jpeg=2\.5: expected a whole number"),
        ("jpeg=0", r"jpeg=0: expected a quality from 1 to 95"),
        ("dark=1", r"dark=1: expected a gain of the light between 0 and 1"),
    ],
)
def test_bad_degradations_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_degradation(text)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("photos", "blurred"),
        ("photos:random-shake", "blurred"),
        ("photos:noise=25", "noisy"),
        ("photos:jpeg=20", "compressed"),
        ("photos:dark=0.1", "dark"),
        ("photos:seed=7,noise=25", "noisy"),
        ("photos:seed=7", "blurred"),
        ("photos:of=another,version", "blurred"),
        ("gopro:/noise=25", "blurred"),
        ("pairs:in,out", "degraded"),
    ],
)
def test_a_word_for_how_pictures_look(spec: str, word: str) -> None:
    assert degraded_word(spec) == word
