"""What is counted from a network's graph: MACs by two conventions, and parameters."""

from __future__ import annotations

from nas.networks.graph import Graph


def counts(graph: Graph, size: tuple[int, int]) -> dict[str, float]:
    """Return `gmacs_conv`, `gmacs_profiler` (10^9 at `size`, width and height) and `parameters`.

    Raises ConfigError where the network does not divide the size.
    """
    width, height = size
    macs = graph.macs(height, width)
    return {
        "gmacs_conv": macs.conv / 1e9,
        "gmacs_profiler": macs.profiler / 1e9,
        "parameters": graph.parameters(),
    }
