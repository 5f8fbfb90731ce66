import pytest

from nas.errors import ConversionError
from nas.tflite.dims import GrowthStep, dim, fixed_dims, now, now_of, was, was_of


def step(**changes) -> GrowthStep:
    values = {
        "label": "operation 3 RELU ('y')",
        "name": "RELU",
        "options": None,
        "inputs": [(dim(1, 1), dim(24, 48), dim(32, 64), dim(3, 3))],
        "values": [None],
        "outputs": [(1, 24, 32, 3)],
        "old": (24, 32),
        "new": (48, 64),
    }
    return GrowthStep(**{**values, **changes})


def test_a_dimension_is_the_product_of_its_factors() -> None:
    blocks = ((24, 48), (2, 2))
    assert (was(blocks), now(blocks)) == (48, 96)
    assert was_of((dim(1, 1), blocks)) == (1, 48)
    assert now_of((dim(1, 1), blocks)) == (1, 96)
    assert now_of(fixed_dims((1, 7))) == was_of(fixed_dims((1, 7))) == (1, 7)


def test_a_step_changes_with_its_inputs() -> None:
    assert step().changed
    assert not step(inputs=[fixed_dims((1, 24, 32, 3))]).changed


def test_sides_in_proportion_are_whole_or_refused() -> None:
    assert step().scaled(12, dim(24, 48)) == 24
    with pytest.raises(ConversionError, match=r"RELU \('y'\): \[1, 24, 32, 3\] has no whole size"):
        step().scaled(5, dim(24, 36))


@pytest.mark.parametrize(
    ("sides", "expected"),
    [((24, 32), (48, 64)), ((12, 16), (24, 32)), ((48, 64), (96, 128)), ((10, 16), None)],
)
def test_a_part_is_the_picture_over_a_power_of_two(sides, expected) -> None:
    assert step().part(*sides) == expected


def test_an_odd_picture_has_parts_rounded_up() -> None:
    odd = step(old=(25, 33), new=(49, 65))
    assert odd.part(13, 17) == (25, 33)
    assert odd.part(1, 1) is None


def test_an_operation_without_a_rule_keeps_its_inputs_shape_or_is_refused() -> None:
    assert step().without_rule() == [step().inputs[0]]
    with pytest.raises(ConversionError, match="how its output grows with the picture is not known"):
        step(outputs=[(1, 24, 32, 5)]).without_rule()


def test_an_input_that_is_missing_or_computed_is_refused() -> None:
    with pytest.raises(ConversionError, match="its input 1 is missing"):
        step()[1]
    with pytest.raises(ConversionError, match="its sizes are computed while it runs"):
        step().constant(0)
