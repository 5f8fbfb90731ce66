from dataclasses import replace

import numpy as np
import pytest

from nas.networks.candidate import Architecture
from nas.networks.keras_model import build_model
from nas.training.identity_start import start_near_identity
from search_spaces import EDSR, FPN, RDN, SGN, UNet
from search_spaces.unet import ACTIVATIONS, UPSAMPLINGS
from tests.helpers.axes import AXES, MIXED


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_gentle_start_is_near_the_identity(
    upsampling: str, activation: str, residual: bool
) -> None:
    graph = UNet(upsampling, activation, (8, 12, 16), 2, 5, residual).graph()
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    model = build_model(graph, seed=1)
    far = np.abs(model(picture).numpy() - picture).mean()
    start_near_identity(graph, model)
    near = np.abs(model(picture).numpy() - picture).mean()
    assert near < 0.06
    assert near < far / 2


@pytest.mark.parametrize("network", [EDSR(8, 3), RDN(8, 4, 2, 2), SGN(8, 2, 2)])
def test_a_gentle_start_of_networks_without_poolings(network: Architecture) -> None:
    graph = network.graph()
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    model = build_model(graph, seed=1)
    far = np.abs(model(picture).numpy() - picture).mean()
    start_near_identity(graph, model)
    near = np.abs(model(picture).numpy() - picture).mean()
    assert near < 0.1
    assert near < far / 2


@pytest.mark.parametrize("name", AXES | MIXED)
def test_a_gentle_start_of_every_axis(name: str) -> None:
    network = replace((AXES | MIXED)[name], global_residual=False, widths=(52, 56))
    graph = network.training_graph()
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    model = build_model(graph, seed=1)
    far = np.abs(model(picture).numpy() - picture).mean()
    start_near_identity(graph, model)
    near = np.abs(model(picture).numpy() - picture).mean()
    assert near < 1e-5 < far


def test_several_copies_of_the_picture_are_no_stem() -> None:
    graph = SGN(16, 2, 2).graph()
    model = build_model(graph, seed=1)
    before = model.get_layer("level1_head").kernel.numpy()
    start_near_identity(graph, model)
    np.testing.assert_array_equal(model.get_layer("level1_head").kernel.numpy(), before)


def test_a_gentle_start_looks_behind_a_function_of_the_output() -> None:
    graph = FPN(stem=8, blocks35=0, blocks17=0, pyramid=4, head=4).graph()
    model = build_model(graph, seed=1)
    before = model.get_layer("output").kernel.numpy()
    start_near_identity(graph, model)
    np.testing.assert_allclose(model.get_layer("output").kernel.numpy(), before / 10, rtol=1e-6)
