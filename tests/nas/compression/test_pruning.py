import json

import numpy as np
import pytest

from nas.compression.channels import group_channels, narrowed
from nas.compression.pruned_network import PrunedNetwork, pruned_share
from nas.compression.pruning import (
    Pruning,
    PruningState,
    check_share,
    ladder,
    largest_share,
    prune_to,
    relative_norms,
    uniform_kept,
)
from nas.errors import ConfigError
from nas.networks.graph import Conv, PReLU, TransposeConv
from search_spaces import ARCHITECTURES, FPN, UNet, architecture_from_dict

SMALL = UNet("resize-bilinear", "prelu", (12, 16), 2, 3, True)


def random_weights(graph, seed=0):
    rng = np.random.default_rng(seed)
    channels = {row.layer.name: row.shape[2] for row in graph.costs(*[graph.smallest] * 2)}
    weights = {}
    for layer in graph.layers:
        match layer:
            case Conv():
                shape = (*layer.window, channels[layer.inputs[0]], layer.channels)
            case TransposeConv():
                shape = (layer.side, layer.side, layer.channels, channels[layer.inputs[0]])
            case PReLU():
                weights[layer.name] = [np.full((1, 1, channels[layer.name]), 0.25, np.float32)]
                continue
            case _:
                continue
        weights[layer.name] = [
            rng.normal(0, 1, shape).astype(np.float32),
            np.zeros(layer.channels, np.float32),
        ]
    return weights


class Still:
    """A network that is not trained; `hurts` tells what the loss of groups costs, in dB."""

    def __init__(self, weights, hurts=lambda kept: 0.0):
        self._weights, self._hurts = weights, hurts
        self.rounds = 0

    def weights(self):
        return self._weights

    def psnr_db(self, kept):
        return 30.0 - self._hurts(kept)

    def train(self, kept):
        self.rounds += 1


def pruned(architecture, share, settings=None, hurts=lambda kept: 0.0, weights=None):
    settings = settings or Pruning()
    groups = group_channels(architecture.graph())
    network = Still(weights or random_weights(architecture.graph()), hurts)
    state = prune_to(network, groups, PruningState.start(groups), share, settings)
    return groups, state, network


# GMAC at 1280x720 that the paper prints for its pruned networks, and what they round from.
PAPER = ((0.05, 243), (0.10, 230), (0.20, 205), (0.30, 179), (0.50, 128))


def test_the_papers_targets():
    base = ARCHITECTURES["unet-resizebilinear-relu"]
    groups = group_channels(base.graph())
    network, state = Still(random_weights(base.graph())), PruningState.start(groups)
    whole = base.graph().macs(720, 1280).profiler / 1e9
    for share, printed in PAPER:
        state = prune_to(network, groups, state, share, Pruning())
        found = narrowed(groups, state.kept).macs(720, 1280).profiler / 1e9
        assert whole * (1 - share) * 0.985 <= found <= whole * (1 - share)
        assert round(found) == printed
    least = min(groups.channels(state.kept)[name] for name in groups.channels(state.kept))
    assert least == 3  # the output's
    architecture = PrunedNetwork.of(base, groups.channels(state.kept))
    assert architecture.graph() == narrowed(groups, state.kept)
    assert architecture_from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


NETWORKS = {**ARCHITECTURES, "fpn": FPN(16, 1, 1, 64, 32)}  # of the paper's size: see below


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("method", ["adaptive", "uniform-l1"])
def test_every_network_stops_at_the_first_step_below(name, method):
    base = NETWORKS[name]
    groups = group_channels(base.graph())
    if method == "adaptive":
        settings = Pruning(round_share=0.1)
        kept = pruned(base, 0.3, settings)[1].kept
    else:
        kept = uniform_kept(groups, 0.3, Pruning(), random_weights(base.graph()))
    share = pruned_share(base.graph(), narrowed(groups, kept))
    assert 0.3 <= share < 0.3 + 0.7 * 0.015
    assert kept[groups.fixed].all()
    pruned_network = PrunedNetwork.of(base, groups.channels(kept))
    values = json.loads(json.dumps(pruned_network.to_dict()))
    assert architecture_from_dict(values) == pruned_network
    assert architecture_from_dict(values).graph() == narrowed(groups, kept)


@pytest.mark.slow
def test_the_largest_network():
    base = ARCHITECTURES["fpn"]
    groups = group_channels(base.graph())
    weights = random_weights(base.graph())
    state = prune_to(Still(weights), groups, PruningState.start(groups), 0.05, Pruning())
    share = pruned_share(base.graph(), narrowed(groups, state.kept))
    assert 0.05 <= share < 0.05 + 0.95 * 0.015


def test_the_threshold_is_weighed_by_cost():
    base = ARCHITECTURES["unet-resizebilinear-relu"]
    groups, state, _ = pruned(base, 0.3, Pruning(round_share=0.1))
    left = groups.channels(state.kept)
    assert left["up0_conv2"] / 32 < left["up2_conv2"] / 128 < left["down4_conv2"] / 128
    even, state, _ = pruned(base, 0.3, Pruning(round_share=0.1, cost_power=1e-9))
    left = even.channels(state.kept)
    assert abs(left["up0_conv2"] / 32 - left["down4_conv2"] / 128) < 0.1


def test_uniform_takes_the_same_share_of_every_layer_and_its_least_norms():
    base = ARCHITECTURES["unet-depthtospace-relu"]
    groups = group_channels(base.graph())
    weights = random_weights(base.graph())
    kept = uniform_kept(groups, 0.5, Pruning(), weights)
    left, whole = groups.channels(kept), groups.channels(groups.all_kept())
    shares = [left[name] / whole[name] for name in left if name != "output"]
    assert max(shares) - min(shares) <= 2 / 32
    norms = np.abs(weights["down2_conv2"][0]).sum((0, 1, 2))
    filters = kept[groups.of["down2_conv2"]]
    assert norms[filters].min() > norms[~filters].max()
    for name in ("down4_conv4", "up3_conv4", "up1_conv4"):  # before depth-to-space: fours
        assert left[name] % 4 == 0
        assert left[name] < whole[name]


def test_a_filter_that_copies_the_picture_has_a_norm_like_the_others():
    graph = UNet("resize-bilinear", "relu", (8, 16), 2, 3).graph()
    from nas.training.schedule import Schedule
    from nas.training.train import untrained

    model = untrained(graph, Schedule(steps=1, identity_start=True), seed=0)
    groups = group_channels(graph)
    weights = {n: model.get_layer(n).get_weights() for n in groups.channels(groups.all_kept())}
    copies = groups.of["down0_conv2"][:3]
    others = groups.of["down0_conv2"][3:]
    kept = groups.all_kept()
    by_mean = relative_norms(groups, kept, weights, order=1)
    assert by_mean[copies].max() < 0.3 * by_mean[others].min()  # the first to go
    by_l2 = relative_norms(groups, kept, weights)
    assert by_l2[copies].min() > 0.7 * by_l2[others].mean()


def test_a_layer_whose_step_hurts_is_spared():
    groups = group_channels(SMALL.graph())
    vital = groups.of["up0_conv1"]

    def hurts(kept):
        return 1.0 * (~kept[vital]).sum()

    free = pruned(SMALL, 0.4)[0].channels(pruned(SMALL, 0.4)[1].kept)
    _, state, _ = pruned(SMALL, 0.4, hurts=hurts)
    assert groups.channels(state.kept)["up0_conv1"] > free["up0_conv1"]
    careless = pruned(SMALL, 0.4, Pruning(undos=0), hurts)[1]
    assert groups.channels(careless.kept) == free
    where = [s for s, made in enumerate(groups.sites) if made == (("up0_conv1", 1),)]
    assert state.caution[where] > 1


def test_a_target_beyond_reach_tells_what_is_not():
    groups = group_channels(SMALL.graph())
    most = largest_share(groups, Pruning())
    with pytest.raises(ConfigError, match=rf"can't prune 95\.0%.*4 channels.*prune {most:.1%} at"):
        check_share(groups, 0.95, Pruning())
    state = pruned(SMALL, most)[1]
    assert set(groups.channels(state.kept).values()) == {3, 4}
    with pytest.raises(ConfigError, match="expected 0 or more and less than 1"):
        check_share(groups, 1.0, Pruning())


def test_the_way_to_a_target_leads_through_the_shallower_ones():
    assert ladder(0.05) == [0.05]
    assert ladder(0.3) == [0.1, 0.2, 0.3]
    assert ladder(0.35) == [0.1, 0.2, 0.3, 0.35]
    for share in (0.1, 0.7):
        assert ladder(share)[-1] == share


def test_settings_out_of_range():
    with pytest.raises(ConfigError, match=r"unknown pruning method 'l1'"):
        Pruning(method="l1")
    with pytest.raises(ConfigError, match=r"Pruning\.round_share=0: expected more than 0"):
        Pruning(round_share=0)
    with pytest.raises(ConfigError, match=r"Pruning\.undos=-1: expected 0 or more"):
        Pruning(undos=-1)


def test_pruned_networks_are_ordinary_values():
    value = PrunedNetwork.of(SMALL, {"up0_conv1": 5, "down0_conv1": 7})
    assert value.channels == (("down0_conv1", 7), ("up0_conv1", 5))
    assert value == architecture_from_dict(value.to_dict())
    assert value.label.startswith(f"{SMALL.label} pruned ")
    assert value.pruned_share == pytest.approx(
        1 - value.graph().macs(64, 64).profiler / SMALL.graph().macs(64, 64).profiler
    )
    shuffled = UNet("depth-to-space", "relu", (8, 16), 1, 3)
    with pytest.raises(ConfigError, match=r"can't be: up0_shuffle: 15 channels don't divide by 4"):
        PrunedNetwork.of(shuffled, {"down1_conv1": 15})
    with pytest.raises(ConfigError, match="has the entries 'base' and 'channels'"):
        architecture_from_dict({"family": "pruned"})
