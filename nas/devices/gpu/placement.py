"""Which operations of a `.tflite` LiteRT's GPU takes, read from its log.

The log has a line for each kind of operation that is refused, with the reason, and how many
operations run where. Which of several operations of a refused kind are meant it does not say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from nas.devices.measurement import Placement
from nas.devices.placement import CPU
from nas.tflite.file import TfliteFile

GPU = "gpu"
_REFUSED = re.compile(
    r"Following operations are not supported by GPU delegate:\n((?:[A-Z0-9_]+: .*\n)+)"
)
_PART = re.compile(
    r"(\d+) operations? will run on the GPU, and the remaining (\d+) operations? will run on the"
)
_NONE = re.compile(r"No operations will run on the GPU, and all (\d+) operations? will run on the")


@final
@dataclass(frozen=True)
class Refusal:
    """A kind of operation that is left to the CPU, by TFLite's name, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@final
@dataclass(frozen=True)
class GpuPlacement:
    """Where a file's operations run: `on_gpu` of them on the GPU.

    The accelerator of an operation is None where the log does not tell it: an accepted one may be
    left to the CPU, too, as the GPU takes one piece of a network.
    """

    operations: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]
    on_gpu: int

    @property
    def whole(self) -> bool:
        """Whether the GPU takes the network as it is."""
        return self.on_gpu == len(self.operations)

    @property
    def summary(self) -> str:
        """How many run there, and what was refused for what reason, in words."""
        count = f"{self.on_gpu} of {len(self.operations)} operations on the GPU"
        if self.whole:
            return count
        return f"{count}; refused: {'; '.join(map(str, self.refusals))}"


def placement_in(log: str, file: TfliteFile, compiled: bool) -> GpuPlacement:
    """The placement that a log tells; `compiled` says whether the GPU alone took the file.

    ValueError where the log does not fit the file, or tells nothing of a refusal.
    """
    total = len(file.operations)
    refusals = tuple(
        Refusal(*line.split(": ", 1))
        for block in _REFUSED.findall(log)[:1]
        for line in block.splitlines()
    )
    part, none = _PART.search(log), _NONE.search(log)
    if compiled and not refusals and part is None and none is None:
        return GpuPlacement(_everywhere(file, GPU), (), total)
    if none is not None and int(none[1]) == total:
        return GpuPlacement(_everywhere(file, CPU), refusals, 0)
    if part is None or int(part[1]) + int(part[2]) != total:
        raise ValueError(
            f"LiteRT's log does not tell where the file's {total} operations run"
            + (f": {part[0]}" if part else "")
        )
    refused = {refusal.name for refusal in refusals}
    operations = tuple(
        Placement(step.index, step.name, CPU if step.name in refused else None)
        for step in file.operations
    )
    return GpuPlacement(operations, refusals, int(part[1]))


def _everywhere(file: TfliteFile, where: str) -> tuple[Placement, ...]:
    return tuple(Placement(step.index, step.name, where) for step in file.operations)
