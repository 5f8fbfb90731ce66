import pytest

from nas.tflite.shapes import picture_axes


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 64, 96, 3), (1, 2)),
        ((1, -1, -1, 3), (1, 2)),
        ((1, 3, 64, 96), (2, 3)),
        ((1, 3, -1, -1), (2, 3)),
        ((1, 64, 96, 32), (1, 2)),
        ((1, 5, 64, 96, 3), (2, 3)),
        ((1, 5, 3, 64, 96), (3, 4)),
        ((1, 3, 5, 64, 96), (3, 4)),
        ((64, 96, 3), (0, 1)),
        ((1, 64, 96), (1, 2)),
        ((1, 10), None),
        ((), None),
    ],
)
def test_where_a_picture_has_its_sides(shape, axes):
    assert picture_axes(shape) == axes
