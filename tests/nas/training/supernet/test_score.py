import numpy as np
import pytest

from nas.data import Pair
from nas.data.image_quality import psnr_db, to_uint8
from nas.errors import DataError
from nas.networks.keras_model import with_weights
from nas.training.supernet.elastic import Elastic
from nas.training.supernet.first_weights import first_weights
from nas.training.supernet.network import ElasticUNet
from nas.training.supernet.score import CROPS, SIDE, Scorer, heldout_crops
from search_spaces import UNet, UNetSpace

SPACE = UNetSpace(levels=(2,), widths=(4, 8), convolutions=(1,), first_kernel=(3,))
ELASTIC = Elastic.of(SPACE.to_dict())


def _pair(height: int, width: int, seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    sharp = rng.integers(0, 256, (height, width, 3), np.uint8)
    return Pair(str(seed), sharp // 2 + 60, sharp)


def test_a_score_is_the_psnr_of_the_slice_as_a_network_alone() -> None:
    pairs = [_pair(20, 34, 0), _pair(26, 20, 1)]
    network = ElasticUNet(ELASTIC, first_weights(ELASTIC, 0))
    crops = heldout_crops(pairs, ELASTIC.reduction)
    assert crops.blurred.shape == (4, 20, 20, 3)
    unet = UNet("depth-to-space", "prelu", (8, 4), 1, 3, False)
    row = ELASTIC.encode(unet.to_dict())
    model = with_weights(unet.graph(), network.sliced(row))
    outputs = to_uint8(model(crops.blurred.astype(np.float32) / 255).numpy())
    each = []
    for picture in (0, 1):  # equal crops side by side have the picture's mean square error
        own = crops.picture == picture
        each.append(psnr_db(np.hstack(list(outputs[own])), np.hstack(list(crops.sharp[own]))))
    assert Scorer(network, crops).psnr_db(row) == pytest.approx(np.mean(each), abs=1e-3)


def test_crops_are_of_the_pictures_and_spread_over_them() -> None:
    pairs = [_pair(150, 200, number) for number in range(30)]
    crops = heldout_crops(pairs, 4)
    assert len(crops.picture) <= CROPS
    assert crops.blurred.shape[1:] == (SIDE, SIDE, 3)
    assert np.ptp(crops.picture) > 20
    for blurred, sharp, picture in zip(crops.blurred, crops.sharp, crops.picture, strict=True):
        pair = pairs[picture]
        places = np.argwhere((pair.sharp[:23, :73] == sharp[0, 0]).all(axis=2))
        found = [
            np.array_equal(pair.sharp[top : top + SIDE, left : left + SIDE], sharp)
            for top, left in places
        ]
        assert found.count(True) == 1
        assert np.array_equal(blurred, sharp // 2 + 60)


def test_pictures_that_are_too_small() -> None:
    with pytest.raises(DataError, match="16x16 pixels at least"):
        heldout_crops([_pair(8, 90, 0)], 16)
