"""What a network costs before it runs: MACs in both conventions, parameters, bytes of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric


@dataclass(frozen=True)
class Cost:
    """`gmacs_conv`, `gmacs_profiler` (10^9, at the deployment size) and `parameters`."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figures' names."""
        return ("gmacs_conv", "gmacs_profiler", "parameters")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """By closed formula from the architecture; ConfigError if the size doesn't divide."""
        width, height = subject.size
        graph = subject.candidate.architecture.graph()
        macs = graph.macs(height, width)
        at = f"{width}x{height}"
        return {
            "gmacs_conv": Metric(macs.conv / 1e9, "computed", "conv", conditions=at),
            "gmacs_profiler": Metric(macs.profiler / 1e9, "computed", "profiler", conditions=at),
            "parameters": Metric(graph.parameters(), "computed"),
        }

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "cost"}


@dataclass(frozen=True)
class FileSize:
    """`bytes` of the artifact that ships."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figure's name."""
        return ("bytes",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """As the file system tells."""
        if subject.artifact is None:
            raise ValueError("a size needs an artifact")
        return {"bytes": Metric(subject.artifact.stat().st_size, "measured")}

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "size"}
