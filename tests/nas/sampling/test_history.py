"""Trials read one by one against trials read at once."""

import moocore
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nas.sampling.history import History, SharedSpace
from nas.sampling.space import Encoding
from tests.helpers.toy_search import toy


@pytest.mark.parametrize("seed", [0, 1])
def test_trials_read_as_they_end_are_those_read_at_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    study = optuna.create_study(directions=["maximize", "minimize"])
    running: list[optuna.Trial] = []
    drawn = optuna.create_study(directions=["maximize", "minimize"])
    drawn.optimize(toy, 1)
    encoding = Encoding(SharedSpace().of(drawn.get_trials(deepcopy=False))[0])
    history = History(encoding, np.array([-1.0, 1.0]), None)
    for _ in range(40):
        trial = study.ask()
        toy(trial)
        running.append(trial)
        if len(running) > 5:
            done = running.pop(int(random.integers(len(running))))
            done.set_constraint("c", float(random.normal()))
            state = TrialState.FAIL if random.random() < 0.2 else TrialState.COMPLETE
            told = list(map(float, random.integers(0, 6, 2)))
            study.tell(done, told if state == TrialState.COMPLETE else None, state=state)
        trials = study.get_trials(deepcopy=False)
        grown = history.read(trials, -1)
        fresh = History(encoding, np.array([-1.0, 1.0]), None).read(trials, -1)
        for name in ("rows", "values", "feasible", "front", "running", "tried"):
            np.testing.assert_array_equal(getattr(grown, name), getattr(fresh, name), name)
        np.testing.assert_array_equal(grown.constraints.get("c", 0), fresh.constraints.get("c", 0))
        assert grown.seen == fresh.seen
        good = grown.values[grown.feasible] * [-1, 1]
        front = moocore.is_nondominated(good, keep_weakly=True) if len(good) else []
        np.testing.assert_array_equal(np.flatnonzero(grown.feasible)[front], grown.front)
    other = optuna.create_study(directions=["maximize", "minimize"])
    other.optimize(toy, 12)
    told = history.read(other.get_trials(deepcopy=False), -1)  # of another study: nothing is kept
    different = {tuple(sorted(t.params.items())) for t in other.get_trials(deepcopy=False)}
    assert len(told.rows) == 12
    assert len(told.seen) == len(different)
