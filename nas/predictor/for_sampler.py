"""A predictor as samplers call it: from a trial's parameters to expected latencies, quickly.

predictor = for_study(study)                  # None where no objective can be predicted
sampler = EhviSampler(predictor=predictor)
predictor = predictor.improved_by(trials)     # a new one, after trials
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, final

from nas.errors import NasError
from nas.networks.candidate import Candidate
from nas.predictor.identity import identity_of, load
from nas.predictor.predictor import Measured, Predictor
from nas.predictor.templates import Templates
from nas.predictor.terms import Term, terms_of_graph
from nas.study.objectives import WORST_RATIO
from nas.study.study import Study


@final
class PartialTrial:
    """Takes the place of an Optuna trial some of whose parameters are given.

    A parameter that is missing (only some networks have it, or it has one choice) gets the middle
    one of its choices.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return the given value, else the middle choice."""
        if name in self._parameters:
            return self._parameters[name]
        return choices[len(choices) // 2]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the given value, else the middle choice."""
        return int(self._parameters.get(name, low + (high - low) // step // 2 * step))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the given value, else the middle of the range."""
        return float(self._parameters.get(name, (low + high) / 2))


@final
@dataclass(frozen=True)
class StudyPredictor:
    """Expected latencies of a study's candidates, by the index of the objective.

    A pruned candidate counts as its whole network, made faster by the pruned share: the sampler
    learns the difference. `size` is (width, height); `predictors` are by device.
    """

    study: Study
    size: tuple[int, int]
    predictors: Mapping[str, Predictor]
    objectives: Mapping[int, str]
    """The device of each objective that is a latency; "" for the worst ratio."""
    reference_ms: Mapping[str, float] = field(default_factory=dict)
    templates: Templates | None = field(default=None, repr=False, compare=False)

    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[int, float]:
        """Return a trial's latencies in ms (the worst one: a ratio) by objective."""
        templates = self.templates or self._learn()
        left = 1 - self._share(parameters)
        return self._by_objective(templates(parameters), left)

    def latency_ms(self, batch: Iterable[Mapping[str, Any]]) -> list[Mapping[int, float]]:
        """Return for each candidate of `batch` what a call gives."""
        return [self(parameters) for parameters in batch]

    def _learn(self) -> Templates:
        """Make the templates, at the first call; predictors improved from this one share them."""
        templates = Templates.of(self._slow_terms, lambda trial: self.study.sample(trial))
        object.__setattr__(self, "templates", templates)
        return templates

    def _slow_terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...]:
        return self.terms(self._candidate(parameters))

    def _share(self, parameters: Mapping[str, Any]) -> float:
        compression = self.study.compression.sample(cast("Any", PartialTrial(parameters)))
        return compression.pruned_share

    def terms(self, candidate: Candidate) -> tuple[Term, ...]:
        """Return the operations of a candidate's whole network."""
        precision = candidate.compression.precision
        return terms_of_graph(candidate.architecture.graph(), self.size, precision)

    def improved_by(
        self, trials: Iterable[tuple[Mapping[str, Any], Mapping[str, float]]]
    ) -> StudyPredictor:
        """Return a predictor that also learned from measured trials.

        `trials` are pairs of a trial's parameters and its metrics by name.

        Metrics that are no latency of a known device, and pruned candidates (whose widths training
        decides), are passed over. Costs milliseconds.
        """
        rows: dict[str, list[Measured]] = {device: [] for device in self.predictors}
        for parameters, metrics in trials:
            candidate = self._candidate(parameters)
            if candidate.compression.pruned_share:
                continue
            for device, own in rows.items():
                latency = metrics.get(f"latency_ms[{device}]")
                if latency is not None:
                    own.append(Measured(self.terms(candidate), latency))
        predictors = {
            device: one.improved_by(rows[device]) for device, one in self.predictors.items()
        }
        improved = _assembled(self.study, self.size, predictors, self.objectives)
        return replace(improved, templates=self.templates)

    def _candidate(self, parameters: Mapping[str, Any]) -> Candidate:
        return self.study.sample(cast("Any", PartialTrial(parameters)))

    def _by_objective(self, terms: Sequence[Term], left: float) -> Mapping[int, float]:
        latencies = {name: one.latency_ms(terms) * left for name, one in self.predictors.items()}
        return {
            index: latencies[device]
            if device
            else max(latencies[name] / ms for name, ms in self.reference_ms.items())
            for index, device in self.objectives.items()
        }


def for_study(study: Study, size: tuple[int, int] | None = None) -> StudyPredictor | None:
    """Return the predictor of a study's latencies for its sampler; None where no device has one.

    It covers the devices that have a fitted, current predictor; the objectives of the others are
    left to the sampler. Nothing is fitted here. `size` is the study's by default.
    """
    wanted = {
        index: _device(objective.metric)
        for index, objective in enumerate(study.expanded_objectives)
        if _device(objective.metric) is not None
    }
    devices = set(study.devices) if "" in wanted.values() else {*wanted.values()}
    predictors = {}
    for device in sorted(one for one in devices if one):
        try:
            predictors[device] = load(identity_of(device, study, size))
        except NasError:
            continue  # none fitted, another build, a phone that is away: not told of
    whole = predictors.keys() >= set(study.devices)
    devices_by_objective = {
        index: device
        for index, device in wanted.items()
        if device is not None and (device in predictors or (device == "" and whole))
    }
    if not devices_by_objective:
        return None
    return _assembled(study, size or study.size, predictors, devices_by_objective)


def _device(metric: str) -> str | None:
    """Return the device of a latency metric; "" for the worst ratio, None for anything else."""
    if metric == WORST_RATIO:
        return ""
    name, bracket, rest = metric.partition("[")
    return rest.removesuffix("]") if name == "latency_ms" and bracket else None


def _assembled(
    study: Study,
    size: tuple[int, int],
    predictors: Mapping[str, Predictor],
    objectives: Mapping[int, str],
) -> StudyPredictor:
    plain = StudyPredictor(study, size, predictors, objectives)
    reference = study.reference_candidate
    if "" not in objectives.values() or reference is None:
        return plain
    terms = plain.terms(reference)
    left = 1 - reference.compression.pruned_share
    needed = {name: one.latency_ms(terms) * left for name, one in predictors.items()}
    return replace(plain, reference_ms=needed)


def usable(study: Study, device: str) -> str | None:
    """Return why a device has no predictor for a study, in one line; None where it has one."""
    try:
        load(identity_of(device, study))
    except NasError as error:
        return str(error)
    return None
