"""Tells what it would save to replace one choice of a network: an up-sampling, an activation, a
precision.

The choices are those that the run's own candidates made. What a replacement costs is known from
another trial of the run, from the models of the paper's phones, or from a fitted predictor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from nas.errors import NasError
from nas.networks.candidate import Architecture, Precision
from nas.report.report_data import latency_metrics
from nas.study.trial_result import TrialResult
from nas.tflite.operations import Operations, of_graph

ReadArchitecture = Callable[[dict[str, Any]], Architecture]
_UNTOLD = (NasError, KeyError, TypeError, ValueError)  # of a network that can't be built or timed
FEWEST_PERCENT = 2.0  # a smaller saving is not worth a line


@dataclass(frozen=True)
class Saving:
    """A replaced network's latency on one device beside the network's own, in ms.

    `source` is that of the less trusted of the two, `about` says where the new one is from.
    """

    device: str
    before_ms: float
    after_ms: float
    source: str
    about: str

    @property
    def change(self) -> float:
        """The relative change; negative where the replacement is faster."""
        return self.after_ms / self.before_ms - 1


@dataclass(frozen=True)
class Replacement:
    """One choice of a network that is replaced by another.

    `what` is the choice's name. `removed` and `added` are the operations by which the two networks
    differ. `trial` is the trial of the run that is the replaced network, None where none is;
    `quality_change` is its PSNR less the network's own, in dB.
    """

    what: str
    before: str
    after: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    savings: tuple[Saving, ...]
    trial: int | None = None
    quality_change: float | None = None

    @property
    def best(self) -> float:
        """The largest relative saving, as a negative number."""
        return min((one.change for one in self.savings), default=0.0)


def network_operations(
    result: TrialResult, size: tuple[int, int], read: ReadArchitecture
) -> Operations:
    """Return the operations of a trial's network, pruned if it is; raises ConfigError as `read`."""
    network = result.conditions.get("network")
    values = network if network else result.candidate["architecture"]
    return of_graph(read(dict(values)).graph(), size, _precision(result.candidate))


def replacements(
    result: TrialResult,
    results: Sequence[TrialResult],
    devices: Sequence[str],
    size: tuple[int, int],
    read: ReadArchitecture,
) -> list[Replacement]:
    """Return the replacements that save time on a device, the largest saving first."""
    by_candidate = {_key(other.candidate): other for other in results}
    networks = _Networks(size, read)
    timed = latency_metrics(result)
    found = []
    for what, before, after, candidate in _variants(result, results):
        other = by_candidate.get(_key(candidate))
        savings = []
        for device in devices:
            if device not in timed:
                continue
            new = _from_trial(device, other) or _calculated(device, candidate, networks)
            if new is not None:
                milliseconds, source, about = new
                savings.append(Saving(device, timed[device].value, milliseconds, source, about))
        removed, added = _differences(result.candidate, candidate, networks)
        change = None
        if other is not None and "psnr_db" in other.metrics and "psnr_db" in result.metrics:
            change = other.value("psnr_db") - result.value("psnr_db")
        number = None if other is None else other.number
        one = Replacement(what, before, after, removed, added, tuple(savings), number, change)
        if one.best <= -FEWEST_PERCENT / 100:
            found.append(one)
    return sorted(found, key=lambda one: one.best)


def _variants(
    result: TrialResult, results: Sequence[TrialResult]
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield each choice by name that some candidate of the family made otherwise."""
    own: Mapping[str, Any] = result.candidate
    network = own.get("architecture", {})
    family = network.get("family")
    for name, value in network.items():
        if name == "family" or not isinstance(value, str):
            continue
        others = dict.fromkeys(
            other.candidate.get("architecture", {}).get(name)
            for other in results
            if other.candidate.get("architecture", {}).get("family") == family
        )
        for choice in others:
            if isinstance(choice, str) and choice != value:
                yield name, value, choice, {**own, "architecture": {**network, name: choice}}
    precision = _precision(own)
    for choice in dict.fromkeys(_precision(other.candidate) for other in results):
        if choice != precision:
            compression = {**own.get("compression", {}), "precision": choice}
            yield "precision", precision, choice, {**own, "compression": compression}


def _precision(candidate: Mapping[str, Any]) -> Precision:
    precision: Precision = candidate.get("compression", {}).get("precision", "float")
    return precision


def _key(candidate: Mapping[str, Any]) -> str:
    return json.dumps(candidate, sort_keys=True)


def _from_trial(device: str, other: TrialResult | None) -> tuple[float, str, str] | None:
    metric = None if other is None else latency_metrics(other).get(device)
    if other is None or metric is None:
        return None
    return metric.value, metric.source, f"trial {other.number}"


@final
@dataclass(frozen=True)
class _Networks:
    """The operations of candidates, each found once: pruning one takes longer than timing it."""

    size: tuple[int, int]
    read: ReadArchitecture
    known: dict[str, Operations | None] = field(default_factory=dict)

    def operations(self, candidate: Mapping[str, Any]) -> Operations | None:
        """Return a candidate's operations; None where it can't be built."""
        key = _key(candidate)
        if key not in self.known:
            try:
                self.known[key] = _candidate_operations(candidate, self.size, self.read)
            except _UNTOLD:
                self.known[key] = None
        return self.known[key]


def _calculated(
    device: str, candidate: Mapping[str, Any], networks: _Networks
) -> tuple[float, str, str] | None:
    """Ask the paper's phone, or a fitted predictor; None where neither can tell."""
    operations = networks.operations(candidate)
    if operations is None:
        return None
    try:
        if device.startswith("paper:"):
            from nas.devices.paper_phones.device import tell

            figure = tell(device.removeprefix("paper:"), operations)
            if figure.latency_ms is None:
                return None
            return figure.latency_ms, figure.source, figure.about
        from nas.predictor.identity import newest_predictor
        from nas.predictor.terms import terms_of

        predictor = newest_predictor(device, networks.size)
        if predictor is None:
            return None
        latency = predictor.predict_terms(terms_of(operations)).latency_ms
        return latency, "predicted", "by the fitted predictor"
    except _UNTOLD:
        return None


def _candidate_operations(
    candidate: Mapping[str, Any], size: tuple[int, int], read: ReadArchitecture
) -> Operations:
    from nas.compression.compress import expected_architecture

    share = candidate.get("compression", {}).get("pruned_share", 0.0)
    network = expected_architecture(read(dict(candidate["architecture"])), share)
    return of_graph(network.graph(), size, _precision(candidate))


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], networks: _Networks
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds of operations that only the one and only the other network has."""
    own, other = networks.operations(before), networks.operations(after)
    if own is None or other is None:
        return (), ()
    removed, added = ([step.op for step in one.steps] for one in (own, other))
    return (
        tuple(dict.fromkeys(op for op in removed if op not in added)),
        tuple(dict.fromkeys(op for op in added if op not in removed)),
    )
