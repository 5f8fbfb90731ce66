"""Spaces with parameters that not every trial has."""

import numpy as np
import optuna

from nas.sampling import EhviSampler
from nas.sampling.history import SharedSpace
from nas.sampling.space import Encoding, Gate
from tests.helpers.toy_search import searched


def branched(trial: optuna.Trial) -> tuple[float, float]:
    """Two or three levels, each with a width: the third is a choice for three levels only."""
    levels = trial.suggest_categorical("levels", (2, 3))
    widths = [trial.suggest_categorical(f"width{i}", (8, 16, 24)) for i in range(levels)]
    return float(np.log(sum(widths))), float(sum(w * w for w in widths))


def test_parameters_that_another_one_decides_on_are_learned_too() -> None:
    study = searched(EhviSampler(seed=0, n_startup_trials=6), branched, 36)
    assert len({tuple(t.params.items()) for t in study.trials}) == 36  # 9 + 27: all there are
    space, gates = SharedSpace().of(study.get_trials(deepcopy=False))
    assert list(space) == ["levels", "width0", "width1", "width2"]
    assert gates == {"width2": Gate("levels", frozenset({0.0}))}  # of 2, the first choice
    encoding = Encoding(space, gates)
    rows = np.array([[0.0, 1.0, 2.0, 1.0], [1.0, 1.0, 2.0, 1.0]])
    assert encoding.features(rows)[:, 3].tolist() == [0.5, 0.5]  # the middle: absent, and 16
    mutants = encoding.mutants(np.random.default_rng(0), rows, 200)
    assert (mutants[mutants[:, 0] == 0, 3] == 0).all()
    assert len(np.unique(encoding.everything(), axis=0)) == 36
