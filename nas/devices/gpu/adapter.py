"""What the driver behind `gpu` is called, and whether it computes fp16: found out by a run.

A driver without fp16 computes fp32, whatever is asked, and LiteRT does not say so.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.devices.gpu.driver import Driver
from nas.devices.gpu.execution import run_on_gpu
from nas.devices.graph_builder import GraphBuilder
from nas.errors import RunError
from nas.system.cache import cache_folder
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

_SECONDS = 60.0
_BETWEEN = np.float32(1 + 2**-12)
"""A number that fp32 holds exactly and fp16 rounds to 1."""


@final
@dataclass(frozen=True)
class Adapter:
    """A Vulkan driver as LiteRT sees it: its own name, and whether it computes fp16."""

    name: str
    fp16: bool


def adapter_of(driver: Driver) -> Adapter:
    """What a driver can do, asked once and kept in the user's cache; raises as `run_on_gpu`."""
    key = content_key([1, driver.identity()])
    path = cache_folder() / "gpu" / f"{key}.json"
    try:
        return Adapter(**read_json(path))
    except (RunError, TypeError):
        pass  # not known yet, or damaged
    with tempfile.TemporaryDirectory(prefix="nas-gpu-") as name:
        graph = GraphBuilder("float32", (1, 8, 8, 4))
        relu = graph.add("RELU", [graph.input], (1, 8, 8, 4))
        model = graph.write([relu], Path(name) / "relu.tflite")
        inputs: list[np.ndarray[Any, Any]] = [np.full((1, 8, 8, 4), _BETWEEN)]
        done = run_on_gpu(model, "gpu", "fp16", driver, _SECONDS, inputs)
    adapter = Adapter(done.adapter or driver.library, bool((done.outputs[0] != _BETWEEN).all()))
    write_json(path, asdict(adapter))
    return adapter
