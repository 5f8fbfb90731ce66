import pytest

from nas.errors import ConfigError
from nas.networks.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Input,
    MaxPool,
    ResizeNearest,
    SpaceToDepth,
    Subtract,
    TransposeConv,
    ZeroPad,
    check_size,
    layer_kind,
)
from search_spaces import ARCHITECTURES, FPN, UNet
from tests.helpers.artifacts import FIVE, SIX, network

NETWORKS = {name: value for name, value in ARCHITECTURES.items() if name != "fpn"}
NETWORKS["fpn of few blocks"] = FPN(blocks35=1, blocks17=1)


def test_names_are_unique_and_defined_before_use() -> None:
    with pytest.raises(ValueError, match="layer 'a'"):
        Graph((Input("input"), Conv("a", ("b",), 4)))
    with pytest.raises(ValueError, match="a name twice"):
        Graph((Input("input"), Conv("input", ("input",), 4)))


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_keras_model(name: str) -> None:
    import math

    from nas.networks.keras_model import build_model

    graph = NETWORKS[name].graph()
    trained = build_model(graph).trainable_weights
    assert sum(math.prod(weights.shape) for weights in trained) == graph.parameters()


def profiled(graph: Graph, height: int, width: int) -> float:
    """What TensorFlow's profiler makes of the Keras model, as MACs."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    from nas.networks.keras_model import build_model

    model = build_model(graph)
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec([1, height, width, 3]))
    _, frozen = convert_to_constants.convert_variables_to_constants_v2_as_graph(concrete)
    profiler = tf.compat.v1.profiler
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(frozen, name="")
        options = profiler.ProfileOptionBuilder.float_operation()
        options = profiler.ProfileOptionBuilder(options).with_empty_output().build()
        counted = profiler.profile(imported, cmd="op", options=options)
    return float(counted.total_float_ops / 2)


@pytest.mark.parametrize("name", [*FIVE, *("-".join(kind) for kind in SIX)])
def test_macs_are_those_of_the_profiler(name: str) -> None:
    value = FIVE[name] if name in FIVE else network(*SIX[["-".join(k) for k in SIX].index(name)])
    graph = value.graph()
    height, width = graph.fits(40), graph.fits(56)
    # It counts the negation of PReLU's slopes, too: once a slope, whatever the picture's size.
    slopes = sum(row.parameters for row in graph.costs(height, width) if "prelu" in row.layer.name)
    assert profiled(graph, height, width) == graph.macs(height, width).profiler + 0.5 * slopes


def test_shapes_are_those_of_the_keras_model() -> None:
    import numpy as np

    from nas.networks.keras_model import build_model

    for upsampling in ("transpose-conv", "depth-to-space", "resize-bilinear"):
        network = UNet(upsampling, "prelu", (8, 12, 16), 2, 5, True)
        model = build_model(network.graph())
        model(np.zeros((1, 24, 32, 3), np.float32))
        for row in network.graph().costs(24, 32)[1:]:
            output = model.get_layer(row.layer.name).output
            assert output.shape[-1] == row.shape[2]
        assert model(np.zeros((1, 24, 32, 3), np.float32)).shape == (1, 24, 32, 3)


@pytest.mark.parametrize("name", FIVE)
def test_every_layers_shape_is_that_of_the_keras_layer(name: str) -> None:
    import tensorflow as tf
    import tf_keras as keras

    from nas.networks.keras_model import build_model

    graph = FIVE[name].graph()
    height, width = graph.fits(44), graph.fits(93)
    model = build_model(graph)
    rows = graph.costs(height, width)[1:]
    every = keras.Model(model.input, [model.get_layer(row.layer.name).output for row in rows])
    outputs = every(tf.zeros((1, height, width, 3)))
    for row, output in zip(rows, outputs, strict=True):
        assert output.shape == (1, *row.shape)


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

    with pytest.raises(ConfigError, match="can't subtract"):
        Subtract("s", ("a", "b")).shape([(4, 4, 3), (4, 4, 5)])
    with pytest.raises(ConfigError, match="c: 6x5 doesn't divide by 4"):
        Conv("c", ("a",), 8, stride=4).shape([(5, 6, 3)])
    with pytest.raises(ConfigError, match="c: 6x2 is too small for a window of 3x3"):
        Conv("c", ("a",), 8, padding="valid").shape([(2, 6, 3)])
    with pytest.raises(ConfigError, match="5x8 doesn't divide by 4"):
        SpaceToDepth("s", ("a",), 4).shape([(8, 5, 3)])
    with pytest.raises(ConfigError, match="is larger than 4x4 already"):
        ZeroPad("z", ("a", "b"), 2).shape([(5, 3, 9), (8, 8, 3)])


def test_shapes_that_depend_on_another_layer() -> None:
    assert ZeroPad("z", ("a", "b"), 4).shape([(3, 5, 9), (13, 21, 3)]) == (4, 6, 9)
    assert ResizeNearest("z", ("a", "b"), 2).shape([(3, 5, 9), (13, 21, 3)]) == (7, 11, 9)


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
    assert ARCHITECTURES["sgn"].graph().reference == (8, 8)
    assert ARCHITECTURES["fpn"].graph().reference == (720, 1280)


def test_layers_in_words() -> None:
    assert layer_kind(Conv("c", ("a",), 8, (1, 7))) == "Conv 1x7"
    strided = Conv("c", ("a",), 8, 3, "relu", stride=2, padding="valid")
    assert layer_kind(strided) == "Conv 3x3 stride 2 valid + ReLU"
    assert layer_kind(TransposeConv("t", ("a",), 8, 4, 8)) == "TransposeConv 8x8 stride 4"
    assert layer_kind(MaxPool("p", ("a",))) == "MaxPool"
