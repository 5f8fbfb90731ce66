"""`EhviSampler` against other samplers, and its promises."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nas.sampling import EhviSampler, gaussian
from tests.helpers.toy_search import searched, toy, toy_hypervolume


def test_beats_random_search_and_tpe_by_a_margin() -> None:
    sampler = EhviSampler(seed=1, logarithmic=(1,), reference=(25.0, float(np.exp(13))))
    ours = toy_hypervolume(searched(sampler))
    theirs = toy_hypervolume(searched(optuna.samplers.TPESampler(seed=1)))
    random = toy_hypervolume(searched(optuna.samplers.RandomSampler(seed=1)))
    assert ours > 1.1 * random
    assert ours > 1.1 * theirs


def test_equal_seeds_draw_equal_candidates_whatever_the_instance_remembers() -> None:
    one = searched(EhviSampler(seed=3), trials=16)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for _ in range(16):
        study.sampler = EhviSampler(seed=3)  # as after a restart, before every trial
        gaussian.FITS.clear()
        study.optimize(toy, 1)
    # The first trial has no space to draw from yet: it is the independent sampler's.
    assert [t.params for t in study.trials] == [t.params for t in one.trials]
    other = searched(EhviSampler(seed=4), trials=16)
    assert [t.params for t in other.trials] != [t.params for t in one.trials]


def test_no_candidate_comes_twice_until_none_is_left() -> None:
    def small(trial: optuna.Trial) -> tuple[float, float]:
        a = trial.suggest_int("a", 0, 4)
        b = trial.suggest_categorical("b", ("x", "y", "z"))
        fixed = trial.suggest_categorical("one", ("only",))
        assert fixed == "only"
        return a - (b == "x"), a * a + 1.0

    study = searched(EhviSampler(seed=0, n_startup_trials=4), small, trials=15)
    assert len({(t.params["a"], t.params["b"]) for t in study.trials}) == 15
    study.optimize(small, 1)
    assert len(study.trials) == 16


def test_conditional_parameters_are_drawn() -> None:
    def conditional(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("deep", (True, False)):
            return trial.suggest_float("x", 0.1, 10.0, log=True)
        return 3.0 + trial.suggest_int("y", 0, 10)

    study = searched(EhviSampler(seed=0), conditional, 30, ("minimize",))
    assert study.best_value < 0.5
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_a_predictor_that_fails_is_named_once() -> None:
    def broken(parameters: Any) -> dict[int, float]:
        raise RuntimeError("another phone")

    with pytest.warns(UserWarning, match="predictor failed.*another phone") as told:
        searched(EhviSampler(seed=0, predictor=broken), trials=14)
    assert len(told) == 1


def test_where_no_surrogate_can_be_fitted_tpe_takes_over_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any) -> Any:
        raise gaussian.FitError("singular")

    monkeypatch.setattr(gaussian, "fit", broken)
    with pytest.warns(UserWarning, match=r"no surrogate can be fitted.*TPESampler") as told:
        study = searched(EhviSampler(seed=0), trials=14)
    assert len(told) == 1
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_too_many_objectives_name_another_sampler() -> None:
    study = optuna.create_study(directions=["minimize"] * 5, sampler=EhviSampler(seed=0))
    with pytest.raises(ValueError, match="1 to 4 objectives, but this study has 5; use"):
        study.ask().suggest_float("x", 0, 1)


def test_the_reference_point_may_be_told_by_the_trials() -> None:
    counts = []

    def point(trials: list[FrozenTrial]) -> list[float]:
        counts.append(len(trials))
        return [25.0, float(np.exp(13))]

    fixed = searched(EhviSampler(seed=1, reference=(25.0, float(np.exp(13)))), trials=13)
    told = searched(EhviSampler(seed=1, reference=point), trials=13)  # type: ignore[arg-type]
    assert counts == [11, 12, 13]  # with the one that is asked for
    assert [t.params for t in told.trials] == [t.params for t in fixed.trials]


def test_the_documents_program_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "sampler.md").read_text()
    program = next(p for p in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Ehvi" in p)
    assert len(program.splitlines()) <= 16
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "width" in done.stdout
