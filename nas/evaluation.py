"""What an evaluator is: it looks at what was made of a candidate and returns named figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nas.candidate import Candidate
from nas.metrics import Metric

if TYPE_CHECKING:
    from nas.data import Dataset

Needs = Literal["architecture", "structure", "weights"]


@dataclass(frozen=True)
class Subject:
    """What an evaluator may look at.

    `artifact` is the `.tflite` at the deployment `size` (width, height): None for evaluators that
    need the architecture alone, untrained for those that need the structure, trained for those
    that need the weights. `cache` is a folder for what should not be measured twice.
    """

    candidate: Candidate
    size: tuple[int, int]
    artifact: Path | None
    dataset: Dataset
    devices: tuple[str, ...]
    cache: Path


class Evaluator(Protocol):
    """See `evaluators`: `Cost`, `Latency` and `Quality`.

    `needs` says when it runs: "architecture" before anything is built, "structure" on the untrained
    artifact before training, "weights" on the final one. Where the final artifact's structure
    differs from the untrained one's, "structure" evaluators run again.
    """

    @property
    def needs(self) -> Needs:
        """The earliest stage that has what it looks at."""
        ...

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the figures that `evaluate` returns for these devices."""
        ...

    def evaluate(self, subject: Subject) -> Mapping[str, Metric]:
        """The figures; raises a NasError where there can be none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types, for a study's fingerprint."""
        ...
