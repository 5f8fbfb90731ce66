import pytest

from nas.errors import ConfigError
from nas.networks.graph import (
    Conv,
    Graph,
    Input,
    check_size,
)
from search_spaces import ARCHITECTURES, UNet
from tests.helpers.artifacts import FIVE


def test_names_are_unique_and_defined_before_use() -> None:
    with pytest.raises(ValueError, match="layer 'a'"):
        Graph((Input("input"), Conv("a", ("b",), 4)))
    with pytest.raises(ValueError, match="a name twice"):
        Graph((Input("input"), Conv("input", ("input",), 4)))


def test_a_size_that_the_poolings_do_not_divide_names_the_nearest_ones() -> None:
    with pytest.raises(ConfigError, match=r"640x362 .* by 16.* 640x352 and 640x368"):
        UNet().graph().macs(362, 640)
    with pytest.raises(ConfigError, match="nearest sizes are 16x16"):
        check_size(16, 8, 8)


def test_the_reduction_follows_the_deepest_path() -> None:
    assert UNet().graph().reduction == 16
    assert UNet(widths=(8, 8)).graph().reduction == 2
    found = {name: ARCHITECTURES[name].graph().reduction for name in FIVE}
    assert found == {"edsr": 1, "rdn": 1, "dbpn": 4, "fpn": 1, "sgn": 8}


def test_the_smallest_picture() -> None:
    graph = ARCHITECTURES["fpn"].graph()
    assert graph.smallest == 75
    assert graph.costs(75, 91)[-1].shape == (75, 91, 3)
    with pytest.raises(ConfigError, match="74x80 is too small for this network, which needs 75x75"):
        graph.macs(80, 74)
    assert [ARCHITECTURES[n].graph().smallest for n in ("edsr", "dbpn", "sgn")] == [1, 4, 8]
    assert (graph.fits(8), graph.fits(90)) == (75, 90)
    assert (UNet().graph().fits(8), UNet().graph().fits(90)) == (16, 96)


def test_macs_are_compared_where_they_grow_with_the_pixels() -> None:
    assert ARCHITECTURES["sgn"].graph().counting_size == (8, 8)
    assert ARCHITECTURES["fpn"].graph().counting_size == (720, 1280)
