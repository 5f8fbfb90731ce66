"""Every sampler, the project's and Optuna's, in studies as other people write them."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna import pruners
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from nas.search.expected_study import ForeseenStudy
from tests.helpers.sampler_contract import (
    Make,
    check,
    every_sampler,
    every_sampler_but_nsga2,
    plain,
    quietly,
    studied,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
optuna.logging.set_verbosity(optuna.logging.ERROR)

PRUNERS: dict[str, Callable[[], pruners.BasePruner]] = {
    "nop": pruners.NopPruner,
    "median": lambda: pruners.MedianPruner(n_startup_trials=2),
    "percentile": lambda: pruners.PercentilePruner(25.0, n_startup_trials=2),
    "halving": pruners.SuccessiveHalvingPruner,
    "hyperband": lambda: pruners.HyperbandPruner(max_resource=5, reduction_factor=2),
    "hyperband, one bracket": lambda: pruners.HyperbandPruner(max_resource=1),
    "hyperband, auto": pruners.HyperbandPruner,
    "threshold": lambda: pruners.ThresholdPruner(lower=0.0),
    "patient": lambda: pruners.PatientPruner(pruners.MedianPruner(n_startup_trials=2), 1),
    "patient alone": lambda: pruners.PatientPruner(None, 1),
    "patient hyperband": lambda: pruners.PatientPruner(pruners.HyperbandPruner(), 1),
    "wilcoxon": lambda: pruners.WilcoxonPruner(n_startup_steps=2),
}


def stepped(trial: optuna.Trial) -> float:
    """One that reports on its way."""
    x = trial.suggest_float("x", 0, 1)
    depth = trial.suggest_categorical("depth", (1, 2, 4))
    for step in range(5):
        trial.report(x * depth - 0.3 * step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x * depth


@every_sampler
@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS.keys())
def test_pruners(make: Make, pruner: Callable[[], pruners.BasePruner]) -> None:
    study = studied(make(), 1, pruner=pruner(), study_name="stepped")
    study.set_metric_names(["latency_ms"])
    quietly(study, stepped, 10)
    quietly(study, stepped, 4, n_jobs=2)
    check(study, 14, None)
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(len(trial.params) == 2 for trial in study.trials)


CHOICES: dict[str, Callable[[], Any]] = {
    "lists": lambda: [[3, 3], [5, 5], [1, 3]],
    "dicts": lambda: [{"a": 1}, {"a": [2]}, {}],
    "nested": lambda: [[[1], {"b": [2, {"c": None}]}], [None], [[]]],
    "sets": lambda: [{1}, {2}, set()],
    "arrays": lambda: [np.array([1]), np.array([2]), np.array([3])],
    "numpy's numbers": lambda: [np.float32(1), np.float64("nan"), np.int64(3)],
    "an array": lambda: np.arange(3),
    "mixed": lambda: [1, "1", None, 1.5, (1,), [1], {"one": 1}],
    "a NaN": lambda: [1.0, float("nan"), 2.0],
    "NaN alone": lambda: [float("nan")],
    "infinite": lambda: [math.inf, -math.inf, 0.0],
    "equal": lambda: [True, 1, 1.0, 0],
    "functions": lambda: [print, len, int],
    "one list": lambda: [[1, 2]],
    "booleans and None": lambda: [True, False, None],
    "many": lambda: [[one] for one in range(1500)],
}


@every_sampler_but_nsga2
@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES.keys())
@pytest.mark.parametrize("decides", [False, True])
def test_choices_of_any_kind(make: Make, choices: Callable[[], Any], decides: bool) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        kind = trial.suggest_categorical("kind", choices())
        width = trial.suggest_int("width", 1, 8)
        if decides and str(kind) == str(next(iter(choices()))):
            width += trial.suggest_int("more", 0, 3)
        return len(str(kind)) + width, width**2

    study = studied(make())
    quietly(study, objective, 12)
    check(study, 12)


@every_sampler_but_nsga2
@pytest.mark.parametrize(
    ("storage", "kind"),
    [
        ("journal", "dicts"),
        ("journal", "nested"),
        ("journal", "a NaN"),
        ("journal", "booleans and None"),
        ("database", "lists"),
    ],
)
def test_choices_that_were_stored(make: Make, kind: str, storage: str, tmp_path: Path) -> None:
    def opened() -> Any:
        if storage == "database":
            return f"sqlite:///{tmp_path}/study.db"
        backend = JournalFileBackend(str(tmp_path / "journal"))
        return optuna.storages.JournalStorage(backend)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        chosen = trial.suggest_categorical("kind", CHOICES[kind]())
        return len(str(chosen)), trial.suggest_float("x", 0, 1)

    first = studied(make(), storage=opened(), study_name="s")
    quietly(first, objective, 7)
    again = optuna.load_study(study_name="s", storage=opened(), sampler=make())
    quietly(again, objective, 3)
    check(again, 10)
    optuna.copy_study(from_study_name="s", from_storage=opened(), to_storage=opened(),
                      to_study_name="t")  # fmt: skip
    copied = optuna.load_study(study_name="t", storage=opened(), sampler=first.sampler)
    quietly(copied, objective, 2)
    check(copied, 12)


RANGES: dict[str, Callable[[Any], float]] = {
    "one int": lambda t: t.suggest_int("a", 3, 3) + t.suggest_int("b", 0, 9),
    "one float": lambda t: t.suggest_float("a", 0.5, 0.5) + t.suggest_float("b", 0, 1),
    "one logarithm": lambda t: t.suggest_float("a", 2, 2, log=True) + t.suggest_int("b", 0, 9),
    "nothing to choose": lambda t: float(t.suggest_int("a", 1, 1)),
    "no parameter": lambda t: float(t.number),
    "steps of tenths": lambda t: t.suggest_float("a", 0, 0.3, step=0.1),
    "uneven steps": lambda t: t.suggest_int("a", 1, 12, step=5) + t.suggest_float("b", 0, 1),
    "wide": lambda t: t.suggest_float("a", 1e-300, 1e300, log=True) ** 0.01,
    "far": lambda t: t.suggest_int("a", -(2**40), 2**40) / 2**40,
    "changing": lambda t: t.suggest_int("a", 0, 1 + t.number % 3) + t.suggest_float("b", 0, 1),
    "grows": lambda t: sum(t.suggest_float(f"x{i}", 0, 1) for i in range(1 + t.number // 4)),
}


@every_sampler
@pytest.mark.parametrize("objective", RANGES.values(), ids=RANGES.keys())
def test_ranges(make: Make, objective: Callable[[Any], float]) -> None:
    study = studied(make(), 1)
    quietly(study, objective, 12)
    check(study, 12)


@every_sampler
def test_trials_that_somebody_else_gives(make: Make) -> None:
    study = studied(make())
    study.enqueue_trial({"kind": "b"})
    study.enqueue_trial({"kind": "b", "width": 24, "unknown": [1]})
    space = {"kind": CategoricalDistribution(("a", "b")), "width": IntDistribution(8, 64, step=8)}
    extra = {"width": 16, "more": 0.5}
    for state, values in ((TrialState.COMPLETE, [1.0, math.inf]), (TrialState.FAIL, None)):
        study.add_trial(create_trial(state=state, values=values))  # without any parameter
        study.add_trial(
            create_trial(
                state=state, values=values, params=extra,
                distributions={"width": space["width"], "more": FloatDistribution(0, 1)},
            )
        )  # fmt: skip
    for _ in range(6):
        trial = study.ask(fixed_distributions=space)
        study.tell(trial, plain(trial))
    quietly(study, plain, 6)
    study.enqueue_trial({"kind": "a"})
    quietly(study, plain, 4)
    check(study, 20, None)
    assert sum(t.state == TrialState.COMPLETE for t in study.trials) == 18
    assert study.trials[0].params["kind"] == "b"
    assert study.trials[1].params == {"kind": "b", "width": 24}
    assert study.trials[16].params["kind"] == "a"


def _unfinished(study: optuna.Study, how: str) -> TrialState:
    """Fifteen trials, none of which completes."""
    if how == "running":
        for trial in [study.ask() for _ in range(15)]:
            plain(trial)
        return TrialState.RUNNING
    if how == "asked":
        for _ in range(15):
            study.ask()
        return TrialState.RUNNING

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        plain(trial)
        raise {"failed": RuntimeError, "pruned": optuna.TrialPruned}[how]("nothing comes of it")

    quietly(study, objective, 15, catch=(RuntimeError,))
    return {"failed": TrialState.FAIL, "pruned": TrialState.PRUNED}[how]


@every_sampler
@pytest.mark.parametrize("how", ["running", "asked", "failed", "pruned"])
def test_nothing_completed_yet(make: Make, how: str) -> None:
    study = studied(make())
    state = _unfinished(study, how)
    check(study, 15, state)
    quietly(study, plain, 3)  # and then something does
    check(study, 18, None)
    assert [t.state for t in study.trials[15:]] == [TrialState.COMPLETE] * 3


@every_sampler
@pytest.mark.parametrize("values", [(1.0, 1.0), (math.inf, -math.inf), (1e300, -1e300), (0, 0)])
def test_values_that_say_nothing(make: Make, values: tuple[float, float]) -> None:
    study = studied(make())
    quietly(study, lambda trial: plain(trial) and values, 10)
    check(study, 10)


class Reticent(optuna.Study):
    """A stand-in as HyperbandPruner makes one: only what Optuna's own samplers ask is told."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("metric_names", "user_attrs", "system_attrs", "best_trials", "set_user_attr"):
            raise AttributeError(f"Reticent does not have attribute of '{name}'")
        return super().__getattribute__(name)


@every_sampler
@pytest.mark.parametrize("of", [Reticent, ForeseenStudy])
def test_stand_ins_of_a_study(make: Make, of: type[optuna.Study]) -> None:
    whole = studied(make(), study_name="whole")
    whole.set_metric_names(["psnr_db", "latency_ms"])
    stand_in = of("whole", whole._storage)
    stand_in.sampler = whole.sampler
    quietly(stand_in, plain, 10)
    check(whole, 10)


@every_sampler
@pytest.mark.parametrize("jobs", [1, 3])
def test_callbacks(make: Make, jobs: int) -> None:
    from optuna import terminator

    stagnant = terminator.Terminator(
        terminator.BestValueStagnationEvaluator(max_stagnation_trials=3),
        terminator.StaticErrorEvaluator(0), min_n_trials=6,
    )  # fmt: skip
    study = studied(make(), 1)
    stop = [terminator.TerminatorCallback(stagnant), optuna.study.MaxTrialsCallback(12)]
    quietly(study, lambda trial: plain(trial)[0], 20, n_jobs=jobs, callbacks=stop)
    assert 6 <= len(study.trials) < 20


@every_sampler
def test_copies_of_a_sampler_in_use_draw_on(make: Make) -> None:
    study = studied(make())
    quietly(study, plain, 6)
    for other in (copy.deepcopy(study.sampler), pickle.loads(pickle.dumps(study.sampler))):
        study.sampler = other
        quietly(study, plain, 3)
    study = pickle.loads(pickle.dumps(study))
    quietly(study, plain, 2)
    check(study, 14)
