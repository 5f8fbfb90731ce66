import numpy as np
import pytest

from nas.tflite.tiling import MARGIN, restore_any_size


class LocalMean:
    """A 'network' of 5x5 receptive field, so that any seam or wrong tile shows."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width, self.calls = height, width, 0

    def restore(self, image: np.ndarray) -> np.ndarray:
        assert image.shape == (self.height, self.width, 3)
        self.calls += 1
        return local_mean(image)


def local_mean(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter

    return uniform_filter(image, size=(5, 5, 1), mode="reflect")


@pytest.mark.parametrize(
    ("size", "fitting", "calls"),
    [
        ((96, 128), "whole frames", 1),
        ((60, 100), "edges mirrored to 128x96", 1),
        ((200, 300), "tiled by 128x96", None),
        ((97, 128), "tiled by 128x96", 2),
        ((200, 50), "tiled by 128x96", None),
        ((20, 20), "edges mirrored to 128x96", 1),
    ],
)
def test_fitting_changes_nothing(size: tuple, fitting: str, calls: int | None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    network = LocalMean(96, 128)
    restored, how = restore_any_size(network, image)
    assert how == fitting
    assert restored.shape == image.shape
    assert np.array_equal(restored, local_mean(image))
    if calls:
        assert network.calls == calls


def test_the_margin_is_wider_than_what_a_seam_can_reach() -> None:
    assert MARGIN >= 16
