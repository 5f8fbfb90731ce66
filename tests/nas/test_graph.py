import pytest

from nas.errors import ConfigError
from nas.graph import Add, Concat, Conv, DepthToSpace, Graph, Input, MaxPool, check_size
from search_spaces import ARCHITECTURES, UNet


def test_names_are_unique_and_defined_before_use() -> None:
    with pytest.raises(ValueError, match="layer 'a'"):
        Graph((Input("input"), Conv("a", ("b",), 4)))
    with pytest.raises(ValueError, match="a name twice"):
        Graph((Input("input"), Conv("input", ("input",), 4)))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_the_keras_model(name: str) -> None:
    from nas.model import build_model

    graph = ARCHITECTURES[name].graph()
    assert build_model(graph).count_params() == graph.parameters()


def test_shapes_are_those_of_the_keras_model() -> None:
    import numpy as np

    from nas.model import build_model

    for upsampling in ("transpose-conv", "depth-to-space", "resize-bilinear"):
        network = UNet(upsampling, "prelu", (8, 12, 16), 2, 5, True)
        model = build_model(network.graph())
        model(np.zeros((1, 24, 32, 3), np.float32))
        for row in network.graph().costs(24, 32)[1:]:
            output = model.get_layer(row.layer.name).output
            assert output.shape[-1] == row.shape[2]
        assert model(np.zeros((1, 24, 32, 3), np.float32)).shape == (1, 24, 32, 3)


def test_a_size_that_the_poolings_do_not_divide_names_the_nearest_ones() -> None:
    with pytest.raises(ConfigError, match=r"640x362 .* by 16.* 640x352 and 640x368"):
        UNet().graph().macs(362, 640)
    with pytest.raises(ConfigError, match="nearest sizes are 16x16"):
        check_size(16, 8, 8)


def test_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="can't concatenate"):
        Concat("c", ("a", "b")).shape([(4, 4, 3), (2, 2, 3)])
    with pytest.raises(ConfigError, match="can't add"):
        Add("s", ("a", "b")).shape([(4, 4, 3), (4, 4, 5)])
    with pytest.raises(ConfigError, match="6 channels don't divide by 4"):
        DepthToSpace("d", ("a",)).shape([(4, 4, 6)])
    with pytest.raises(ConfigError, match="without a remainder"):
        MaxPool("p", ("a",)).shape([(5, 4, 6)])


def test_the_reduction_follows_the_deepest_path() -> None:
    assert UNet().graph().reduction == 16
    assert UNet(widths=(8, 8)).graph().reduction == 2
