import pytest

from nas.errors import ConfigError
from nas.networks.graph import (
    Add,
    BranchedConv,
    Concat,
    Conv,
    DepthToSpace,
    DepthwiseConv,
    LeakyReLU,
    Macs,
    MaxPool,
    ReLU,
    ResizeNearest,
    SpaceToDepth,
    Subtract,
    TransposeConv,
    ZeroPad,
    layer_kind,
)
from nas.networks.layers import changed_in_format


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


def test_layers_in_words() -> None:
    assert layer_kind(Conv("c", ("a",), 8, (1, 7))) == "Conv 1x7"
    strided = Conv("c", ("a",), 8, 3, "relu", stride=2, padding="valid")
    assert layer_kind(strided) == "Conv 3x3 stride 2 valid + ReLU"
    assert layer_kind(TransposeConv("t", ("a",), 8, 4, 8)) == "TransposeConv 8x8 stride 4"
    assert layer_kind(MaxPool("p", ("a",))) == "MaxPool"
    assert layer_kind(DepthwiseConv("d", ("a",), 3, "relu6")) == "DepthwiseConv 3x3 + ReLU6"
    assert layer_kind(LeakyReLU("l", ("a",))) == "LeakyReLU 0.1"
    assert layer_kind(ReLU("r", ("a",), 6.0)) == "ReLU to 6"
    assert layer_kind(BranchedConv("b", ("a",), 8, 5)) == "BranchedConv 5x5"


def test_layers_that_work_on_each_channel_alone() -> None:
    layer = DepthwiseConv("d", ("a",), 5)
    assert layer.shape([(6, 4, 8)]) == (6, 4, 8)
    assert layer.macs([(6, 4, 8)]) == Macs(25 * 6 * 4 * 8, 25 * 6 * 4 * 8 + 6 * 4 * 8 / 2)
    assert layer.parameters([(6, 4, 8)]) == 26 * 8
    assert LeakyReLU("l", ("a",)).macs([(6, 4, 8)]) == Macs(0, 6 * 4 * 8 / 2)


def test_branches_cost_what_ships_but_for_their_parameters() -> None:
    wide, shape = BranchedConv("b", ("a",), 8, 3, "relu"), [(6, 4, 5)]
    assert wide.macs(shape) == wide.shipped.macs(shape)
    assert wide.shape(shape) == wide.shipped.shape(shape) == (6, 4, 8)
    assert wide.parameters(shape) == 9 * 40 + 40 + 5 * 16 + 9 * 16 * 8 + 8


def test_a_transposed_convolution_is_padded_only_where_its_kernel_is_larger_than_its_stride() -> (
    None
):
    up = TransposeConv("t", ("a",), 8)
    assert (up.padding, TransposeConv("t", ("a",), 8, 4, 4).padding) == ("valid", "valid")
    assert TransposeConv("t", ("a",), 8, 4, 8).padding == "same"
    changed = [changed_in_format(layer) for layer in (up, TransposeConv("t", ("a",), 8, 4, 8))]
    assert changed == [True, False]
    assert not changed_in_format(Conv("c", ("a",), 8, padding="valid"))
    fused = TransposeConv("t", ("a",), 8, 4, 8, activation="relu")
    assert [changed_in_format(fused, for_gpu) for for_gpu in (False, True)] == [False, True]
