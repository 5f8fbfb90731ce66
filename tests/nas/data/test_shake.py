import numpy as np
import pytest
from scipy import ndimage

from nas.data.image_quality import psnr_db
from nas.data.shake import (
    _FROM,
    FRAMES,
    GAMMA,
    MARGIN,
    _to_pixels,
    blur,
    blur_inner,
    kernel,
    known_shake,
    random_shake,
)
from tests.helpers.picture_trees import picture


def frames_averaged(sharp: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The definition: shift every frame on its own, in linear light, and take the mean."""
    linear = (sharp / 255.0) ** GAMMA
    frames = [
        ndimage.shift(linear, (down, right, 0), order=1, mode="nearest") for down, right in path
    ]
    return 255 * np.mean(frames, axis=0) ** (1 / GAMMA)


@pytest.mark.parametrize("shake", ["known", "random"])
def test_blur_is_the_mean_of_shifted_frames_in_linear_light(shake: str) -> None:
    sharp = picture(1, 60, 45)
    path = known_shake() if shake == "known" else random_shake(np.random.default_rng(3))
    twin = frames_averaged(sharp, path)
    blurred = blur(sharp, path)
    assert np.abs(blurred - twin).max() <= 0.51  # rounded to the nearest
    assert (blurred == np.rint(twin)).mean() > 0.999  # the others lie on the edge of rounding


def test_blurring_a_crop_with_its_margin_is_cropping_the_blurred_picture() -> None:
    sharp = picture(2, 80, 70)
    whole = blur(sharp, known_shake())
    inner = blur_inner(sharp[None], known_shake())[0]
    np.testing.assert_array_equal(inner, whole[MARGIN:-MARGIN, MARGIN:-MARGIN])


def test_known_shake_is_curved_and_about_nine_pixels_long() -> None:
    path = known_shake()
    assert path.shape == (FRAMES, 2)
    np.testing.assert_allclose(path.mean(axis=0), 0, atol=1e-12)
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert 8.5 < length < 9.5
    chord = np.linalg.norm(path[-1] - path[0])
    assert chord < 0.95 * length
    np.testing.assert_array_equal(path, known_shake())


def test_kernel_sums_to_one_and_reaches_as_far_as_the_path() -> None:
    weights = kernel(known_shake())
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    offsets = np.argwhere(weights) - MARGIN
    assert np.abs(offsets).max() == np.ceil(np.abs(known_shake()).max())
    mean = (np.argwhere(weights > -1).T - MARGIN) @ weights.ravel()
    np.testing.assert_allclose(mean, 0, atol=1e-5)  # centred, like the path


def test_a_path_beyond_the_margin_is_refused() -> None:
    with pytest.raises(ValueError, match=r"may reach 9 pixels, not 20\.0"):
        kernel(np.array([[0.0, 20.0]]))


def test_random_shakes_differ_stay_within_the_margin_and_repeat_by_seed() -> None:
    paths = [random_shake(np.random.default_rng(seed)) for seed in range(300)]
    chords = [np.linalg.norm(path[-1] - path[0]) for path in paths]
    assert 5 <= min(chords) < 6
    assert 12 < max(chords) <= 13
    angles = [np.arctan2(*(path[-1] - path[0])) for path in paths]
    assert np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0].min() > 15
    assert max(np.abs(path).max() for path in paths) < MARGIN - 1
    np.testing.assert_array_equal(paths[5], random_shake(np.random.default_rng(5)))


def test_a_flat_picture_stays_as_it_is() -> None:
    for value in (0, 1, 7, 128, 255):
        flat = np.full((30, 30, 3), value, np.uint8)
        np.testing.assert_array_equal(blur(flat, known_shake()), flat)


def test_pixels_of_linear_light_are_rounded_exactly() -> None:
    edges = _FROM[1:-1]
    near = np.concatenate([edges, np.nextafter(edges, np.float32(0)), np.linspace(0, 1.0001, 9999)])
    near = near.astype(np.float32)
    np.testing.assert_array_equal(_to_pixels(near), np.searchsorted(edges, near, side="right"))


def test_gamma_matters() -> None:
    """Averaging pixel values instead of light would be another blur."""
    sharp = np.zeros((40, 40, 3), np.uint8)
    sharp[:, 20:] = 255
    blurred = blur(sharp, known_shake())
    naive = np.rint(
        np.mean(
            [ndimage.shift(sharp * 1.0, (*p, 0), order=1, mode="nearest") for p in known_shake()],
            axis=0,
        )
    ).astype(np.uint8)
    assert psnr_db(blurred, naive) < 30
    assert blurred[20, 20, 0] > naive[20, 20, 0]
