import numpy as np
import pytest

from nas.errors import ConversionError, DataError
from nas.tflite.interpreter import Artifact
from tests.helpers.artifacts import artifact, network

CONV = network("resize-bilinear", "relu")


def test_runtime_errors_are_typed(tmp_path):
    with pytest.raises(ConversionError, match=r"LiteRT refuses .*absent"):
        Artifact(tmp_path / "absent.tflite")
    with pytest.raises(ConversionError, match="LiteRT refuses the artifact: "):
        Artifact(b"no model at all, but some bytes")
    loaded = Artifact(artifact(CONV, "float"))
    with pytest.raises(DataError, match=r"takes pictures of 32x32 .*shape \(16, 32, 3\) came"):
        loaded.restore(np.zeros((16, 32, 3), np.uint8))
    with pytest.raises(DataError, match="restores uint8 pictures, but float64 came"):
        loaded.restore(np.zeros((32, 32, 3)))
