"""Which candidates a study's limits on MACs and parameters rule out, before any becomes a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, final

from nas.compression.compress import expected_architecture
from nas.networks.counts import counts
from nas.predictor.for_sampler import PartialTrial
from nas.study.objectives import Constraint
from nas.study.study import Study

_COUNTED = ("gmacs_conv", "gmacs_profiler", "parameters")
_PRUNED_TOLERANCE = 0.05
"""How far a pruned network may be beyond a limit: its true widths are known after its training."""


@final
@dataclass(frozen=True)
class CountedLimits:
    """Tells of a trial's parameters whether the study's limits on counted figures allow them."""

    study: Study
    limits: tuple[Constraint, ...]

    @classmethod
    def of(cls, study: Study) -> CountedLimits | None:
        """Return a study's; None where it limits nothing that is counted."""
        limits = tuple(one for one in study.parsed_constraints if one.metric in _COUNTED)
        return cls(study, limits) if limits else None

    def __call__(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether every limit is kept; raises what sampling and counting raise."""
        candidate = self.study.sample(cast("Any", PartialTrial(parameters)))
        share = candidate.compression.pruned_share
        network = expected_architecture(candidate.architecture, share)
        counted = counts(network.graph(), self.study.size)
        tolerance = _PRUNED_TOLERANCE if share else 0.0
        return all(limit.violation(counted[limit.metric]) <= tolerance for limit in self.limits)
