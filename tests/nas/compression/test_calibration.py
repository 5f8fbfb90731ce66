from types import SimpleNamespace

import numpy as np
import pytest

from nas.compression.calibration import checked_calibration, mosaic, with_full_range
from nas.data.image_quality import to_uint8
from nas.errors import DataError


def numbered_pack(side):
    """Patches that tell which one they are: the step in the red channel, the number in green."""

    def batch(step, count, patch, seed):
        blurred = np.zeros((count, patch, patch, 3), np.uint8)
        blurred[..., 0] = step
        blurred[..., 1] = np.arange(count)[:, None, None] * 3
        blurred[..., 2] = np.arange(patch)  # tells left from right
        return blurred, None

    return SimpleNamespace(side=side, batch=batch)


def test_a_mosaic_lays_patches_beside_their_mirror_images():
    frame = mosaic(numbered_pack(8), 24, 40, index=5)
    assert frame.shape == (1, 24, 40, 3)
    assert frame.dtype == np.float32
    values = to_uint8(frame[0])
    assert set(values[..., 0].flat) == {5}
    assert set(values[..., 1].flat) == {0, 3, 6, 9, 12, 15}  # 2 rows of 3 blocks of 16x16
    assert list(values[0, :16, 2]) == [*range(8), *reversed(range(8))]


def test_a_mosaic_smaller_than_a_patch():
    assert mosaic(numbered_pack(64), 16, 24, index=0).shape == (1, 16, 24, 3)


def test_the_range_of_all_frames_becomes_0_to_1_by_two_numbers():
    frames = [np.full((1, 4, 4, 3), level, np.float32) for level in (0.3, 0.6)]
    changed = with_full_range(frames)
    assert [int((new != old).sum()) for new, old in zip(changed, frames, strict=True)] == [1, 1]
    assert (min(f.min() for f in changed), max(f.max() for f in changed)) == (0, 1)
    assert {float(f.max()) for f in frames} == {np.float32(0.3), np.float32(0.6)}  # left alone


def test_frames_are_checked_one_by_one():
    good = np.linspace(0, 1, 48, dtype=np.float64).reshape(1, 4, 4, 3)
    (frame,) = checked_calibration([good], 4, 4)
    assert frame.dtype == np.float32
    with pytest.raises(DataError, match=r"picture 1: expected an array of shape \(1, 4, 4, 3\)"):
        checked_calibration([good, good[:, :2]], 4, 4)
    with pytest.raises(DataError, match="all 2 calibration pictures are one constant value"):
        checked_calibration([np.full((1, 4, 4, 3), 0.5)] * 2, 4, 4)
