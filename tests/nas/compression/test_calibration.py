from types import SimpleNamespace

import numpy as np

from nas.compression.calibration import mosaic
from nas.data.image_quality import to_uint8


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
