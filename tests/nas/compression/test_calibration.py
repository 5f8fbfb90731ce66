from types import SimpleNamespace

import numpy as np
import pytest

from nas.compression.calibration import (
    checked_calibration,
    fill_biases,
    level_activations,
    mosaic,
    with_full_range,
)
from nas.data.image_quality import to_uint8
from nas.errors import DataError
from nas.networks.keras import keras
from nas.networks.keras_model import build_model
from search_spaces import EDSR, UNet


def numbered_pack(side):
    """Patches that tell which one they are: the step in the red channel, the number in green."""

    def batch(step, count, patch, seed):
        blurred = np.zeros((count, patch, patch, 3), np.uint8)
        blurred[..., 0] = step
        blurred[..., 1] = np.arange(count)[:, None, None] * 3
        blurred[..., 2] = np.arange(patch)  # tells left from right
        return blurred, None

    return SimpleNamespace(side=side, batch=batch)


def test_a_mosaic_lays_patches_beside_their_mirror_images():
    frame = mosaic(numbered_pack(8), 24, 40, index=5)
    assert frame.shape == (1, 24, 40, 3)
    assert frame.dtype == np.float32
    values = to_uint8(frame[0])
    assert set(values[..., 0].flat) == {5}
    assert set(values[..., 1].flat) == {0, 3, 6, 9, 12, 15}  # 2 rows of 3 blocks of 16x16
    assert list(values[0, :16, 2]) == [*range(8), *reversed(range(8))]


def test_a_mosaic_smaller_than_a_patch():
    assert mosaic(numbered_pack(64), 16, 24, index=0).shape == (1, 16, 24, 3)


def test_the_range_of_all_frames_becomes_0_to_1_by_two_numbers():
    frames = [np.full((1, 4, 4, 3), level, np.float32) for level in (0.3, 0.6)]
    changed = with_full_range(frames)
    assert [int((new != old).sum()) for new, old in zip(changed, frames, strict=True)] == [1, 1]
    assert (min(f.min() for f in changed), max(f.max() for f in changed)) == (0, 1)
    assert {float(f.max()) for f in frames} == {np.float32(0.3), np.float32(0.6)}  # left alone


def test_frames_are_checked_one_by_one():
    good = np.linspace(0, 1, 48, dtype=np.float64).reshape(1, 4, 4, 3)
    (frame,) = checked_calibration([good], 4, 4)
    assert frame.dtype == np.float32
    with pytest.raises(DataError, match=r"picture 1: expected an array of shape \(1, 4, 4, 3\)"):
        checked_calibration([good, good[:, :2]], 4, 4)
    with pytest.raises(DataError, match="all 2 calibration pictures are one constant value"):
        checked_calibration([np.full((1, 4, 4, 3), 0.5)] * 2, 4, 4)


def filled_model(network):
    model = build_model(network.graph())
    fill_biases(model)
    return model


def test_levelled_activations_stay_within_1_and_their_proportions():
    network, picture = EDSR(8, 10), np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    before, after = filled_model(network), filled_model(network)
    level_activations(network.graph(), after, picture)
    peaks = {}
    for layer in network.graph().layers:
        if layer.name.endswith(("conv1", "conv2", "tail", "output")):
            part = keras.Model(after.input, after.get_layer(layer.name).output)
            peaks[layer.name] = float(np.abs(part(picture)).max())
            pair = [model.get_layer(layer.name).get_weights() for model in (before, after)]
            (kernel, bias), (smaller, other) = pair
            factor = kernel.flat[0] / smaller.flat[0]
            assert factor >= 1
            assert np.allclose(kernel, factor * smaller, rtol=1e-5)
            assert np.allclose(bias, factor * other, rtol=1e-5)
    assert max(peaks.values()) == pytest.approx(1, rel=1e-4)
    assert np.abs(before(picture)).max() > 3


def test_activations_that_are_small_enough_stay_as_they_are():
    network = UNet("resize-bilinear", "relu", (4, 4), 1, 3, True)
    model = filled_model(network)
    for layer in model.layers:
        layer.set_weights([0.1 * weights for weights in layer.get_weights()])
    before = model.get_weights()
    level_activations(network.graph(), model, np.ones((1, 8, 8, 3), np.float32))
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
