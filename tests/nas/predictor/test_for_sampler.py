"""What samplers are told: quick, equal to the slow way, and of use in a plain Optuna study."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from nas.predictor.for_sampler import PartialTrial, for_study
from nas.sampling import EhviSampler
from nas.study.objectives import WORST_RATIO
from search_spaces import CompressionSpace, UNetSpace
from tests.helpers.sampled_study import fit_for, sampled_parameters
from tests.helpers.small_study import small_study
from tests.helpers.synthetic_device import network_ms


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return


def test_nothing_fitted_is_nothing_told() -> None:
    assert for_study(small_study()) is None


def test_a_candidate_gets_the_predictors_figure() -> None:
    study = small_study()
    predictor = fit_for(study)
    told = for_study(study)
    assert told is not None
    assert dict(told.objectives) == {1: "host"}
    for parameters in sampled_parameters(study, 20):
        candidate = study.sample(PartialTrial(parameters))
        graph, precision = candidate.architecture.graph(), candidate.compression.precision
        expected = predictor.predict(graph, study.size, precision).latency_ms
        assert told(parameters) == {1: pytest.approx(expected, rel=1e-9)}


def test_parameters_that_only_some_networks_have_may_be_missing() -> None:
    study = small_study()
    fit_for(study)
    told = for_study(study)
    assert told is not None
    whole = next(one for one in sampled_parameters(study, 50) if one["levels"] == 3)
    part = {name: value for name, value in whole.items() if name != "width_2"}
    middle = {**whole, "width_2": 8}
    assert told(part)[1] == pytest.approx(told(middle)[1])


def test_a_pruned_candidate_is_quicker() -> None:
    study = small_study(compression=CompressionSpace(("float",), (0.0, 0.5)))
    fit_for(study)
    told = for_study(study)
    assert told is not None
    parameters = sampled_parameters(study, 1)[0]
    whole, pruned = (told({**parameters, "pruned_share": share})[1] for share in (0.0, 0.5))
    assert pruned == pytest.approx(whole / 2)


def test_the_worst_ratio_is_told_where_all_devices_are_known() -> None:
    devices = ("paper:pixel-4", "paper:mate30-pro-5g")
    baseline = small_study().sample(PartialTrial({}))

    class Ratios:
        needs = "architecture"

        def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
            return ("psnr_db", WORST_RATIO)

        def to_dict(self) -> dict[str, Any]:
            return {}

    study = small_study(
        devices=devices, baselines=(baseline,), objectives=("psnr_db", WORST_RATIO),
        evaluators=(Ratios(),),
    )  # fmt: skip
    fit_for(study, devices[0])
    assert for_study(study) is None
    fit_for(study, devices[1])
    told = for_study(study)
    assert told is not None
    assert told(study.to_parameters(baseline))[1] == pytest.approx(1.0)


def test_trials_improve_it() -> None:
    study = small_study()
    fit_for(study)
    told = for_study(study)
    assert told is not None
    rows = sampled_parameters(study, 40)

    def slower(parameters: Mapping[str, Any]) -> float:
        return 1.2 * network_ms(told.terms(study.sample(PartialTrial(parameters))))

    better = told.improved_by((one, {"latency_ms[host]": slower(one)}) for one in rows[:20])
    errors = [abs(better(one)[1] / slower(one) - 1) for one in rows[20:]]
    assert np.mean(errors) < 0.03
    assert np.mean([abs(told(one)[1] / slower(one) - 1) for one in rows[20:]]) > 0.12


def test_a_plain_optuna_study_with_it() -> None:
    study = small_study(
        space=UNetSpace((*UNetSpace().upsampling,), ("relu",), (3,), (4, 8), (1, 2))
    )
    fit_for(study)
    told = for_study(study)
    assert told is not None
    searched = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=EhviSampler(seed=1, n_startup_trials=5, logarithmic=[1], predictor=told),
    )
    for _ in range(12):
        trial = searched.ask()
        candidate = study.sample(trial)
        latency = network_ms(told.terms(candidate))
        searched.tell(trial, [math.log(latency + 1.0), latency])
    assert len({str(trial.params) for trial in searched.trials}) == 12
