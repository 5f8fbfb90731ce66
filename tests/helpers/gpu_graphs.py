"""Small `.tflite` files for tests of LiteRT's GPU, and the marks of tests that need a driver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.devices.gpu.driver import find_driver
from nas.devices.graph_builder import GraphBuilder
from nas.errors import NasError


def _complaint() -> str | None:
    try:
        find_driver()
    except NasError as error:
        return str(error)
    return None


COMPLAINT = _complaint()
needs_driver = pytest.mark.skipif(COMPLAINT is not None, reason=str(COMPLAINT))


def write_refused(path: Path, rows: int = 1) -> Path:
    """A padding of a kind that the GPU has not: the row or column at the edge, too, is mirrored."""
    graph = GraphBuilder("float32", (1, 8, 8, 4))
    by = np.array([[0, 0], [rows, rows], [0, 0], [0, 0]], np.int32)
    inputs = [graph.input, graph.constant(by)]
    shape = (1, 8 + 2 * rows, 8, 4)
    padded = graph.add("MIRROR_PAD", inputs, shape, graph.options("MirrorPadOptions", mode=1))
    return graph.write([padded], path)
