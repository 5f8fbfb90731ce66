"""The lines of a search where standard error is no terminal."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from nas.cli.live import _Tally, _View, watch
from nas.execution.trial.task import TrialProgress
from nas.study.trial_result import TrialResult
from tests.helpers.fake_run import make_run
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


@pytest.mark.parametrize("width", [40, 80])
def test_the_live_view_names_networks_and_keeps_the_quality(tmp_path: Path, width: int) -> None:
    run = make_run(tmp_path, 20, bound_ms=None)
    study = replace(small_study(), objectives=("psnr_db", "latency_ms"))
    view = _View(study, tmp_path)
    assert "opening the pictures and the devices" in _shown(view, width)
    view.started(run, run.results(), 24)
    view.progress(TrialProgress(20, "in line", label="unet-resizebilinear-relu 8-16 x1 k3"))
    view.progress(TrialProgress(20, "training", 150, 600, "L1 0.0421"))
    text = _shown(view, width)
    assert "trial 20" in text
    assert "unet-res" in text
    assert " 25%" in text
    assert all(word in text for word in ("PSNR", "dB", "ms", "host"))
    assert f"{view._tally.front()[0].value('psnr_db'):.2f}" in text
    assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_the_time_that_is_left_counts_what_is_under_way(tmp_path: Path) -> None:
    run = make_run(tmp_path, 20, bound_ms=None)
    tally = _Tally(small_study())
    tally.start([], 40, run)
    for result in run.results()[:10]:
        tally.add(result)
    tally.began -= 600  # a minute each
    assert "about 30 min left" in tally.summary()
    assert "about 17 min left" in tally.summary(begun=5.0)
    assert "less than 2 min left" in tally.summary(begun=29.0)


def test_what_a_busy_processor_took_is_marked(tmp_path: Path, capsys) -> None:
    run = make_run(tmp_path, 20, bound_ms=None)
    study = replace(small_study(), objectives=("psnr_db", "latency_ms"))
    view = _View(study, tmp_path)
    view.started(run, run.results(), 24)
    assert "!" not in _shown(view, 80)
    best = view._tally.front()[0]
    timed = replace(best.metrics["latency_ms[host]"], disturbed="others used 1.4 cores")
    busy = replace(best, metrics={**best.metrics, "latency_ms[host]": timed})
    others = [result for result in run.results() if result.number != best.number]
    view.started(run, [*others, busy], 24)
    text = _shown(view, 80)
    assert f"{best.value('latency_ms[host]'):.2f}!" in text
    assert "best trade-offs so far, ! on a busy processor" in text
    with watch(small_study(), tmp_path) as watcher:
        watcher.finished(busy)
    assert f"latency_ms[host] {best.value('latency_ms[host]'):.2f} (busy processor)" in (
        capsys.readouterr().err
    )


def _shown(view: _View, width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_an_infeasible_trial_says_which_bound_it_breaks(tmp_path: Path, capsys) -> None:
    run = make_run(tmp_path, 40)
    infeasible = next(result for result in run.results() if result.state == "infeasible")
    with watch(small_study(), tmp_path) as watcher:
        watcher.finished(infeasible)
    line = capsys.readouterr().err.splitlines()[1]
    assert "infeasible: Latency on host is " in line
    assert "60 at most" in line
