"""The sampler "ehvi" in a search: reference point, predictor, and equal draws when resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nas.errors import ConfigError
from nas.predictor import for_sampler
from nas.search.ask_tell import OptunaStudy
from nas.search.sampler_choice import learning_sampler, reference_point_of
from nas.study.pareto import reference_point
from search_spaces import UNetSpace
from tests.helpers.small_study import result_of, small_study

INPUT_QUALITY = {"psnr_db": 24.5}
SPACE = UNetSpace(levels=(2, 3), widths=(4, 8, 12), convolutions=(1, 2), first_kernel=(3,))


def _drawn(folder: Path, reopened: bool, trials: int = 14) -> list[Mapping[str, Any]]:
    study = small_study(sampler="ehvi", space=SPACE, startup_trials=5)
    memory = OptunaStudy(study, folder / "journal", input_quality=INPUT_QUALITY)
    found = []
    for _ in range(trials):
        if reopened:
            memory = OptunaStudy(study, folder / "journal", input_quality=INPUT_QUALITY)
        asked = memory.ask()
        assert asked is not None
        found.append(asked.parameters)
        memory.tell(result_of(asked), INPUT_QUALITY)
    return found


def test_a_search_that_is_resumed_before_every_trial_draws_the_same(tmp_path: Path) -> None:
    for name in ("once", "often"):
        (tmp_path / name).mkdir()
    assert _drawn(tmp_path / "once", False) == _drawn(tmp_path / "often", True)


@pytest.mark.parametrize("input_quality", [{}, INPUT_QUALITY])
@pytest.mark.parametrize("constraints", [(), ("latency_ms[host]<=50",)])
def test_the_reference_point_is_that_of_the_report(
    tmp_path: Path, input_quality: dict[str, float], constraints: tuple[str, ...]
) -> None:
    study = small_study(sampler="random", space=SPACE, constraints=constraints)
    memory = OptunaStudy(study, tmp_path / "journal")
    results = []
    for _ in range(20):
        asked = memory.ask()
        assert asked is not None
        late = any("<=" in c for c in constraints) and asked.number % 3 == 0
        result = result_of(asked, violations={constraints[0]: 0.1} if late else {})
        results.append(result)
        memory.tell(result, input_quality)
    description = {"study": {"constraints": list(constraints)}, "input": input_quality}
    expected = reference_point(results, study.expanded_objectives, description)
    assert expected is not None
    assert reference_point_of(study, input_quality)(memory.trials()) == pytest.approx(
        list(expected.values)
    )
    assert reference_point_of(study, input_quality)([]) is None


def test_a_search_asks_the_predictor_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def predict(parameters: Mapping[str, Any]) -> Mapping[int, float]:
        asked.append(parameters)
        return {1: 3.0}

    monkeypatch.setattr(for_sampler, "for_study", lambda study: predict)
    _drawn(tmp_path, False, 7)
    assert {"levels", "width_0", "width_2", "precision"} <= asked[-1].keys()


def test_without_a_predictor_a_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(study: Any) -> Any:
        raise ConfigError("another build")

    monkeypatch.setattr(for_sampler, "for_study", broken)
    assert len(_drawn(tmp_path, False, 7)) == 7


def test_five_objectives_are_drawn_for_by_a_sampler_that_is_named(tmp_path: Path) -> None:
    devices = tuple(f"modelled:{number}" for number in range(4))
    study = small_study(sampler="ehvi", space=SPACE, devices=devices)
    memory = OptunaStudy(study, tmp_path / "journal")
    with pytest.warns(UserWarning, match="1 to 4 objectives, this study has 5: NSGA-II"):
        assert memory.ask() is not None


def test_what_the_sampler_refuses_of_a_study_is_an_error_of_the_study() -> None:
    study = small_study(sampler="ehvi", space=SPACE, startup_trials=-3)
    with pytest.raises(ConfigError, match=r"startup_trials is -3, .* expected a whole number, 0"):
        learning_sampler(study, INPUT_QUALITY)
    assert learning_sampler(small_study(sampler="ehvi", space=SPACE, seed=-1), INPUT_QUALITY)
