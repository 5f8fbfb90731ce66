"""Optuna's study as a sampler sees it while candidates wait at rungs.

Optuna's samplers learn from completed trials alone, and of several objectives none takes a part of
them. Here a trial that was read early counts as completed, with what it is expected to come to; in
the storage it stays what it is.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.study.halving import Standing

RUNGS = "rungs"  # a trial's attribute: what its readings were, and what was known before

_OPEN = (TrialState.RUNNING, TrialState.PRUNED)


class ForeseenStudy(optuna.Study):
    """Optuna's study as samplers see it: `expected` has the expected values of read trials."""

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
        known = self._twins.get(trial.number)
        if known is None or known[0] is not trial or known[1].values != values:
            twin = copy.copy(trial)  # the same one while nothing changes: samplers look at that
            twin.state = TrialState.COMPLETE
            twin.values = list(values)
            known = self._twins[trial.number] = trial, twin
        return known[1]


def rungs_of(standing: Standing) -> dict[str, Any]:
    """The attribute of a trial that was read, as JSON types."""
    return {
        "known": dict(standing.known),
        "gains": [dict(gain) for gain in standing.gains],
        "group": standing.group,
        "spared": standing.spared,
    }


def standing_of(trial: FrozenTrial, final: Mapping[str, float] | None) -> Standing | None:
    """Where a trial stands; None where it was not read. `final`: its quality, if it has one."""
    kept = trial.user_attrs.get(RUNGS)
    if kept is None:
        return None
    out = trial.state.is_finished() and final is None
    return Standing(
        trial.number,
        kept["known"],
        tuple(kept["gains"]),
        kept["group"],
        final,
        kept["spared"],
        out,
        trial.state == TrialState.PRUNED,
    )
