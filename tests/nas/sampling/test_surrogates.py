"""What surrogates learn: constraints, running trials, predictors, constants, bad values."""

import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, create_trial

from nas.sampling import EhviSampler
from nas.sampling.data import Data
from nas.sampling.history import History
from nas.sampling.losses import Bend, Scale
from nas.sampling.space import Encoding
from tests.helpers.toy_search import searched, toy, toy_hypervolume


def test_what_is_bent_keeps_its_order_and_the_good_as_it_is() -> None:
    losses = np.sort(np.random.default_rng(0).normal(size=(50, 2)) * 9, axis=0)
    limit = np.array([1.0, -2.0])
    bent = Bend(limit, losses.min(axis=0))(losses)
    assert (np.diff(bent, axis=0) > 0).all()
    assert (bent[losses <= limit] == losses[losses <= limit]).all()
    assert (bent[losses > limit] < losses[losses > limit]).all()


def test_substituted_values_are_no_data() -> None:
    distributions = {"x": optuna.distributions.FloatDistribution(0, 1)}

    def told(x: float, quality: float, attributes: dict[str, Any]) -> FrozenTrial:
        return create_trial(
            params={"x": x}, distributions=distributions, values=[quality, x],  # type: ignore[arg-type]
            user_attrs=attributes,
        )  # fmt: skip

    study = optuna.create_study(directions=["maximize", "minimize"])
    with warnings.catch_warnings(action="ignore"):  # of Optuna, that it is experimental
        study.set_metric_names(["psnr_db", "latency"])
    study.add_trials([told(x, x, {}) for x in (0.1, 0.4, 0.7)])
    study.add_trial(told(0.5, -50.0, {"stand_in": ["psnr_db"]}))
    encoding = Encoding(distributions)
    signs = np.array([-1.0, 1.0])
    history = History(encoding, signs, study.metric_names)
    known = history.read(study.get_trials(deepcopy=False), -1)
    scale = Scale(signs, np.zeros(2, bool), known.values, np.isfinite(known.values))
    data = Data.of(encoding, known, scale)
    assert data.known.tolist() == [[True, True]] * 3 + [[False, True]]
    assert data.feasible.tolist() == [True, True, True, False]
    assert data.front.tolist() == [0, 1, 2]


def test_a_predictor_leaves_only_the_ratio_to_learn() -> None:
    def predict(parameters: dict[str, Any]) -> dict[int, float]:
        return {1: toy(optuna.trial.FixedTrial(parameters))[1] * 1.7}  # wrong by a constant

    plain = searched(EhviSampler(seed=2, logarithmic=(1,), n_startup_trials=4), trials=12)
    sampler = EhviSampler(seed=2, logarithmic=(1,), n_startup_trials=4, predictor=predict)  # type: ignore[arg-type]
    assert toy_hypervolume(searched(sampler, trials=12)) > toy_hypervolume(plain)


def test_constraints_are_learned() -> None:
    def bounded(trial: optuna.Trial) -> tuple[float, float]:
        quality, latency = toy(trial)
        trial.set_constraint("latency", float(np.log(latency / 3000)))
        return quality, latency

    def share(study: optuna.Study) -> float:
        return float(np.mean([max(t.constraints.values()) <= 0 for t in study.trials[10:]]))

    random = searched(optuna.samplers.RandomSampler(seed=0), bounded)
    ours = searched(EhviSampler(seed=0, logarithmic=(1,)), bounded)
    assert share(random) < 0.3
    assert share(ours) > 0.6


def test_running_trials_are_taken_into_account() -> None:
    study = searched(EhviSampler(seed=0, logarithmic=(1,)), trials=14)
    asked = [study.ask() for _ in range(6)]
    for trial in asked:
        toy(trial)  # draws, but tells nothing
    drawn = [tuple(t.params.values()) for t in asked]
    assert len(set(drawn)) == 6
    widths = np.array([[t.params[f"width{i}"] for i in range(3)] for t in asked])
    assert np.log(widths).sum(axis=1).std() > 0.5  # along the front, not six times its best place


@pytest.mark.parametrize("constant", [(True, False), (False, True), (True, True)])
def test_constant_objectives_are_no_trouble(constant: tuple[bool, bool]) -> None:
    def flat(trial: optuna.Trial) -> tuple[float, float]:
        quality, latency = toy(trial)
        return (30.0 if constant[0] else quality), (5.0 if constant[1] else latency)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = searched(EhviSampler(seed=0, logarithmic=(1,)), flat, trials=14)
    assert len({tuple(t.params.values()) for t in study.trials}) == 14


def test_a_reference_point_far_out_counts_as_one_that_is_near() -> None:
    far, further = (
        searched(EhviSampler(seed=1, reference=(-1e3, float(np.exp(at)))), trials=14)
        for at in (40, 80)
    )
    assert [trial.params for trial in far.trials] == [trial.params for trial in further.trials]
