import json

import pytest

from nas.compression.channels import group_channels
from nas.compression.pruned_network import PrunedNetwork, macs, pruned_share
from nas.compression.pruning import Pruning, uniform_kept
from nas.errors import ConfigError
from search_spaces import UNet, architecture_from_dict

BASE = UNet("resize-bilinear", "relu", (8, 12), 1, 3, True)


def pruned(share: float) -> PrunedNetwork:
    groups = group_channels(BASE.graph())
    return PrunedNetwork.of(BASE, groups.channels(uniform_kept(groups, share, Pruning())))


def test_the_share_is_that_of_the_macs_at_every_size() -> None:
    network = pruned(0.3)
    assert 0.3 <= network.pruned_share < 0.4
    whole, narrow = (graph.macs(64, 96).profiler for graph in (BASE.graph(), network.graph()))
    assert network.pruned_share == pytest.approx(1 - narrow / whole)
    assert pruned_share(BASE.graph(), BASE.graph()) == 0
    assert macs(network.graph()) < macs(BASE.graph())


def test_json_and_back() -> None:
    network = pruned(0.2)
    values = json.loads(json.dumps(network.to_dict()))
    assert architecture_from_dict(values) == network
    assert network.label == f"{BASE.label} pruned {network.pruned_share:.1%}"


def test_json_that_is_no_pruned_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="has the entries 'base' and 'channels'"):
        architecture_from_dict({"family": "pruned", "base": BASE.to_dict()})


def test_widths_that_do_not_fit_together_are_refused() -> None:
    channels = dict(pruned(0.2).channels) | {"output": 2}
    with pytest.raises(ConfigError, match=r"a pruned unet-.* can't be: .*can't add"):
        PrunedNetwork.of(BASE, channels)
    with pytest.raises(ConfigError, match="no layer with filters is called 'nothing'"):
        PrunedNetwork(BASE, (("nothing", 2),))
