"""The first trials, before anything is learned."""

import optuna

from nas.sampling import EhviSampler
from tests.helpers.toy_search import searched


def test_first_trials_cover_every_pair_of_categories() -> None:
    def three(trial: optuna.Trial) -> float:
        one = trial.suggest_categorical("a", ("x", "y", "z"))
        two = trial.suggest_categorical("b", ("x", "y", "z"))
        return ord(one) - ord(two) + trial.suggest_float("c", 0, 1)

    study = searched(EhviSampler(seed=0, n_startup_trials=10), three, 10, ("minimize",))
    assert len({(t.params["a"], t.params["b"]) for t in study.trials}) == 9
