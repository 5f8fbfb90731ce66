"""The lines of a search where standard error is no terminal."""

from pathlib import Path

from nas.cli.live import watch
from nas.execution.trial.task import TrialProgress
from nas.study.trial_result import TrialResult
from tests.helpers.small_study import small_study


def test_packing_is_told_once_a_tenth(tmp_path: Path, capsys) -> None:
    with watch(small_study(), tmp_path) as watcher:
        for done in range(41):
            watcher.preparing("a.png", done, 40)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "small: opening the pictures and the devices",
        "packing pictures 0/40 a.png",
    ]
    assert len(lines) == 12


def test_only_events_that_need_a_reader_are_lines(tmp_path: Path, capsys) -> None:
    with watch(small_study(), tmp_path) as watcher:
        watcher.progress(TrialProgress(3, "training", 1, 10, note="quiet"))
        watcher.progress(TrialProgress(3, "again", note="the phone went away"))
        watcher.note("a[b] is said")
    assert capsys.readouterr().err.splitlines()[1:] == [
        "trial 3: the phone went away",
        "a[b] is said",
    ]


def test_a_trial_that_ended_is_counted(tmp_path: Path, capsys) -> None:
    result = TrialResult(7, "key", "unet-8", {}, "pruned")
    with watch(small_study(), tmp_path) as watcher:
        watcher.finished(result)
    assert capsys.readouterr().err.splitlines()[1].startswith("[1/0] trial 7: pruned")
