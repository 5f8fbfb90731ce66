"""Time each operation of a `.tflite` on this machine, by LiteRT's own profiler."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path

from nas.devices.host import profile_worker
from nas.devices.logs.profile import ProfileRow, read_profile
from nas.errors import DeviceStableError, DeviceTransientError
from nas.system.host_lock import measuring
from nas.tflite.file import Tensor, read_tflite
from nas.tflite.size import check_fixed

RUNS = 5
"""The inferences of which the fastest is the profile."""
_BYTES = {"float32": 4, "int32": 4, "int16": 2, "int8": 1, "uint8": 1}


def profile_on_host(
    artifact: Path, threads: int, runs: int = RUNS, timeout_seconds: float = 300.0
) -> tuple[ProfileRow, ...]:
    """Return the time of each operation, as they ran in the fastest of `runs` inferences.

    Other programs make an inference slower, never faster, so the fastest was disturbed least. A
    process of its own does it, while no work of ours runs. Rows inside XNNPACK have its names of
    operations; where it gets the network in pieces, some are means of several. Raises ConfigError
    where the file is no `.tflite` of a fixed size, DeviceStableError where LiteRT refuses it or has
    no profiler, DeviceTransientError after the time limit.
    """
    file = read_tflite(artifact)
    check_fixed(file, artifact)
    request = {
        "artifact": str(artifact.resolve()),
        "threads": threads,
        "runs": runs,
        "inputs": len(file.inputs),
        "outputs": len(file.outputs),
        "input_bytes": [_bytes(tensor) for tensor in file.inputs],
        "is_float": file.inputs[0].is_float,
    }
    command = [sys.executable, "-P", profile_worker.__file__, json.dumps(request)]
    try:
        with measuring():
            done = subprocess.run(
                command, capture_output=True, timeout=timeout_seconds, check=False, text=True
            )
    except subprocess.TimeoutExpired as error:
        raise DeviceTransientError(
            f"profiling {artifact} on host took over {timeout_seconds:g} s"
        ) from error
    texts = done.stdout.split(profile_worker.NEXT)
    profiles = [read_profile(text.splitlines()).rows for text in texts]
    if done.returncode != 0 or not all(profiles):
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise DeviceStableError(f"LiteRT can't profile {artifact} on host: {last}")
    return min(map(_one_by_one, profiles), key=lambda rows: sum(row.average_ms for row in rows))


def _one_by_one(rows: Iterable[ProfileRow]) -> tuple[ProfileRow, ...]:
    """Repeat a row of one inference that stands for several operations, each with their mean.

    XNNPACK counts operations anew in every piece of the network that it gets, and LiteRT takes
    equal kinds with equal numbers for one operation.
    """
    return tuple(chain.from_iterable(repeat(row, max(1, row.calls)) for row in rows))


def _bytes(tensor: Tensor) -> int:
    return math.prod(tensor.shape) * _BYTES.get(tensor.dtype, 1)
