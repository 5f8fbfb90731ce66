"""A sampler's memory of the trials that it read and drew. Threads that share it take turns.

A sampler sees of a study what Optuna's own samplers see: a `Study`, or one of the stand-ins that
Optuna hands to samplers, which withhold much of it.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence, Set
from threading import RLock, get_ident
from typing import Any, final

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.sampling.earlier import EarlierValues
from nas.sampling.features import FeatureColumns, Features
from nas.sampling.history import History, SharedSpace, TrialTable
from nas.sampling.space import Encoding, Gate, level, same

Floats = npt.NDArray[np.float64]
Space = dict[str, BaseDistribution]
Key = tuple[str, int]
"""A study's name and a trial's number."""
_OPEN = 256  # trials, as many as ever run at once in one process
_Subject = tuple[list[StudyDirection], list[str] | None]


@final
class Reading:
    """The trials that a sampler read, and its draws. Every caller of a method holds `lock`."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._space = SharedSpace()
        self._kept: tuple[Encoding, dict[str, Gate], _Subject, History] | None = None
        self._columns: tuple[Encoding, FeatureColumns] | None = None
        self._predictions: tuple[Encoding, dict[bytes, list[float]]] | None = None
        self._drawn: OrderedDict[Key, tuple[int, dict[str, Any], Space]] = OrderedDict()
        self._independent: OrderedDict[Key, BaseSampler] = OrderedDict()

    def trials(self, study: Study) -> list[FrozenTrial]:
        """Return the study's trials as they are now; running ones are copies that do not change."""
        trials = list(study.get_trials(deepcopy=False))
        name = study.study_name
        for place, trial in enumerate(trials):
            if trial.state is TrialState.RUNNING:
                trials[place] = self._with_drawn(name, _still(trial))
        return trials

    def _with_drawn(self, study: str, trial: FrozenTrial) -> FrozenTrial:
        """Return a running trial with parameters that another thread drew and has not stored."""
        thread, values, space = self._drawn.get((study, trial.number), (get_ident(), {}, {}))
        if thread == get_ident():
            return trial  # what a thread has stored is what a sampler made anew would see
        theirs = [name for name in values if name in trial.params]
        if all(
            _equal(space[n], values[n], trial.distributions[n], trial.params[n]) for n in theirs
        ):
            trial.params = {**values, **trial.params}
            trial.distributions = {**space, **trial.distributions}
        return trial

    def space(self, trials: list[FrozenTrial], few: int) -> tuple[Space, dict[str, Gate]]:
        """Return the space that trials share, and a gate for each parameter that some lack."""
        space, gates = self._space.of(trials, few)
        return dict(space), dict(gates)  # some of Optuna's samplers take parameters out of it

    def known(
        self, study: Study, trials: list[FrozenTrial], number: int, space: Space, few: int
    ) -> tuple[Encoding, TrialTable] | None:
        """Return the encoding of a space and the table of its trials, read once while it is one.

        None where nothing of the space can be drawn. A parameter whose gate was taken out of the
        space is left out, too: nobody knows whether the trial will have it.
        """
        shared, gates = self._space.of(trials, few)
        fixed = _fixed(trials, number, shared.keys() - space.keys())
        gates = {n: g for n, g in gates.items() if n in space}
        space = {n: d for n, d in space.items() if n not in gates or gates[n].parameter in space}
        gates = {n: g for n, g in gates.items() if n in space}
        if not space:
            return None
        subject = (study.directions, metric_names(study))
        kept = self._kept
        if kept is None or kept[1:3] != (gates, subject) or not _of(kept[0], space, fixed):
            encoding = Encoding(space, gates, fixed)
            kept = (encoding, gates, subject, History(encoding, signs(study), subject[1]))
            self._kept = kept
        return kept[0], kept[3].read(trials, number)

    def columns(
        self, features: Features | None, earlier: Sequence[FrozenTrial], encoding: Encoding
    ) -> FeatureColumns:
        """Return the columns of features in an encoding, made once while it is one.

        They include what `earlier` trials let expect. Raises what `features` raises, and FitError.
        """
        if self._columns is None or self._columns[0] is not encoding:
            values = EarlierValues(earlier, encoding) if earlier else None
            self._columns = encoding, FeatureColumns(features, encoding, values)
        return self._columns[1]

    def predictions(self, encoding: Encoding) -> dict[bytes, list[float]]:
        """Return what was predicted of rows in an encoding, to be added to."""
        if self._predictions is None or self._predictions[0] is not encoding:
            self._predictions = encoding, {}
        return self._predictions[1]

    def drew(self, study: Study, number: int, values: Mapping[str, Any], space: Space) -> None:
        """Keep a trial's draw, which other threads must not draw as well."""
        there = {name: space[name] for name in values}
        _put(self._drawn, (study.study_name, number), (get_ident(), dict(values), there))

    def independent(
        self, study: Study, number: int, make: Callable[[], BaseSampler]
    ) -> BaseSampler:
        """Return the sampler that draws one trial's parameters independently, one after another."""
        key = (study.study_name, number)
        if key not in self._independent:
            _put(self._independent, key, make())
        return self._independent[key]

    def ended(self, study: Study, number: int) -> None:
        """Forget the draw for a trial."""
        self._drawn.pop((study.study_name, number), None)
        self._independent.pop((study.study_name, number), None)


def metric_names(study: Study) -> list[str] | None:
    """Return the names of a study's objectives; None where there are none, or no way to ask."""
    try:
        return study.metric_names
    except AttributeError:
        pass
    try:  # a HyperbandPruner's brackets withhold the names, but not the storage
        return Study(study.study_name, study._storage).metric_names
    except AttributeError:
        return None


def signs(study: Study) -> Floats:
    """Return the factors (k), 1 or -1, that turn a study's objectives into losses."""
    return np.array([-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions])


def _still(trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of a running trial, which its own thread may change at any time.

    A parameter counts once it has both its value and its distribution.
    """
    twin = copy.copy(trial)
    values, distributions = dict(trial.params), dict(trial.distributions)
    twin.params = {name: one for name, one in values.items() if name in distributions}
    twin.distributions = {name: distributions[name] for name in twin.params}
    twin.user_attrs, twin.system_attrs = dict(trial.user_attrs), dict(trial.system_attrs)
    twin.intermediate_values = dict(trial.intermediate_values)
    return twin


def _equal(one: BaseDistribution, value: Any, other: BaseDistribution, stored: Any) -> bool:
    return same(one, other) and level(one, value) == level(other, stored)


def _of(encoding: Encoding, space: Space, fixed: Mapping[str, float]) -> bool:
    """Return whether an encoding is that of a space with these fixed parameters."""
    if encoding.names != tuple(space) or encoding.fixed != fixed:
        return False
    return all(
        same(axis.distribution, space[n]) for n, axis in zip(space, encoding.axes, strict=True)
    )


def _fixed(trials: list[FrozenTrial], number: int, names: Set[str]) -> dict[str, float]:
    """Return the levels of parameters that another sampler draws, from the last trial with them.

    A sampler that fixes parameters takes them out of the space and tells nobody their values.
    """
    for trial in reversed(trials) if names else ():
        if trial.number != number and names <= trial.params.keys():
            return {name: level(trial.distributions[name], trial.params[name]) for name in names}
    return {}


def _put(kept: OrderedDict[Key, Any], key: Key, value: Any) -> None:
    kept[key] = value
    while len(kept) > _OPEN:
        kept.popitem(last=False)
