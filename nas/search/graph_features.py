"""What a candidate's graph tells before it is trained, for the sampler, in microseconds.

Logarithms (to base 2) of MACs, parameters, receptive field and narrowest width, and flags. They
are further inputs of the surrogate of quality; what they mean for it is learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Any, cast, final

from nas.networks.candidate import Candidate
from nas.predictor.for_sampler import PartialTrial
from nas.predictor.templates import Templates
from nas.predictor.terms import Term, terms_of_graph
from nas.study.study import Study


@final
@dataclass(frozen=True)
class GraphFeatures:
    """The features of a study's candidates by a trial's parameters."""

    study: Study
    templates: Templates | None = field(default=None, repr=False, compare=False)

    def __call__(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return the features by name; raises what sampling and counting raise."""
        templates = self.templates
        if templates is None:
            templates = Templates.of(self._terms, lambda trial: self.study.sample(trial))
            object.__setattr__(self, "templates", templates)
        compression = self.study.compression.sample(cast("Any", PartialTrial(parameters)))
        return of_terms(templates(parameters), 1 - compression.pruned_share)

    def _terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...]:
        candidate: Candidate = self.study.sample(cast("Any", PartialTrial(parameters)))
        precision = candidate.compression.precision
        return terms_of_graph(candidate.architecture.graph(), self.study.size, precision)


def of_terms(terms: Sequence[Term], left: float = 1.0) -> dict[str, float]:
    """Return the features of a network's operations, of whose MACs a share is `left`.

    Pruning narrows every layer by the root of that share. The receptive field is that of all
    convolutions one after another.
    """
    convolutions = [term for term in terms if term.macs]
    macs = sum(term.macs for term in convolutions)
    weights = sum(term.cin * term.cout * term.area + term.cout for term in convolutions)
    inner = [term.cout for term in convolutions[:-1]] or [1]
    height = max((term.given[0] for term in terms), default=1)
    reach = sum(
        (term.area**0.5 - 1) * height / term.given[0]
        for term in convolutions
        if term.op == "CONV_2D" and term.given[0] * term.given[1]
    )
    return {
        "log macs": log2(max(macs * left, 1.0)),
        "log parameters": log2(max(weights * left, 1.0)),
        "log field": log2(1.0 + reach),
        "log narrowest": log2(max(min(inner) * left**0.5, 1.0)),
        "prelu": float(any(term.op == "PRELU" for term in terms)),
        "integer": float(any(term.dtype != "float32" for term in terms)),
    }
