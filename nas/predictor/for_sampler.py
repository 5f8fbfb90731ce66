"""A predictor as samplers want it: a trial's parameters in, expected latencies out, quickly.

told = for_study(study)                     # None where no objective can be told
sampler = EhviSampler(predictor=told)
told = told.improved_by(parameters, values) # after trials; a new one
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
    """Stands in for an Optuna trial whose parameters are given.

    What is not given (a parameter that only some networks have, or that has one choice) is the
    middle one of its choices.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The given one, else the middle one."""
        if name in self._parameters:
            return self._parameters[name]
        return choices[len(choices) // 2]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """The given one, else the middle one."""
        return int(self._parameters.get(name, low + (high - low) // step // 2 * step))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The given one, else the middle."""
        return float(self._parameters.get(name, (low + high) / 2))


@final
@dataclass(frozen=True)
class StudyPredictor:
    """Expected latencies of a study's candidates, by the index of the objective.

    A pruned candidate counts as its whole network, made quicker by the share that is pruned: the
    sampler learns the rest. `predictors` by device.
    """

    study: Study
    size: tuple[int, int]
    predictors: Mapping[str, Predictor]
    objectives: Mapping[int, str]
    """The device of each objective that is a latency; empty for the worst ratio."""
    reference_ms: Mapping[str, float] = field(default_factory=dict)
    templates: Templates | None = field(default=None, repr=False, compare=False)

    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[int, float]:
        """Milliseconds (a ratio for the worst one) by objective, of a trial's parameters."""
        templates = self.templates or self._learn()
        left = 1 - self._share(parameters)
        return self._told(templates(parameters), left)

    def latency_ms(self, batch: Iterable[Mapping[str, Any]]) -> list[Mapping[int, float]]:
        """As a call, of several candidates."""
        return [self(parameters) for parameters in batch]

    def _learn(self) -> Templates:
        """Templates are made at the first call, and handed on to what is improved."""
        found = Templates.of(self._slow_terms, lambda trial: self.study.sample(trial))
        object.__setattr__(self, "templates", found)
        return found

    def _slow_terms(self, parameters: Mapping[str, Any]) -> tuple[Term, ...]:
        return self.terms(self._candidate(parameters))

    def _share(self, parameters: Mapping[str, Any]) -> float:
        compression = self.study.compression.sample(cast("Any", PartialTrial(parameters)))
        return compression.pruned_share

    def terms(self, candidate: Candidate) -> tuple[Term, ...]:
        """A candidate's operations, not pruned."""
        precision = candidate.compression.precision
        return terms_of_graph(candidate.architecture.graph(), self.size, precision)

    def improved_by(
        self, trials: Iterable[tuple[Mapping[str, Any], Mapping[str, float]]]
    ) -> StudyPredictor:
        """With measured trials: their parameters, and their metrics by name.

        Metrics that are no latency of a known device, and pruned candidates (whose widths training
        decides), are passed over. Costs milliseconds.
        """
        rows: dict[str, list[Measured]] = {device: [] for device in self.predictors}
        for parameters, metrics in trials:
            candidate = self._candidate(parameters)
            if candidate.compression.pruned_share:
                continue
            for device, found in rows.items():
                latency = metrics.get(f"latency_ms[{device}]")
                if latency is not None:
                    found.append(Measured(self.terms(candidate), latency))
        predictors = {
            device: one.improved_by(rows[device]) for device, one in self.predictors.items()
        }
        improved = _assembled(self.study, self.size, predictors, self.objectives)
        return replace(improved, templates=self.templates)

    def _candidate(self, parameters: Mapping[str, Any]) -> Candidate:
        return self.study.sample(cast("Any", PartialTrial(parameters)))

    def _told(self, terms: Sequence[Term], left: float) -> Mapping[int, float]:
        latencies = {name: one.latency_ms(terms) * left for name, one in self.predictors.items()}
        return {
            index: latencies[device]
            if device
            else max(latencies[name] / ms for name, ms in self.reference_ms.items())
            for index, device in self.objectives.items()
        }


def for_study(study: Study, size: tuple[int, int] | None = None) -> StudyPredictor | None:
    """What a sampler can be told of a study's latencies; None where that is nothing.

    Of each device that a fitted, current predictor exists for: of others, objectives are left to
    the sampler. Nothing is fitted here.
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
    told = {
        index: device
        for index, device in wanted.items()
        if device is not None and (device in predictors or (device == "" and whole))
    }
    if not told:
        return None
    return _assembled(study, size or study.size, predictors, told)


def _device(metric: str) -> str | None:
    """The device that a latency is of; empty for the worst ratio, None for everything else."""
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
    """Why there is no predictor of a device for a study, in a line; None where there is one."""
    try:
        load(identity_of(device, study))
    except NasError as error:
        return str(error)
    return None
