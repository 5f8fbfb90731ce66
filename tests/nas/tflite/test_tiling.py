from itertools import pairwise

import numpy as np
import pytest

from nas.errors import ConversionError
from nas.tflite.tiling import GRID, MARGIN, restore_any_size, restore_tiled


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


class Lifted:
    """A 'network' that sees its whole tile: no margin is wide enough for it."""

    height, width = 96, 128

    def restore(self, image: np.ndarray) -> np.ndarray:
        return np.full_like(image, image.max())


def test_seams_are_measured() -> None:
    image = np.zeros((150, 200, 3), np.uint8)
    done: list[tuple[int, int]] = []
    local = restore_tiled(LocalMean(96, 128), image, lambda *at: done.append(at))
    assert (local.seam_levels, local.tiles) == (0, 9)
    assert done == [(number, 9) for number in range(1, 10)]
    image[0, 199] = 77  # in the tiles of the last column and the first row alone
    assert restore_tiled(Lifted(), image).seam_levels == 77
    assert restore_tiled(Lifted(), image[:96, :128]).seam_levels is None
    image[0, 199], image[149, 0] = 0, 78  # found from above, not from the left
    assert restore_tiled(Lifted(), image).seam_levels == 78


@pytest.mark.parametrize(("length", "tile"), [(1000, 360), (641, 640), (4032, 640), (100, 32)])
def test_tiles_start_where_poolings_do_and_cover_all(length: int, tile: int) -> None:
    from nas.tflite.tiling import _spans

    spans = _spans(length, tile)
    grid = GRID if tile > 2 * GRID else 8
    assert all(start % grid == 0 for start, _, _ in spans[:-1])
    assert spans[-1][0] == length - tile
    assert [span[1] for span in spans] == [0, *(span[2] for span in spans[:-1])]
    assert spans[-1][2] == length
    margin = min(MARGIN, tile // 4)
    for (start, _, _), (after, cut, _) in pairwise(spans):
        assert cut - after >= margin  # of the tile behind the cut
        assert start + tile - cut >= margin  # of the tile before it


@pytest.mark.parametrize(("height", "width"), [(160, 224), (100, 260)])
def test_a_network_gives_the_same_in_tiles_and_whole(height: int, width: int) -> None:
    """Its receptive field reaches some 10 pixels, the margin at 64x96 is 16."""
    from nas.tflite.interpreter import Artifact
    from nas.tflite.resizing import at_size
    from tests.helpers.artifacts import artifact, network, picture

    content = artifact(network("resize-bilinear", "prelu"), "float")
    image = np.uint8(np.rint(255 * picture(height, width, 3)))
    whole = Artifact(at_size(content, height, width)).restore(image)
    tiled = restore_tiled(Artifact(at_size(content, 64, 96)), image)
    assert tiled.tiles >= 4
    assert tiled.seam_levels is not None
    assert tiled.seam_levels <= 1
    assert np.abs(whole.astype(int) - tiled.picture).max() <= 1


class Doubled:
    """A 'network' for super-resolution."""

    height, width = 96, 128

    def restore(self, image: np.ndarray) -> np.ndarray:
        return image.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("size", [(96, 128), (200, 300), (50, 60)])
def test_a_network_that_enlarges_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConversionError, match="gives pictures of 256x192 for pictures of 128x96"):
        restore_tiled(Doubled(), np.zeros((*size, 3), np.uint8))
