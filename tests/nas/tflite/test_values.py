from types import SimpleNamespace

import numpy as np
import pytest

from nas.tflite.values import MOST_VALUES, evaluated, sliced, type_of


def options(**values) -> SimpleNamespace:
    return SimpleNamespace(**values)


def masks(**values) -> SimpleNamespace:
    names = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")
    return SimpleNamespace(**{**dict.fromkeys(names, 0), **values})


SHAPE = np.array([1, 24, 32, 3], np.int32)
AXIS = np.array([0], np.int32)


@pytest.mark.parametrize(
    ("name", "how", "inputs", "expected"),
    [
        ("PACK", options(axis=0), [np.int32(2), np.int32(3)], [2, 3]),
        ("CONCATENATION", options(axis=0), [SHAPE[:1], SHAPE[2:]], [1, 32, 3]),
        ("GATHER", options(axis=0), [SHAPE, np.array([2, 1])], [32, 24]),
        ("MUL", None, [SHAPE, np.int32(2)], [2, 48, 64, 6]),
        ("DIV", None, [np.array([-7, 7], np.int32), np.array([2, 2], np.int32)], [-3, 3]),
        ("FLOOR_DIV", None, [np.array([-7, 7], np.int32), np.array([2, 2], np.int32)], [-4, 3]),
        ("REDUCE_PROD", options(keepDims=False), [SHAPE, AXIS], 1 * 24 * 32 * 3),
        ("SLICE", None, [SHAPE, np.array([1]), np.array([-1])], [24, 32, 3]),
        ("SELECT", None, [SHAPE > 4, SHAPE, np.zeros_like(SHAPE)], [0, 24, 32, 0]),
    ],
)
def test_operations_on_sizes_compute_as_the_runtime_does(name, how, inputs, expected) -> None:
    (output,) = evaluated(name, how, inputs)
    assert output.tolist() == expected


def test_what_can_not_be_computed_is_none() -> None:
    assert evaluated("CONV_2D", None, [SHAPE]) is None
    assert evaluated("MUL", None, [np.zeros(MOST_VALUES + 1), np.float32(2)]) is None
    assert evaluated("CONCATENATION", options(axis=3), [SHAPE, SHAPE]) is None


def test_a_strided_slice_cuts_by_its_masks() -> None:
    begin, end, stride = np.array([1]), np.array([3]), np.array([1])
    assert SHAPE[sliced(masks(), begin, end, stride, 1)].tolist() == [24, 32]
    assert SHAPE[sliced(masks(beginMask=1), begin, end, stride, 1)].tolist() == [1, 24, 32]
    assert SHAPE[sliced(masks(endMask=1), begin, end, stride, 1)].tolist() == [24, 32, 3]
    assert SHAPE[sliced(masks(shrinkAxisMask=1), begin, end, stride, 1)] == 24
    with pytest.raises(IndexError, match="more indices than dimensions"):
        sliced(masks(), *[np.array([0, 0])] * 3, 1)


def test_types_have_the_formats_numbers() -> None:
    assert type_of(np.zeros(1, np.float32)) == 0
    assert type_of(SHAPE) == 2
    with pytest.raises(KeyError, match="complex64"):
        type_of(np.zeros(1, np.complex64))
