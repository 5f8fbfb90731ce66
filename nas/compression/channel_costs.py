"""Counts what a network costs with some of its channels, a thousand times a second.

The figures are those of `nas.compression.pruned_network.macs` of the narrowed graph, without
building it: pruning asks for them channel by channel, of networks of hundreds of layers.
"""

from __future__ import annotations

from typing import final

import numpy as np
import numpy.typing as npt

from nas.compression.channels import Bools, Groups

Floats = npt.NDArray[np.float64]


@final
class ChannelCosts:
    """MACs of a graph with some of its groups of channels, by the profiler's convention.

    They are counted at the graph's reference size. `counts` are the channels that remain of each
    layer's output, in the graph's order.
    """

    def __init__(self, groups: Groups) -> None:
        rows = groups.graph.costs(*groups.graph.counting_size)
        places = {row.layer.name: place for place, row in enumerate(rows)}
        shapes = {row.layer.name: row.shape for row in rows}
        work = [row.layer.work([shapes[name] for name in row.layer.inputs]) for row in rows[1:]]
        self._pair = np.array([0, *(part.pair for part in work)], np.float64)
        self._each = np.array([0, *(part.each + part.own for part in work)], np.float64)
        first = [places[row.layer.inputs[0]] if row.layer.inputs else 0 for row in rows]
        self._source = np.array(first, np.intp)
        # How often each group occurs among each layer's channels; a row a group.
        self._occurs = np.zeros((groups.count, len(rows)), np.int16)
        for name, place in places.items():
            np.add.at(self._occurs[:, place], groups.of[name], 1)

    def counts(self, kept: Bools) -> Floats:
        """Return the channel counts of a network with these groups."""
        counts: Floats = self._occurs[kept].sum(axis=0, dtype=np.int64).astype(np.float64)
        return counts

    def of(self, kept: Bools) -> float:
        """Return the MACs of a network with these groups."""
        return self.macs(self.counts(kept))

    def without(self, counts: Floats, group: int) -> Floats:
        """Return the channel counts after removing `group`."""
        fewer: Floats = counts - self._occurs[group]
        return fewer

    def macs(self, counts: Floats) -> float:
        """Return the MACs of one inference with these counts.

        All terms are multiples of a half, so the sum is exact.
        """
        pairs = self._pair * counts[self._source] * counts
        return float(pairs.sum() + (self._each * counts).sum())
