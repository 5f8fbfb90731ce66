import numpy as np
import pytest

from nas.compression.channel_costs import ChannelCosts
from nas.compression.channels import group_channels, narrowed
from nas.compression.pruned_network import macs
from tests.helpers.graphs import GRAPHS, OTHERS, some_kept, tangled


@pytest.mark.parametrize("graph", [*GRAPHS, tangled(), *OTHERS])
def test_costs_of_channels_are_those_of_the_narrowed_graph(graph):
    groups = group_channels(graph)
    costs = ChannelCosts(groups)
    kept = some_kept(groups, seed=3)
    counts = costs.counts(kept)
    assert costs.macs(counts) == costs.of(kept) == macs(narrowed(groups, kept))
    spare = [int(g) for g in np.flatnonzero(kept & ~groups.fixed)]
    for group in spare[:: max(1, len(spare) // 5)]:
        fewer = kept.copy()
        fewer[group] = False
        if min(groups.channels(fewer).values()) > 0:
            assert costs.macs(costs.without(counts, group)) == macs(narrowed(groups, fewer))
