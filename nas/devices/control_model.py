"""The control model: every phone runs this small network, so it shows the phone's own state."""

from __future__ import annotations

from pathlib import Path

from nas.system.cache import cache_folder

SIZE = 128
"""The side of the control model's picture."""
WIDTHS = (16, 16, 3)
"""The channels of its convolutions."""
_RELU = 1
"""The number of an operation's fused function in the format."""


def control_model() -> Path:
    """Return the control model's file, which is written once into the user's cache.

    Convolutions 3x3 with ReLU of 16, 16 and 3 channels on 128x128x3, float32, constant weights.
    """
    path = cache_folder() / "control-1.tflite"
    if not path.exists():
        _write(path)
    return path


def _write(path: Path) -> None:
    import numpy as np

    from nas.devices.graph_builder import GraphBuilder

    graph = GraphBuilder("float32", (1, SIZE, SIZE, 3))
    tensor = graph.input
    for width in WIDTHS:
        weights = np.full((width, 3, 3, graph.shape(tensor)[3]), 0.05, np.float32)
        options = graph.options("Conv2DOptions", fusedActivationFunction=_RELU)
        inputs = [tensor, graph.constant(weights), graph.bias(width)]
        tensor = graph.add("CONV_2D", inputs, (1, SIZE, SIZE, width), options)
    graph.write([tensor], path)
