from pathlib import Path

import pytest

from nas.errors import ConfigError
from nas.tflite.expected_output import picture_size
from nas.tflite.file import Tensor, TfliteFile


def tensor(shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(0, "x", dtype, shape, None, constant=False)


def file(source: Tensor, target: Tensor) -> TfliteFile:
    return TfliteFile((), (source,), (target,))


def test_a_network_from_one_picture_to_one_has_its_size() -> None:
    network = file(tensor((1, 24, 32, 3), "int8"), tensor((1, 24, 32, 3), "int8"))
    assert picture_size(network, Path("a.tflite")) == (24, 32)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (tensor((1, 24, 32, 4)), tensor((1, 24, 32, 3)), "expected one input of shape .*32, 4"),
        (tensor((1, 24, 32, 3)), tensor((1, 10)), r"expected one output of shape .*\(1, 10\)"),
        (
            tensor((1, 24, 32, 3), "uint8"),
            tensor((1, 24, 32, 3)),
            "its input is uint8, not f",
        ),
        (tensor((1, 24, 32, 3)), tensor((1, 48, 64, 3)), "another size than its input"),
    ],
)
def test_other_networks_are_refused(source: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"a\.tflite: .*{message}"):
        picture_size(file(source, target), Path("a.tflite"))
