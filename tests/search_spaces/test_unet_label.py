import random

import pytest

from nas.errors import ConfigError
from search_spaces import UNet
from search_spaces.unet_axes import (
    ALL_ACTIVATIONS,
    BLOCKS,
    DOWNSAMPLINGS,
    SKIPS,
    STEMS,
    UPSAMPLINGS,
)
from search_spaces.unet_label import unet_from_label


def any_unet(chance: random.Random) -> UNet:
    counts = [None, 2, 3, 4]
    return UNet(
        chance.choice(UPSAMPLINGS),
        chance.choice(ALL_ACTIVATIONS),
        tuple(chance.choice((4, 12, 32, 128)) for _ in range(chance.choice((2, 3, 5)))),
        chance.choice((2, 3, 4)),
        chance.choice((3, 5, 7)),
        chance.random() < 0.5,
        chance.choice(SKIPS),
        chance.choice(DOWNSAMPLINGS),
        chance.choice(STEMS),
        chance.choice(BLOCKS),
        chance.choice(counts),
        chance.choice(counts),
    )


def test_every_label_is_read_back() -> None:
    chance = random.Random(0)
    for network in (any_unet(chance) for _ in range(2000)):
        assert unet_from_label(network.label) == network


@pytest.mark.parametrize("text", ["edsr 64 x16", "unet-resizebilinear-prelu", "thesis"])
def test_what_is_no_label_of_a_unet_is_left_to_others(text: str) -> None:
    assert unet_from_label(text) is None


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("unet-depthtospace-relu 8-16", "is not whole: after 'unet-depthtospace-relu' come"),
        ("unet-depthtospace-relu 8 x2 k3", "is not whole"),
        ("unet-depthtospace-relu 8-16 x2+3 k3", "is not whole"),
        ("unet-depthtospace-relu 8-16 x2 k3 ress", "unknown word 'ress' .* valid: res, stem2"),
        ("unet-depthtospace-relu 8-16 x2 k3 p30%", "'p30%' .* is a pruned share"),
        ("unet-depthtospace-relu 8-15 x2 k3", r"widths=\(8, 15\): each must be"),
    ],
)
def test_a_label_that_is_wrong_is_told_by_its_word(label: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        unet_from_label(label)
