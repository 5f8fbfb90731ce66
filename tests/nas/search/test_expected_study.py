"""Trials at rungs as the storage keeps them, also in journals of earlier runs."""

import pytest
from optuna.trial import TrialState, create_trial

from nas.sampling.history import SUBSTITUTED
from nas.search.expected_study import READINGS, ForeseenStudy, readings_attribute, standing_of
from nas.study.halving import Standing
from tests.helpers.toy_search import searched

ATTRIBUTE = {
    "known": {"latency_ms[host]": 7.5},
    "gains": [{"psnr_db": 0.25}, {"psnr_db": 0.5}],
    "group": "float 0",
    "spared": True,
}


def test_names_in_storages_are_those_of_earlier_runs() -> None:
    assert (READINGS, SUBSTITUTED) == ("rungs", "stand_in")
    standing = Standing(0, {"latency_ms[host]": 7.5}, ({"psnr_db": 0.25}, {"psnr_db": 0.5}))
    assert readings_attribute(standing) == ATTRIBUTE | {"group": "", "spared": False}


@pytest.mark.parametrize(
    ("state", "out", "stopped"),
    [
        (TrialState.RUNNING, False, False),
        (TrialState.PRUNED, True, True),
        (TrialState.FAIL, True, False),
    ],
)
def test_a_standing_is_read_from_a_trials_attribute(
    state: TrialState, out: bool, stopped: bool
) -> None:
    trial = create_trial(state=state, user_attrs={"rungs": ATTRIBUTE})
    assert standing_of(trial, None) == Standing(
        trial.number,
        {"latency_ms[host]": 7.5},
        ({"psnr_db": 0.25}, {"psnr_db": 0.5}),
        "float 0",
        None,
        True,
        out,
        stopped,
    )
    assert standing_of(create_trial(state=state), None) is None


def test_expected_trials_count_as_complete_in_the_view_alone() -> None:
    study = searched(None, trials=2)  # type: ignore[arg-type]
    study.ask()
    view = ForeseenStudy(study.study_name, study._storage)
    view.expected = {2: [24.0, 10.0]}
    assert [t.state for t in view.get_trials()] == [TrialState.COMPLETE] * 3
    assert view.get_trials()[2].values == [24.0, 10.0]
    assert [t.state for t in study.get_trials()][2] == TrialState.RUNNING
    first, second = (view.get_trials(deepcopy=False)[2] for _ in range(2))
    assert first is second
