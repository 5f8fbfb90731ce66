"""Costs of a network that need no run: MACs in both conventions, parameters, bytes of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nas.networks.counts import counts
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric


@dataclass(frozen=True)
class Cost:
    """Evaluates `gmacs_conv`, `gmacs_profiler` (10^9 at the deployment size) and `parameters`."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figures."""
        return ("gmacs_conv", "gmacs_profiler", "parameters")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Count from the architecture; raises ConfigError if the size doesn't divide."""
        counted = counts(subject.candidate.architecture.graph(), subject.size)
        at = "{}x{}".format(*subject.size)
        return {
            "gmacs_conv": Metric(counted["gmacs_conv"], "computed", "conv", conditions=at),
            "gmacs_profiler": Metric(
                counted["gmacs_profiler"], "computed", "profiler", conditions=at
            ),
            "parameters": Metric(counted["parameters"], "computed"),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "cost"}


@dataclass(frozen=True)
class FileSize:
    """Evaluates `bytes`, the size of the artifact that ships."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figure."""
        return ("bytes",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Read the artifact's size from the file system."""
        if subject.artifact is None:
            raise ValueError("a size needs an artifact")
        return {"bytes": Metric(subject.artifact.stat().st_size, "measured")}

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {"name": "size"}
