"""Choices of compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import optuna

from nas.candidate import PRECISIONS, Compression, Precision
from nas.errors import ConfigError, unknown


@dataclass(frozen=True)
class CompressionSpace:
    """The precisions to choose from."""

    precision: tuple[Precision, ...] = ("float",)

    def __post_init__(self) -> None:
        for precision in self.precision:
            if precision not in PRECISIONS:
                raise unknown("precision", precision, PRECISIONS)
        if not self.precision:
            raise ConfigError("CompressionSpace.precision is empty; give at least one precision")

    def sample(self, trial: optuna.trial.BaseTrial) -> Compression:
        """Ask the trial for the parameter `precision`."""
        chosen = trial.suggest_categorical("precision", self.precision)
        return Compression(precision=cast("Precision", chosen))

    def to_parameters(self, compression: Compression) -> dict[str, Any]:
        """The parameters that `sample` turns into `compression`; ConfigError if none do."""
        if compression.precision not in self.precision:
            raise unknown("precision", compression.precision, self.precision)
        return {"precision": compression.precision}

    def to_dict(self) -> dict[str, Any]:
        """The space as JSON types."""
        return {"precision": list(self.precision)}
