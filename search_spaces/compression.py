"""The space of compressions: precisions and pruned shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import optuna

from nas.errors import ConfigError, unknown
from nas.networks.candidate import PRECISIONS, Compression, Precision


@dataclass(frozen=True)
class CompressionSpace:
    """The precisions and the pruned shares of the MACs to choose from."""

    precision: tuple[Precision, ...] = ("float",)
    pruned_share: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        for precision in self.precision:
            if precision not in PRECISIONS:
                raise unknown("precision", precision, PRECISIONS)
        for share in self.pruned_share:
            Compression(pruned_share=share)  # knows what is valid
        for name in ("precision", "pruned_share"):
            choices = getattr(self, name)
            if not choices:
                raise ConfigError(f"CompressionSpace.{name} is empty; give at least one")
            if len(set(choices)) != len(choices):
                raise ConfigError(f"CompressionSpace.{name}={choices}: a choice twice")

    def sample(self, trial: optuna.trial.BaseTrial) -> Compression:
        """Ask the trial for the parameters `precision` and `pruned_share`."""
        chosen = trial.suggest_categorical("precision", self.precision)
        share = trial.suggest_categorical("pruned_share", self.pruned_share)
        return Compression(cast("Precision", chosen), share)

    def to_parameters(self, compression: Compression) -> dict[str, Any]:
        """Return the parameters that `sample` turns into `compression`; ConfigError if none do."""
        if compression.precision not in self.precision:
            raise unknown("precision", compression.precision, self.precision)
        if compression.pruned_share not in self.pruned_share:
            raise ConfigError(
                f"pruned_share={compression.pruned_share} is not in the space, which has "
                f"{list(self.pruned_share)}"
            )
        return {
            "precision": compression.precision,
            "pruned_share": compression.pruned_share,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the space as JSON types."""
        return {"precision": list(self.precision), "pruned_share": list(self.pruned_share)}
