"""Optuna's study as a sampler sees it while candidates wait at rungs.

Optuna's samplers learn from completed trials alone, and each of them needs a value for every
objective. Here a trial that was read early counts as completed, with its expected objectives; in
the storage it stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.study.halving import Standing

READINGS = "rungs"  # the attribute of a trial that keeps its readings and its early objectives

_OPEN = (TrialState.RUNNING, TrialState.PRUNED)


class ForeseenStudy(optuna.Study):
    """A study whose trials that were read early count as completed.

    `expected` holds the expected objectives of these trials, by number.
    """

    def __init__(self, study_name: str, storage: Any) -> None:
        super().__init__(study_name, storage)
        self.expected: Mapping[int, list[float]] = {}
        self._twins: dict[int, tuple[FrozenTrial, FrozenTrial]] = {}

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy=deepcopy, states=None, use_cache=use_cache)
        seen = [self._as_expected(trial) for trial in trials]
        return [trial for trial in seen if states is None or trial.state in states]

    def _as_expected(self, trial: FrozenTrial) -> FrozenTrial:
        if trial.state not in _OPEN or trial.number not in self.expected:
            return trial
        values = self.expected[trial.number]
        pair = self._twins.get(trial.number)
        if pair is None or pair[0] is not trial or pair[1].values != values:
            twin = copy.copy(
                trial
            )  # one object while nothing changes: samplers compare by identity
            twin.state = TrialState.COMPLETE
            twin.values = list(values)
            pair = self._twins[trial.number] = trial, twin
        return pair[1]


def readings_attribute(standing: Standing) -> dict[str, Any]:
    """Return the attribute that keeps the standing of a trial that was read, as JSON types."""
    return {
        "known": dict(standing.costs),
        "gains": [dict(gain) for gain in standing.gains],
        "group": standing.group,
        "spared": standing.spared,
    }


def standing_of(trial: FrozenTrial, final: Mapping[str, float] | None) -> Standing | None:
    """Return where a trial stands; None where it was not read.

    `final` is the quality at the end of its training, by metric; None where it has none.
    """
    attribute = trial.user_attrs.get(READINGS)
    if attribute is None:
        return None
    out = trial.state.is_finished() and final is None
    return Standing(
        trial.number,
        attribute["known"],
        tuple(attribute["gains"]),
        attribute["group"],
        final,
        attribute["spared"],
        out,
        trial.state == TrialState.PRUNED,
    )
