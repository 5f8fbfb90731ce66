"""Other people's networks at another size, against what the converter writes for that size."""

import numpy as np
import pytest

from nas.errors import ConversionError
from nas.tflite.file import parse_tflite
from nas.tflite.size import resized
from tests.helpers import foreign

OLD, NEW = (32, 48), (64, 80)  # (height, width)


def picture(size, channels=3):
    return (1, *size, channels)


ALONE = [
    foreign.torch_pad,
    foreign.mirror_pad,
    foreign.padv2,
    foreign.cropped,
    foreign.sliced,
    foreign.focus,
    foreign.squeeze_excite,
    foreign.pooled_excite,
    foreign.dense_excite,
    foreign.attention,
    foreign.windows,
    foreign.rolled,
    foreign.simple_gate,
    foreign.halves,
    foreign.transposed,
    foreign.dilated,
    foreign.global_context,
    foreign.times_four,
    foreign.even_constant,
]


def compare(network, old, new, **how):
    """The file of `old` shapes made larger does what the converter's of `new` shapes does."""
    content = foreign.converted(network, *old, **how)
    made = resized(content, (NEW[1], NEW[0]), "given.tflite")
    expected = foreign.converted(network, *new, **how)
    ours, theirs = parse_tflite(made, "made"), parse_tflite(expected, "expected")
    assert sorted(t.shape for t in ours.inputs) == sorted(t.shape for t in theirs.inputs)
    assert ours.conv_macs == theirs.conv_macs
    for one, other in zip(foreign.outputs(made), foreign.outputs(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert resized(content, (OLD[1], OLD[0]), "given.tflite") == content


@pytest.mark.parametrize("network", ALONE, ids=lambda network: network.__name__)
def test_another_size_is_what_the_converter_makes(network):
    compare(network, [picture(OLD)], [picture(NEW)])


def test_weights_of_16_bits():
    compare(foreign.torch_pad, [picture(OLD)], [picture(NEW)], float16=True)


@pytest.mark.parametrize(
    ("network", "old", "new"),
    [
        (foreign.noise_map, picture(OLD, 1), picture(NEW, 1)),
        (foreign.noise_level, (1, 1, 1, 1), (1, 1, 1, 1)),
        (foreign.noise_product, (1, 1, 1, 1), (1, 1, 1, 1)),
        (foreign.noise_tiled, (1, 1, 1, 1), (1, 1, 1, 1)),
        (foreign.half_size_state, (1, 16, 24, 4), (1, 32, 40, 4)),
    ],
)
def test_a_second_input(network, old, new):
    compare(network, [picture(OLD), old], [picture(NEW), new])


@pytest.mark.parametrize("network", [foreign.video, foreign.conv_3d, foreign.frames_apart])
def test_frames_of_a_video(network):
    compare(network, [(1, 3, *OLD, 3)], [(1, 3, *NEW, 3)])


def test_channels_before_the_sides():
    compare(foreign.channels_first, [(1, 3, *OLD)], [(1, 3, *NEW)])


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (foreign.position_table, r"operation \d+ ADD .*constants of .*made for a picture of 48x32"),
        (foreign.classifier, r"operation \d+ FULLY_CONNECTED .*weights are for 192 values"),
        (foreign.whole_window, r"operation \d+ CONV_2D .*1x1x3x5 is one answer for the whole pic"),
        (foreign.wide_crop, r"operation \d+ STRIDED_SLICE .*cuts at 8 of 32 pixels, which may lie"),
        (foreign.thumbnail, r"operation \d+ RESIZE_BILINEAR .*48x32 into 44x20, a size of its own"),
    ],
)
def test_a_file_without_another_size_names_the_operation(network, why):
    content = foreign.converted(network, picture(OLD))
    with pytest.raises(ConversionError, match=why):
        resized(content, (NEW[1], NEW[0]), "given.tflite")
    assert resized(content, (OLD[1], OLD[0]), "given.tflite") == content
