"""What this machine computes: the outputs of LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from nas.devices.outputs import OutputRun, Progress, Size
from nas.system.environment import processor, versions
from nas.tflite.interpreter import Artifact, Float32


@final
@dataclass(frozen=True)
class HostOutputs:
    """This machine as a device that computes outputs."""

    spec: ClassVar[str] = "host"

    def check_outputs(self) -> None:
        """Do nothing: this machine always can."""

    def crop(self, size: Size) -> Size:
        """The artifact's own size."""
        return size

    def seconds_a_picture(self, artifact: Path) -> float | None:
        """Unknown, and soon."""
        return None

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        """Load an artifact; ConversionError where LiteRT refuses it."""
        loaded = Artifact(artifact, threads)

        def run(frames: Sequence[Float32], progress: Progress | None) -> Iterator[Float32]:
            for number, frame in enumerate(frames, 1):
                yield loaded.run(frame)
                if progress is not None:
                    progress(number)

        conditions = {"processor": processor(), "versions": versions(), "threads": threads}
        return OutputRun("measured", conditions, run)
