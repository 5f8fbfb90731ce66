"""Files that leave a size open, or store no shapes: read, fixed at a size, or refused."""

from pathlib import Path

import numpy as np
import pytest

from nas.devices.graph_builder import GraphBuilder
from nas.errors import ConfigError, ConversionError
from nas.tflite.file import parse_tflite
from nas.tflite.shapes import allocated
from nas.tflite.size import at_given_size, check_fixed, fixed_at, resized
from tests.helpers import foreign
from tests.helpers.open_files import changed, open_batch


def two_convolutions(path: Path) -> bytes:
    """From a picture 1x16x24x3 to a picture, with one convolution of stride 2 between."""
    made = GraphBuilder("float32", (1, 16, 24, 3))
    kernels = [made.weights((8, 3, 3, 3)), made.weights((4, 3, 3, 8))]
    half = made.options("Conv2DOptions", strideH=2, strideW=2)
    inner = made.add("CONV_2D", [made.input, kernels[0], made.bias(8)], (1, 8, 12, 8), half)
    whole = made.options("Conv2DOptions")
    last = made.add("CONV_2D", [inner, kernels[1], made.bias(4)], (1, 8, 12, 4), whole)
    return made.write([last], path).read_bytes()


def without_inner_shapes(graph) -> None:
    given = set(map(int, graph.inputs))
    for operation in graph.operators:
        for index in map(int, operation.outputs):
            graph.tensors[index].shape = None
    for index in given:
        graph.tensors[index].shapeSignature = [-1, *list(graph.tensors[index].shape)[1:]]


def old_converters_open_size(graph) -> None:
    """Sides of 1 for whatever is open, and no signature, as before 2020."""
    for operation in graph.operators:
        for index in (*map(int, graph.inputs), *map(int, operation.outputs)):
            graph.tensors[index].shape = [1, 1, 1, int(graph.tensors[index].shape[3])]


@pytest.mark.parametrize("change", [without_inner_shapes, open_batch])
def test_what_is_not_stored_is_what_was(tmp_path, change):
    content = two_convolutions(tmp_path / "m.tflite")
    stored = parse_tflite(content, "stored")
    found = parse_tflite(changed(content, change), "given")
    assert found.inputs[0].shape == (1, 16, 24, 3)
    assert found.outputs[0].shape == (1, 8, 12, 4)
    assert found.conv_macs == stored.conv_macs == 8 * 12 * 9 * (8 * 3 + 4 * 8)
    assert found.structure_key == stored.structure_key
    assert found.size == (24, 16)
    check_fixed(found, "given")


def test_a_batch_that_inner_shapes_are_merged_with():
    """Stored as 1xC, with the batch open; 1536 rows of it are there where the batch is 1."""
    rows = foreign.converted(pixels_in_a_row, (None, 32, 48, 3))
    file = parse_tflite(rows, "rows")
    assert file.outputs[0].shape == (32 * 48, 5)


def pixels_in_a_row(x):
    import tensorflow as tf

    return tf.matmul(tf.reshape(x, (-1, 3)), np.ones((3, 5), np.float32))


def test_damage_is_still_damage(tmp_path):
    content = two_convolutions(tmp_path / "m.tflite")

    def no_weights(graph):
        without_inner_shapes(graph)
        graph.operators[0].inputs = graph.operators[0].inputs[:1]

    def flat_weights(graph):
        without_inner_shapes(graph)
        graph.tensors[int(graph.operators[0].inputs[1])].shape = [8, 27]

    for change in (no_weights, flat_weights):
        with pytest.raises(ConfigError, match=r"damaged.*operation 0 CONV_2D has no weights"):
            parse_tflite(changed(content, change), "given.tflite")


def test_a_file_that_litert_does_not_run_is_read_as_far_as_it_goes(tmp_path):
    content = two_convolutions(tmp_path / "m.tflite")

    def no_filter_for_these_channels(graph):
        open_batch(graph)
        graph.tensors[int(graph.inputs[0])].shape = [1, 16, 24, 4]

    given = changed(content, no_filter_for_these_channels)
    with pytest.raises(ConversionError, match="LiteRT refuses it: "):
        allocated(given)
    assert parse_tflite(given, "given").outputs[0].shape == (1, 8, 12, 4)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, None, None, 3), (1, 64, 80, 3)),
        ((None, None, None, 3), (1, 64, 80, 3)),
        ((1, 64, None, 3), (1, 64, 80, 3)),
    ],
)
def test_an_open_size_is_fixed_as_if_exported_there(shape, size):
    content = foreign.converted(foreign_transposed, shape)
    file = parse_tflite(content, "given")
    assert file.size is None
    with pytest.raises(ConfigError, match=r"given: its input is .*\?.*--size WIDTHxHEIGHT"):
        check_fixed(file, "given")
    made = fixed_at(content, (80, 64), "given")
    fixed = parse_tflite(made, "fixed")
    expected = parse_tflite(foreign.converted(foreign_transposed, size), "expected")
    assert fixed.structure_key == expected.structure_key  # nothing is computed of shapes any more
    np.testing.assert_allclose(
        foreign.outputs(made)[0],
        foreign.outputs(foreign.converted(foreign_transposed, size))[0],
        atol=1e-5,
    )
    assert resized(content, (80, 64), "given") == made


def foreign_transposed(x):
    """Up again to a size that is computed from the picture's."""
    import tensorflow as tf

    y = foreign.convolved(x, 8, 3, 2)
    shape = tf.shape(y)
    up = tf.nn.conv2d_transpose(
        y, foreign.random_kernel(2, 2, 4, 8), [shape[0], shape[1] * 2, shape[2] * 2, 4], 2
    )
    return foreign.convolved(tf.image.resize(up, tf.shape(x)[1:3]), 3)


def test_a_picture_of_one_pixel_is_an_open_size(tmp_path):
    content = changed(two_convolutions(tmp_path / "m.tflite"), old_converters_open_size)
    file = parse_tflite(content, "old")
    with pytest.raises(ConfigError, match=r"its input is 1x\?x\?x3"):
        check_fixed(file, "old")
    assert parse_tflite(fixed_at(content, (24, 16), "old"), "x").outputs[0].shape == (1, 8, 12, 4)


def test_sizes_that_can_not_be_given(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(foreign.converted(foreign_transposed, (1, 64, None, 3)))
    with (
        pytest.raises(ConfigError, match=r"1x64x-1x3 .*no room for a picture of 80x32"),
        at_given_size(path, (80, 32)),
    ):
        pass
    with pytest.raises(ConfigError, match="--size WIDTHxHEIGHT"), at_given_size(path, None):
        pass
    two_convolutions(path)
    with (
        pytest.raises(ConfigError, match=r"--size 80x32: .*input is 1x16x24x3; leave --size out"),
        at_given_size(path, (80, 32)),
    ):
        pass
    for size in (None, (24, 16)):
        with at_given_size(path, size) as same:
            assert same == path


def test_an_open_length_is_no_picture(tmp_path):
    content = foreign.converted(pixels_in_a_row, (None, None, 3))
    with pytest.raises(ConfigError, match=r"--size|no picture|fixed shape"):
        check_fixed(parse_tflite(content, "rows"), "rows")
