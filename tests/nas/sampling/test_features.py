"""Features as columns: scaled by candidates at random, whatever somebody's function gives."""

import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution

from nas.sampling import EhviSampler
from nas.sampling.features import FeatureColumns
from nas.sampling.space import Encoding
from tests.helpers.toy_search import toy

SPACE = {"a": IntDistribution(0, 9), "b": CategoricalDistribution(("x", "y"))}


def test_columns_have_one_mean_and_deviation() -> None:
    encoding = Encoding(SPACE)
    columns = FeatureColumns(lambda p: {"log": math.log(1 + p["a"]), "one": 1.0}, encoding)
    rows = encoding.draw(np.random.default_rng(1), 500)
    found = columns(rows)
    assert found.shape == (500, 1)  # what is the same for all says nothing
    assert found.mean() == pytest.approx(0.5, abs=0.06)
    assert found.std() == pytest.approx(0.25, abs=0.06)
    order = np.argsort([encoding.parameters(row)["a"] for row in rows], kind="stable")
    assert (np.diff(found[order, 0]) >= 0).all()


def test_what_is_missing_or_not_finite_counts_as_the_mean() -> None:
    def features(parameters: dict[str, Any]) -> dict[str, float]:
        odd = {0: math.nan, 1: math.inf}.get(parameters["a"], float(parameters["a"]))
        return {"odd": odd} if parameters["a"] != 2 else {}

    encoding = Encoding(SPACE)
    columns = FeatureColumns(features, encoding)  # type: ignore[arg-type]
    found = columns(np.array([[0.0, 0], [1.0, 0], [2.0, 0], [9.0, 0], [3.0, 0]]))[:, 0]
    assert found[:3].tolist() == [0.5] * 3
    assert found[3] > 0.5 > found[4]


def test_no_feature_at_all_is_no_trouble() -> None:
    columns = FeatureColumns(lambda p: {}, Encoding(SPACE))
    assert columns(np.zeros((3, 2))).shape == (3, 0)


def test_features_that_fail_are_left_out_with_a_warning() -> None:
    def broken(parameters: dict[str, Any]) -> dict[str, float]:
        raise KeyError("width9")

    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=EhviSampler(seed=0, n_startup_trials=3, features=broken),  # type: ignore[arg-type]
    )
    with pytest.warns(UserWarning, match=r"the features failed \(KeyError\('width9'\)\)"):
        study.optimize(toy, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # once a study
        study.optimize(toy, 1)
    assert len(study.trials) == 6
