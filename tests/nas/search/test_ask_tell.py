import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from nas.errors import ConfigError
from nas.networks.candidate import Candidate, Compression
from nas.predictor.for_sampler import PartialTrial
from nas.sampling.looks import looks_of
from nas.search.ask_tell import AskedTrial, OptunaStudy
from nas.search.sampler_choice import reference_point_of
from nas.study.objectives import Constraint
from nas.study.study import Study
from nas.study.trial_result import Failure
from search_spaces import CompressionSpace, UNet, UNetSpace
from tests.helpers.small_study import result_of, small_study

STAND_IN = {"psnr_db": 25.0}


def _key(trial: optuna.trial.FrozenTrial) -> str:
    return trial.user_attrs["candidate"].split()[0]


def _candidates(memory: OptunaStudy, count: int, ahead: int = 1) -> list[str]:
    keys, out = [], []
    for _ in range(count):
        asked = memory.ask()
        assert asked is not None
        keys.append(asked.candidate.key)
        out.append(asked)
        if len(out) == ahead:
            memory.tell(result_of(out.pop(0)), STAND_IN)
    return keys


def test_no_candidate_comes_twice_until_the_space_has_no_more(tmp_path: Path) -> None:
    space = UNetSpace(
        upsampling=("depth-to-space",),
        activation=("relu",),
        levels=(2,),
        widths=(4, 8),
        convolutions=(1,),
        first_kernel=(3,),
    )
    memory = OptunaStudy(small_study(space=space), tmp_path / "journal")
    keys = _candidates(memory, 16)  # 2 x 2 widths, residual on or off, two precisions
    assert len(set(keys)) == 16
    assert memory.ask() is None


def test_duplicates_are_no_results_that_could_be_missing(tmp_path: Path) -> None:
    space = UNetSpace(
        upsampling=("depth-to-space",), activation=("relu",), levels=(2,), widths=(4,),
        convolutions=(1, 2), first_kernel=(3,),
    )  # fmt: skip
    study = small_study(space=space, sampler="random")
    memory = OptunaStudy(study, tmp_path / "journal")
    numbers = set()
    for _ in range(6):
        asked = memory.ask()
        assert asked is not None
        numbers.add(asked.number)
        memory.tell(result_of(asked), STAND_IN)
    reopened = OptunaStudy(study, tmp_path / "journal")
    assert any("duplicate_of" in trial.user_attrs for trial in reopened.trials())
    assert reopened.told() == numbers


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_reopened_memory_draws_what_an_undisturbed_one_would(tmp_path: Path, ahead: int) -> None:
    undisturbed = _candidates(OptunaStudy(small_study(), tmp_path / "a"), 14, ahead)
    for _ in range(7):  # the process is killed after every second trial
        _candidates_from(tmp_path / "b", 2, ahead)
    trials = optuna.load_study(
        study_name="search",
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(tmp_path / "b"))
        ),
    ).trials
    keys = [_key(t) for t in trials if "candidate" in t.user_attrs]
    assert keys == undisturbed


def _candidates_from(journal: Path, count: int, ahead: int) -> None:
    memory = OptunaStudy(small_study(), journal)
    out = memory.open_trials()
    for _ in range(count):
        if len(out) == ahead:
            memory.tell(result_of(out.pop(0)), STAND_IN)
        asked = memory.ask()
        assert asked is not None
        out.append(asked)


def test_open_trials_come_back_with_their_candidates(tmp_path: Path) -> None:
    memory = OptunaStudy(small_study(), tmp_path / "journal")
    first, second = memory.ask(), memory.ask()
    assert first is not None
    memory.tell(result_of(first), STAND_IN)
    assert OptunaStudy(small_study(), tmp_path / "journal").open_trials() == [second]


def test_a_trial_killed_before_it_was_sampled_is_sampled_when_reopened(tmp_path: Path) -> None:
    memory = OptunaStudy(small_study(), tmp_path / "journal")
    memory._seed(0)
    memory._study.ask()
    memory._journal.sync()
    (asked,) = OptunaStudy(small_study(), tmp_path / "journal").open_trials()
    expected = OptunaStudy(small_study(), tmp_path / "other").ask()
    assert asked == expected


class CutOff(BaseException):
    """A kill in the middle of a look."""


class Looks:
    """Looks of which the one with the number `cut_at` is the driver's last moment."""

    threads = 1

    def __init__(self, study: Study, cut_at: int = 0) -> None:
        self.study, self.cut_at, self.taken = study, cut_at, 0

    def allowed(self, trials: Sequence[FrozenTrial]) -> int:
        return 3 if sum(trial.state == TrialState.COMPLETE for trial in trials) >= 3 else 0

    def __call__(self, parameters: Mapping[str, Any]) -> dict[int, float]:
        self.taken += 1
        if self.taken == self.cut_at:
            raise CutOff
        candidate = self.study.sample(cast("Any", PartialTrial(parameters)))
        return {1: result_of(AskedTrial(0, candidate, parameters)).value("latency_ms[host]")}


@pytest.mark.parametrize("cut_at", [1, 5])
def test_a_search_cut_off_in_a_look_goes_on_as_if_it_had_not_been(
    tmp_path: Path, cut_at: int
) -> None:
    study = small_study(startup_trials=3)

    def opened(name: str, cut_at: int = 0) -> OptunaStudy:
        return OptunaStudy(study, tmp_path / name, looks=cast("Any", Looks(study, cut_at)))

    whole = _candidates(opened("whole"), 7)
    with pytest.raises(CutOff):
        _candidates(opened("cut", cut_at), 7)
    resumed = opened("cut")
    for asked in resumed.open_trials():  # none where the trial itself was not on the disk yet
        resumed.tell(result_of(asked), STAND_IN)
    _candidates(resumed, 7 - len(resumed.trials()))
    assert [_key(trial) for trial in resumed.trials()] == whole
    assert [looks_of(t)[0].levels for t in resumed.trials()[3:]] == [
        looks_of(t)[0].levels for t in opened("whole").trials()[3:]
    ]


def test_baselines_come_first(tmp_path: Path) -> None:
    baseline = Candidate(UNet(widths=(8, 8), convolutions=2, first_kernel=3), Compression())
    memory = OptunaStudy(small_study(baselines=(baseline,)), tmp_path / "journal")
    first, second = memory.ask(), memory.ask()
    assert first is not None
    assert first.candidate == baseline
    assert first.baseline
    assert second is not None
    assert not second.baseline
    with pytest.raises(ConfigError, match="first_kernel=5 is not in the space"):
        small_study(baselines=(Candidate(UNet(widths=(8, 8), convolutions=2, first_kernel=5)),))


def test_infeasible_trials_are_complete_with_their_violation(tmp_path: Path) -> None:
    study = small_study(constraints=("latency_ms[host]<=1",))
    memory = OptunaStudy(study, tmp_path / "journal")
    asked = memory.ask()
    assert asked is not None
    result = result_of(asked)
    only_latency = {"latency_ms[host]": result.metrics["latency_ms[host]"]}
    violation = Constraint.parse("latency_ms[host]<=1").violation(result.value("latency_ms[host]"))
    memory.tell(
        result_of(
            asked,
            state="infeasible",
            metrics=only_latency,
            violations={"latency_ms[host]<=1": violation},
        ),
        STAND_IN,
    )
    (trial,) = memory.trials()
    assert trial.state == TrialState.COMPLETE
    assert trial.constraints == {"latency_ms[host]<=1": violation}
    assert trial.values[0] == 25.0
    assert trial.user_attrs["stand_in"] == ["psnr_db"]


@pytest.mark.parametrize(
    ("kind", "state"),
    [("TrainingError", TrialState.COMPLETE), ("ConversionError", TrialState.FAIL)],
)
def test_a_training_that_came_to_nothing_is_worth_the_blurred_pictures(
    tmp_path: Path, kind: str, state: TrialState
) -> None:
    memory = OptunaStudy(small_study(), tmp_path / "a")
    asked = memory.ask()
    assert asked is not None
    whole = result_of(asked)
    costs = {"latency_ms[host]": whole.metrics["latency_ms[host]"]}
    failed = result_of(asked, state="failed", metrics=costs, failure=Failure(kind, "it died"))
    memory.tell(failed, STAND_IN)
    other = OptunaStudy(small_study(), tmp_path / "b")
    other.adopt([failed], STAND_IN)
    for trial in (*memory.trials(), *other.trials()):
        assert trial.state == state
        assert trial.user_attrs["failure"] == "it died"
        assert "stand_in" not in trial.user_attrs
        if state == TrialState.COMPLETE:
            assert trial.values == [25.0, whole.value("latency_ms[host]")]
    assert reference_point_of(small_study(), {})(memory.trials()) is None  # no network's values


def test_a_lost_journal_is_filled_from_the_results(tmp_path: Path) -> None:
    memory = OptunaStudy(small_study(), tmp_path / "a")
    results = []
    for index in range(12):
        asked = memory.ask()
        assert asked is not None
        state = "failed" if index == 3 else "complete"
        results.append(result_of(asked, state=state))
        memory.tell(results[-1], STAND_IN)
    other = OptunaStudy(small_study(), tmp_path / "b")
    other.adopt(results, STAND_IN)
    assert other.told() >= {result.number for result in results}
    keys = {t.number: _key(t) for t in other.trials() if "candidate" in t.user_attrs}
    assert keys == {result.number: result.key for result in results}
    unseen = other.ask()
    assert unseen is not None
    assert unseen.candidate.key not in keys.values()


def test_half_a_line_at_the_journals_end_is_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    asked = OptunaStudy(small_study(), journal).ask()
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker')
    assert OptunaStudy(small_study(), journal).open_trials() == [asked]


def test_all_samplers_start(tmp_path: Path) -> None:
    torch = importlib.util.find_spec("torch") is not None
    for sampler in ("tpe", "ehvi", *(["gp"] if torch else []), "nsga2", "random"):
        study = small_study(sampler=sampler, compression=CompressionSpace())
        assert len(set(_candidates(OptunaStudy(study, tmp_path / sampler), 4))) == 4


def _unet(width: int) -> Candidate:
    return Candidate(UNet(widths=(width, 8), convolutions=2, first_kernel=3), Compression())


def test_queued_candidates_come_next_each_once(tmp_path: Path) -> None:
    study = small_study(baselines=(_unet(8),))
    memory = OptunaStudy(study, tmp_path / "journal")
    assert memory.enqueue([_unet(8), _unet(4)]) == 2
    first = memory.ask()
    assert first is not None
    assert (first.candidate, first.baseline) == (_unet(8), True)
    reopened = OptunaStudy(study, tmp_path / "journal")  # killed with one asked for and one queued
    assert reopened.enqueue([_unet(4), _unet(8)]) == 2
    assert [asked.candidate for asked in reopened.open_trials()] == [_unet(8)]
    second = reopened.ask()
    assert second is not None
    assert (second.candidate, second.baseline) == (_unet(4), False)
    third = reopened.ask()
    assert third is not None
    assert third.candidate not in (_unet(4), _unet(8))


def test_the_sampler_that_needs_torch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs PyTorch: pip install torch, or choose 'ehvi'"):
        OptunaStudy(small_study(sampler="gp"), tmp_path / "journal").ask()
