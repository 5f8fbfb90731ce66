"""Channels through graphs: the oracle is the whole network with the removed filters at 0."""

from dataclasses import dataclass

import numpy as np
import pytest

from nas.compression.channels import (
    filter_norms,
    group_channels,
    masks,
    narrowed,
    narrowed_weights,
    with_channels,
)
from nas.errors import ConfigError
from nas.networks.graph import (
    Graph,
    Input,
)
from tests.helpers.artifacts import FIVE, network
from tests.helpers.graphs import GRAPHS, OTHERS, some_kept, tangled


def built(graph, seed=0):
    from nas.networks.keras_model import build_model

    model = build_model(graph, seed)
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    for variable in model.non_trainable_variables:  # moving means and variances
        variable.assign(rng.uniform(0.3, 1.5, variable.shape))
    return model


def trainable(model):
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def weights_of(model, groups):
    return {n: model.get_layer(n).get_weights() for n in masks(groups, groups.all_kept())}


@pytest.mark.parametrize("graph", [*GRAPHS, tangled(), *OTHERS])
@pytest.mark.parametrize("seed", [0, 1])
def test_narrow_computes_what_the_masked_whole_does(graph, seed):
    groups = group_channels(graph)
    kept = some_kept(groups, seed)
    whole = built(graph, seed)
    weights = weights_of(whole, groups)
    narrow = built(narrowed(groups, kept))
    for name, arrays in narrowed_weights(groups, kept, weights).items():
        narrow.get_layer(name).set_weights(arrays)
    assert trainable(narrow) < trainable(whole)
    assert trainable(narrow) == narrowed(groups, kept).parameters()
    for name, rows in masks(groups, kept).items():
        whole.get_layer(name).set_weights(
            [array * row for array, row in zip(weights[name], rows, strict=True)]
        )
    sides = (graph.fits(8), graph.fits(12))
    picture = np.random.default_rng(seed).random((1, *sides, 3), np.float32)
    expected, found = whole(picture).numpy(), narrow(picture).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_what_is_tied_and_what_is_fixed():
    groups = group_channels(tangled())
    assert (groups.of["two"] == groups.of["head"]).all()
    assert (groups.of["block"] == groups.of["pool"]).all()
    assert groups.fixed[groups.of["output"]].all()
    assert (groups.of["output"] == groups.of["input"]).all()
    # both = deep (12), head's (8): channel c, c + 5, c + 10 and c + 15 make one of the shuffle's
    both = groups.of["both"]
    for channel in range(5):
        assert len({int(both[channel + 5 * block]) for block in range(4)}) == 1
    assert not groups.fixed[groups.of["up"]].any()
    assert len(set(groups.of["one"])) == 8  # its filters are tied to nothing


def test_what_is_tied_in_the_other_networks():
    edsr = group_channels(FIVE["edsr"].graph())
    assert (edsr.of["head"] == edsr.of["block2_conv2"]).all()
    assert (edsr.of["head"] == edsr.of["tail"]).all()
    dbpn = group_channels(FIVE["dbpn"].graph())
    assert (dbpn.of["down1_deconv"] == dbpn.of["head2"]).all()  # by the subtraction
    assert (dbpn.of["up1_conv"] == dbpn.of["down1_conv1"]).all()
    assert not set(dbpn.of["up1_conv"]) & set(dbpn.of["head2"])
    sgn = group_channels(FIVE["sgn"].graph())
    assert sgn.of["level2_shuffle"].reshape(16, 3).tolist() == [sgn.of["input"].tolist()] * 16
    assert sgn.fixed[sgn.of["level2_shuffle"]].all()
    assert (("level2_tail", 4),) in sgn.sites  # before depth-to-space
    fpn = group_channels(FIVE["fpn"].graph())
    assert (fpn.of["block35_1_up"] == fpn.of["mixed5b"]).all()
    assert (fpn.of["smooth1_norm"] == fpn.of["lateral0_pad"]).all()
    assert (fpn.of["lateral4"] == fpn.of["lateral3"]).all()
    assert fpn.fixed[fpn.of["output"]].all()


def test_sites_hold_groups_that_cost_the_same():
    groups = group_channels(network("depth-to-space", "relu").graph())
    assert (("down1_conv1", 4),) in groups.sites  # 4 filters, one channel after the shuffle
    assert (("down0_conv1", 1),) in groups.sites
    for site, producers in enumerate(groups.sites):
        for group in np.flatnonzero(groups.site == site):
            kept = groups.all_kept()
            kept[group] = False
            fewer, whole = groups.channels(kept), groups.channels(groups.all_kept())
            assert {n: whole[n] - fewer[n] for n in whole if whole[n] > fewer[n]} == dict(producers)


def test_masks_and_norms_follow_the_kernels_layout():
    graph = network("transpose-conv", "relu").graph()
    groups = group_channels(graph)
    model = built(graph)
    norms = filter_norms(groups, weights_of(model, groups), order=2)
    kernel = model.get_layer("up0_transpose").get_weights()[0]  # (k, k, out, in)
    expected = [np.sqrt((kernel[:, :, c].astype(float) ** 2).sum()) for c in range(4)]
    np.testing.assert_allclose(norms["up0_transpose"], expected)
    kernel = model.get_layer("down1_conv1").get_weights()[0]  # (k, k, in, out)
    ones = filter_norms(groups, weights_of(model, groups), order=1)["down1_conv1"]
    np.testing.assert_allclose(ones, [np.abs(kernel[..., c]).sum() for c in range(8)], rtol=1e-5)


def test_a_layer_that_pruning_does_not_know_is_named():
    @dataclass(frozen=True)
    class Mystery:
        name: str
        inputs: tuple[str, ...]

    graph = Graph((Input("input"), Mystery("odd_one", ("input",))))
    with pytest.raises(ConfigError, match=r"does not know the kind of layer 'odd_one' \(Mystery\)"):
        group_channels(graph)


def test_widths_of_layers_that_are_not_there():
    graph = network("transpose-conv", "relu").graph()
    with pytest.raises(ConfigError, match="no layer with filters is called 'nowhere'"):
        with_channels(graph, {"nowhere": 4})
    with pytest.raises(ConfigError, match="'down0_conv1': expected 1 filter at least, got 0"):
        with_channels(graph, {"down0_conv1": 0})
