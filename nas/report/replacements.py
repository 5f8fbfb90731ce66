"""Tells what it would save to replace one choice of a network: an up-sampling, an activation, a
precision.

The choices are those that the run's own candidates made, and those that somebody suggests. What a
replacement costs is known from another trial of the run, from the models of the paper's phones,
from an NPU's compiler that was asked (`nas.report.npu_answers`), or from a fitted predictor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from nas.errors import NasError
from nas.networks.candidate import Architecture, Precision
from nas.networks.changes import Change, Suggest
from nas.report.report_data import latency_metrics
from nas.study.trial_result import TrialResult
from nas.tflite.operations import Operations, of_graph

ReadArchitecture = Callable[[dict[str, Any]], Architecture]

Answered = Callable[[str, Mapping[str, Any]], "Answer | None"]
"""Gives what a device, told as its spec, said of a candidate, told as JSON; None where nothing."""
_UNTOLD = (NasError, KeyError, TypeError, ValueError)  # of a network that can't be built or timed
FEWEST_PERCENT = 2.0  # a smaller saving is not worth a line


@dataclass(frozen=True)
class Answer:
    """What an NPU's compiler said of a candidate: a latency in ms, or why there is none."""

    latency_ms: float | None
    source: str
    about: str


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
    `quality_change` is its PSNR less the network's own, in dB. `refused` has the devices that said
    why they don't take it.
    """

    what: str
    before: str
    after: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    savings: tuple[Saving, ...]
    trial: int | None = None
    quality_change: float | None = None
    refused: tuple[tuple[str, str], ...] = ()

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
    return of_graph(read(dict(values)).graph(), size, precision_of(result.candidate))


def replacements(
    result: TrialResult,
    results: Sequence[TrialResult],
    devices: Sequence[str],
    size: tuple[int, int],
    read: ReadArchitecture,
    suggest: Suggest | None = None,
    answered: Answered = lambda device, candidate: None,
) -> list[Replacement]:
    """Return the replacements that save time on a device, the largest saving first."""
    by_candidate = {_key(other.candidate): other for other in results}
    networks = _Networks(size, read)
    timed = latency_metrics(result)
    found = []
    for one, candidate in variants(result, results, suggest):
        other = by_candidate.get(_key(candidate))
        savings, refused = [], []
        for device in (device for device in devices if device in timed):
            answer = answered(device, candidate)
            new = _from_trial(device, other) or _said(answer)
            new = new or _calculated(device, candidate, networks)
            if new is not None:
                milliseconds, source, about = new
                savings.append(Saving(device, timed[device].value, milliseconds, source, about))
            elif answer is not None:
                refused.append((device, answer.about))
        replaced = Replacement(
            one.what,
            one.before,
            one.after,
            *_differences(result.candidate, candidate, networks),
            tuple(savings),
            None if other is None else other.number,
            _quality_change(result, other),
            tuple(refused),
        )
        if replaced.best <= -FEWEST_PERCENT / 100:
            found.append(replaced)
    return sorted(found, key=lambda replaced: replaced.best)


def _said(answer: Answer | None) -> tuple[float, str, str] | None:
    if answer is None or answer.latency_ms is None:
        return None
    return answer.latency_ms, answer.source, answer.about


def _quality_change(result: TrialResult, other: TrialResult | None) -> float | None:
    if other is None or "psnr_db" not in other.metrics or "psnr_db" not in result.metrics:
        return None
    return other.value("psnr_db") - result.value("psnr_db")


def variants(
    result: TrialResult, results: Sequence[TrialResult], suggest: Suggest | None = None
) -> Iterator[tuple[Change, dict[str, Any]]]:
    """Yield each change of a trial's network, and the changed candidate as JSON, once each.

    The changes are those that some candidate of the family made otherwise, those that are
    suggested, and the run's other precisions.
    """
    own: Mapping[str, Any] = result.candidate
    network = own.get("architecture", {})
    seen = {_key(own)}
    changes = [*_of_the_run(network, results), *(suggest(network) if suggest else ())]
    pairs = [(one, {**own, "architecture": one.architecture}) for one in changes]
    precision = precision_of(own)
    for choice in dict.fromkeys(precision_of(other.candidate) for other in results):
        compression = {**own.get("compression", {}), "precision": choice}
        change = Change("precision", precision, choice, dict(network))
        pairs.append((change, {**own, "compression": compression}))
    for change, candidate in pairs:
        if _key(candidate) not in seen:
            seen.add(_key(candidate))
            yield change, candidate


def _of_the_run(network: Mapping[str, Any], results: Sequence[TrialResult]) -> Iterator[Change]:
    """Yield the changes that make a choice as some candidate of the family made it."""
    networks = [other.candidate.get("architecture", {}) for other in results]
    family = [other for other in networks if other.get("family") == network.get("family")]
    for name, value in network.items():
        if name == "family" or not isinstance(value, str):
            continue
        for choice in dict.fromkeys(other.get(name) for other in family):
            if isinstance(choice, str) and choice != value:
                yield Change(name, value, choice, {**network, name: choice})


def precision_of(candidate: Mapping[str, Any]) -> Precision:
    """Return the precision of a candidate that is given as JSON."""
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
    network = changed_network(candidate, read)
    return of_graph(network.graph(), size, precision_of(candidate))


def changed_network(candidate: Mapping[str, Any], read: ReadArchitecture) -> Architecture:
    """Return the network of a candidate that is given as JSON, pruned if it is.

    Raises ConfigError as `read`, and where so much can't be pruned.
    """
    from nas.compression.compress import expected_architecture

    share = candidate.get("compression", {}).get("pruned_share", 0.0)
    return expected_architecture(read(dict(candidate["architecture"])), share)


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
