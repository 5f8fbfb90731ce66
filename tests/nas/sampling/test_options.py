"""Wrong options are refused before any trial, by name and value."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import optuna
import pytest

from nas.sampling import EhviSampler
from tests.helpers.sampler_contract import STARTUP, plain, quietly, studied

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("seed", -1, ValueError),
        ("seed", 1.5, TypeError),
        ("seed", "0", TypeError),
        ("seed", True, TypeError),
        ("seed", NAN, TypeError),
        ("seed", np.random.default_rng(0), TypeError),
        ("seed", [1, 2], TypeError),
        ("n_startup_trials", -1, ValueError),
        ("n_startup_trials", 10.0, TypeError),
        ("n_startup_trials", None, TypeError),
        ("n_startup_trials", NAN, TypeError),
        ("pool", 0, ValueError),
        ("pool", -5, ValueError),
        ("pool", INFINITE, TypeError),
        ("pool", "1000", TypeError),
        ("most_points", 7, ValueError),
        ("most_points", 1e2, TypeError),
        ("logarithmic", [-1], ValueError),
        ("logarithmic", [4], ValueError),
        ("logarithmic", [0, 5], ValueError),
        ("logarithmic", [1.0], TypeError),
        ("logarithmic", [True, False], TypeError),
        ("logarithmic", ["latency_ms"], TypeError),
        ("logarithmic", "latency_ms", TypeError),
        ("logarithmic", 1, TypeError),
        ("logarithmic", [None], TypeError),
        ("reference", [], ValueError),
        ("reference", [1.0] * 5, ValueError),
        ("reference", [0.0, NAN], ValueError),
        ("reference", [-INFINITE, 1], ValueError),
        ("reference", (10**400, 1), ValueError),
        ("reference", ["0", "1"], TypeError),
        ("reference", "01", TypeError),
        ("reference", b"01", TypeError),
        ("reference", [[0.0, 1.0]], TypeError),
        ("reference", np.zeros((2, 2)), TypeError),
        ("reference", {0: 1.0}, TypeError),
        ("reference", {0.0, 1.0}, TypeError),
        ("reference", [None, 1.0], TypeError),
        ("reference", [1j, 1.0], TypeError),
        ("reference", 3.0, TypeError),
        ("reference", np.array(3.0), TypeError),
        ("logarithmic", np.array(1), TypeError),
        ("predictor", {1: 2.0}, TypeError),
        ("predictor", 1.0, TypeError),
        ("look", {1: 2.0}, TypeError),
        ("looks", -1, ValueError),
        ("looks", 2.5, TypeError),
        ("look_threads", 0, ValueError),
        ("features", "macs", TypeError),
        ("earlier", [1, 2], TypeError),
        ("earlier", "trials", TypeError),
    ],
)
def test_refused_at_once(option: str, value: Any, kind: type[Exception]) -> None:
    said = f"^{option} is .*{re.escape(repr(value))}.*expected"
    with pytest.raises(kind, match=said) as told:
        EhviSampler(**{option: value})
    assert "\n" not in str(told.value).replace(repr(value), "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"reference": [0.0, 1.0, 2.0]},
            r"reference is \(0.0, 1.0, 2.0\), which has 3 values.*2 o",
        ),
        ({"reference": np.zeros(1)}, r"reference is \(0.0,\), which has 1 values.* 2 objectives"),
        ({"logarithmic": [2]}, r"logarithmic is \[2\], but this study has 2 objectives.*0 to 1"),
        (
            {"logarithmic": [1], "reference": [0.0, 0.0]},
            r"reference is \(0.0, 0.0\), but objective 1 is logarithmic: .*above 0 .*not 0.0",
        ),
    ],
)
@pytest.mark.parametrize("pruner", [None, optuna.pruners.HyperbandPruner()])
def test_what_only_the_study_tells_is_refused_at_the_first_suggestion(
    options: dict[str, Any], said: str, pruner: Any
) -> None:
    study = studied(EhviSampler(seed=0, **options), pruner=pruner)
    with pytest.raises(ValueError, match=said):
        quietly(study, plain, 12)
    assert len(study.trials) == 1
    assert study.trials[0].params == {}


@pytest.mark.parametrize(
    "options",
    [
        {"seed": None},
        {"seed": np.int64(7)},
        {"seed": 2**128},
        {"n_startup_trials": np.int32(0)},
        {"pool": 1},
        {"pool": 3, "most_points": 8},
        {"logarithmic": []},
        {"logarithmic": {1}},
        {"logarithmic": np.array([1])},
        {"logarithmic": range(2)},
        {"reference": np.array([0, 600])},
        {"reference": [np.float32(1), 600]},
        {"reference": iter([1, 600])},
        {"reference": lambda trials: np.array([0.0, 600.0])},
        {"logarithmic": [0], "reference": [1, -5.0]},
    ],
)
def test_right_ones_of_every_type_are_taken(options: dict[str, Any]) -> None:
    study = studied(EhviSampler(**{"seed": 0, "n_startup_trials": STARTUP, **options}))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        study.optimize(plain, 14)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 14


@pytest.mark.parametrize("told", [[1.0, 2.0, 3.0], [1.0], [NAN, 1.0], "ab", 5, [None, 1.0]])
def test_a_function_that_tells_no_reference_point_is_named(told: Any) -> None:
    study = studied(EhviSampler(seed=0, n_startup_trials=2, reference=lambda trials: told))
    said = f"^reference told {re.escape(repr(told))}, expected None or 2 finite numbers"
    with pytest.raises(ValueError, match=said):
        quietly(study, plain, 12)


def test_names_of_objectives_count_under_a_pruner_that_withholds_them() -> None:
    drawn = []
    for pruner in (None, optuna.pruners.HyperbandPruner(min_resource=1, max_resource=1)):
        study = studied(EhviSampler(seed=0, n_startup_trials=3), 1, pruner=pruner)
        with warnings.catch_warnings(action="ignore"):
            study.set_metric_names(["latency_ms"])
        quietly(study, lambda trial: float(2.0 ** plain(trial)[0]), 8)
        drawn.append([trial.params for trial in study.trials])
    assert drawn[0] == drawn[1]  # one bracket holds all trials
