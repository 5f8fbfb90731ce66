"""Graphs whose channels hang together in many ways, and a choice of their groups."""

import numpy as np

from nas.networks.graph import (
    Add,
    Concat,
    Conv,
    DepthToSpace,
    Graph,
    Input,
    MaxPool,
    PReLU,
    ResizeBilinear,
    TransposeConv,
)
from tests.helpers.artifacts import FIVE, SIX, network
from tests.helpers.axes import MIXED


def tangled() -> Graph:
    """Everything at once: tied blocks, a concatenation that is shuffled, a skip used twice."""
    return Graph(
        (
            Input("input"),
            Conv("head", ("input",), 8, activation="relu"),
            Conv("one", ("head",), 8),
            PReLU("slope", ("one",)),
            Conv("two", ("slope",), 8),
            Add("block", ("two", "head")),
            MaxPool("pool", ("block",)),
            Conv("deep", ("pool",), 12, activation="relu"),
            Concat("both", ("deep", "pool")),
            DepthToSpace("shuffle", ("both",)),  # 20 channels: 3 groups of deep's, 2 of pool's
            Concat("more", ("shuffle", "block", "shuffle")),
            Conv("mix", ("more",), 12),
            TransposeConv("up", ("mix",), 6),
            MaxPool("down", ("up",)),
            ResizeBilinear("resize", ("down",)),
            MaxPool("back", ("resize",)),
            Concat("last", ("back", "mix")),
            Conv("output", ("last",), 3),
            Add("residual", ("output", "input")),
        )
    )


GRAPHS = [network(*kind, residual).graph() for kind in SIX for residual in (True, False)]
OTHERS = [value.graph() for value in (*FIVE.values(), *MIXED.values())]


def some_kept(groups, seed):
    rng = np.random.default_rng(seed)
    kept = groups.fixed | (rng.random(groups.count) < 0.7)
    for site in range(len(groups.sites)):  # a group is left of everything
        kept[np.flatnonzero(groups.site == site)[0]] = True
    return kept
