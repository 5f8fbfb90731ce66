from collections import Counter
from pathlib import Path

import optuna
import pytest

from nas.networks.candidate import Candidate
from nas.search.ask_tell import Memory
from nas.search.expected_study import ForeseenStudy
from nas.storage.run_folder import RunFolder
from nas.study.pareto import front
from search_spaces import UNet
from tests.helpers.trained_study import UNTOUCHED, MadeUp, loop_of, trained_study

STATE = optuna.trial.TrialState


def _ends(folder: Path) -> list[tuple[int, str, str, dict[str, float]]]:
    return [
        (r.number, r.key, r.state, {name: m.value for name, m in r.metrics.items()})
        for r in RunFolder(folder).results()
    ]


def _states(folder: Path) -> list[tuple[str, str]]:
    memory = Memory(trained_study(halving=True), folder / "study.journal")
    return [
        (trial.state.name, trial.user_attrs["candidate"])
        for trial in memory.trials()
        if "candidate" in trial.user_attrs
    ]


def _race(folder: Path, trials: int, executor: MadeUp | None = None, ahead: int = 1, **changes):
    executor = executor or MadeUp()
    study = trained_study(halving=True, **changes)
    loop_of(study, folder, executor).drive(trials, ahead)
    return executor


def test_a_sixteenth_is_trained_whole_and_alone_on_the_front(tmp_path: Path) -> None:
    executor = _race(tmp_path, 32)
    assert Counter(rung for _, rung in executor.legs) == {0: 32, 1: 8, None: 2}
    results = RunFolder(tmp_path).results()
    assert Counter(r.state for r in results) == {"complete": 2, "stopped": 30}
    members = front(results, trained_study().expanded_objectives)
    assert {m.state for m in members} == {"complete"}
    assert Counter(state for state, _ in _states(tmp_path)) == {"PRUNED": 30, "COMPLETE": 2}
    assert not list((tmp_path / "trials").glob("*/untrained.tflite"))


@pytest.mark.parametrize("sampler", ["random", "ehvi"])
def test_a_search_killed_anywhere_ends_as_an_unbroken_one(tmp_path: Path, sampler: str) -> None:
    _race(tmp_path / "whole", 16, sampler=sampler, startup_trials=8)
    for count in (1, 4, 9, 5):
        with pytest.raises(KeyboardInterrupt):
            _race(tmp_path / "cut", 16, MadeUp(count), sampler=sampler, startup_trials=8)
    _race(tmp_path / "cut", 16, sampler=sampler, startup_trials=8)
    assert _ends(tmp_path / "cut") == _ends(tmp_path / "whole")
    assert _states(tmp_path / "cut") == _states(tmp_path / "whole")


def test_killed_before_the_driver_heard_of_a_reading_or_told_the_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _race(tmp_path / "whole", 16)
    for method, calls in (("rest", 5), ("rest", 9), ("tell", 3)):
        left = [calls]
        true = getattr(Memory, method)

        def dies(self, *arguments, left=left, true=true):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return true(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Memory, method, dies)
            with pytest.raises(KeyboardInterrupt):
                _race(tmp_path / "cut", 16)
    _race(tmp_path / "cut", 16)
    assert _ends(tmp_path / "cut") == _ends(tmp_path / "whole")
    assert _states(tmp_path / "cut") == _states(tmp_path / "whole")


def test_nothing_is_done_twice_and_a_run_goes_on_to_more_trials(tmp_path: Path) -> None:
    first = _race(tmp_path, 16)
    assert not _race(tmp_path, 16).legs
    second = _race(tmp_path, 32)
    assert len(second.legs) + len(first.legs) == 32 + 8 + 2
    assert not set(first.legs) & set(second.legs)


def test_several_at_a_time_share_the_same_quota(tmp_path: Path) -> None:
    executor = _race(tmp_path, 32, ahead=5)
    assert Counter(rung for _, rung in executor.legs) == {0: 32, 1: 8, None: 2}


def test_baselines_are_trained_whole_besides(tmp_path: Path) -> None:
    slow = Candidate(UNet(widths=(8, 8), convolutions=2, first_kernel=3, activation="relu"))
    executor = _race(tmp_path, 17, baselines=(slow,))
    assert executor.legs[:3] == [(0, 0), (0, 1), (0, None)]
    assert Counter(rung for _, rung in executor.legs) == {0: 17, 1: 5, None: 2}


def test_lost_results_and_a_lost_journal_are_made_again(tmp_path: Path) -> None:
    _race(tmp_path, 20)
    ends = _ends(tmp_path)
    complete = next(number for number, _, state, _ in ends if state == "complete")
    pruned = next(number for number, _, state, _ in ends if state == "stopped")
    run = RunFolder(tmp_path)
    for number in (complete, pruned):
        for file in run.trial(number).iterdir():
            file.unlink()
    _race(tmp_path, 20)
    assert _ends(tmp_path) == ends
    states = _states(tmp_path)
    (tmp_path / "study.journal").unlink()
    memory = Memory(trained_study(halving=True), tmp_path / "study.journal")
    before = memory.standings()
    memory.adopt(run.results(), UNTOUCHED)
    assert not before
    assert _states(tmp_path) == states
    assert len([s for s in memory.standings() if s.pruned]) == 19


def test_samplers_see_what_was_read_as_it_is_expected_to_become(tmp_path: Path) -> None:
    study = trained_study(halving=True)
    with pytest.raises(KeyboardInterrupt):
        _race(tmp_path, 12, MadeUp(6))
    memory = Memory(study, tmp_path / "study.journal", untouched=UNTOUCHED)
    plain = memory._study.get_trials(deepcopy=False)
    assert {t.state for t in plain} <= {STATE.RUNNING, STATE.FAIL}  # what failed came twice
    drawn = memory._drawn
    assert isinstance(drawn, ForeseenStudy)
    drawn.expected = memory._expected()
    complete = drawn.get_trials(deepcopy=False, states=(STATE.COMPLETE,))
    readings = {s.number: s.gains[-1]["psnr_db"] for s in memory.standings()}
    assert {t.number for t in complete} == set(readings)
    first = [t for t in complete if len(t.user_attrs["rungs"]["gains"]) == 1]
    by_value = sorted(first, key=lambda t: t.values[0])
    assert by_value == sorted(first, key=lambda t: readings[t.number])
    assert plain[0].state == STATE.RUNNING  # nothing was changed
