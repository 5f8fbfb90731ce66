import numpy as np
import pytest

from nas.errors import ConfigError
from nas.training.supernet.elastic import HEAD, Elastic
from search_spaces import EDSR, NetworkSpace, UNet, UNetSpace

SPACE = UNetSpace(levels=(2, 3), widths=(12, 4, 8), convolutions=(1, 2), first_kernel=(5, 3))
ELASTIC = Elastic.of(SPACE.to_dict())


def test_a_row_holds_the_candidate() -> None:
    row = ELASTIC.encode(UNet("depth-to-space", "prelu", (8, 12), 2, 5, True).to_dict())
    assert dict(zip(HEAD, row[:6].tolist(), strict=True)) == {
        "upsampling": SPACE.upsampling.index("depth-to-space"),
        "activation": SPACE.activation.index("prelu"),
        "levels": 2,
        "convolutions": 2,
        "first_kernel": 5,
        "global_residual": 1,
    }
    assert row[6:].tolist() == [8, 12, 0]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (UNet(widths=(8, 16), convolutions=1, first_kernel=3), r"width_1=16 .*holds \[4, 8, 12\]"),
        (UNet(widths=(8, 8, 8, 8), convolutions=1, first_kernel=3), r"levels=4 .*another space"),
        (UNet(widths=(8, 8), convolutions=3, first_kernel=3), "convolutions=3 is not in"),
        (UNet(widths=(8, 8), convolutions=1, first_kernel=7), "first_kernel=7 is not in"),
        (EDSR(8, 2), "holds U-Nets only, no 'edsr'"),
        (UNet(widths=(8, 8), skip="addition"), "skip='addition' .*does not share this axis"),
    ],
)
def test_networks_that_it_does_not_hold(network: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ELASTIC.encode(network.to_dict())


def test_a_space_of_other_networks() -> None:
    space = NetworkSpace({"edsr": EDSR(8, 2)}, SPACE)
    with pytest.raises(
        ConfigError, match=r"a space of U-Nets.*is of networks; .*without --supernet"
    ):
        Elastic.of(space.to_dict())


def test_axes_that_are_not_shared_are_named() -> None:
    wide = UNetSpace(widths=(4, 8), skip=("concatenation", "addition"), stem=(2,))
    with pytest.raises(ConfigError, match=r"does not share skip, stem of .*without --supernet"):
        Elastic.of(wide.to_dict())
    leaky = UNetSpace(widths=(4, 8), activation=("relu", "leaky-relu"))
    with pytest.raises(ConfigError, match="does not share activation leaky-relu of"):
        Elastic.of(leaky.to_dict())


def test_the_ends_of_the_sandwich() -> None:
    rng = np.random.default_rng(0)
    large, small = ELASTIC.largest(rng), ELASTIC.smallest(rng)
    assert large[2:5].tolist() == [3, 2, 5]
    assert large[6:].tolist() == [12, 12, 12]
    assert small[2:5].tolist() == [2, 1, 3]
    assert small[6:].tolist() == [4, 4, 0]
    drawn = np.array([ELASTIC.random(rng) for _ in range(300)])
    assert set(drawn[:, 0]) == {0, 1, 2}
    assert set(drawn[:, 6]) == {4, 8, 12}
    assert set(drawn[drawn[:, 2] == 2][:, 8]) == {0}
