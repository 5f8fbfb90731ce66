import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluators import Fidelity
from nas.errors import ConfigError, DataError, RunError
from nas.execution.status import Look
from nas.networks.candidate import Candidate
from nas.sampling import convergence
from nas.search.driver import search
from nas.storage.run_folder import RunFolder
from nas.study.objectives import Constraint
from nas.system.files import held
from nas.training.schedule import Schedule
from search_spaces import UNet, UNetSpace
from tests.helpers.quick_search import Hears, Stops, keys, quick_study
from tests.helpers.small_study import small_study


def test_an_interrupted_search_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    search(quick_study(), tmp_path / "whole", trials=14)
    for count in (1, 4, 3):
        with pytest.raises(KeyboardInterrupt):
            search(quick_study(), tmp_path / "cut", trials=14, watcher=Stops(count))
    search(quick_study(), tmp_path / "cut", trials=14)
    assert len(keys(tmp_path / "whole")) == 14
    assert len(set(keys(tmp_path / "whole"))) == 14
    assert keys(tmp_path / "cut") == keys(tmp_path / "whole")


def test_the_number_of_workers_changes_nothing_while_candidates_are_drawn_at_random(
    tmp_path: Path,
) -> None:
    search(quick_study(), tmp_path / "one", trials=8)
    search(quick_study(), tmp_path / "two", trials=8, workers=2)
    assert keys(tmp_path / "one") == keys(tmp_path / "two")


def test_a_run_goes_on_to_more_trials(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=3)
    search(quick_study(), tmp_path, trials=5)
    assert len(set(keys(tmp_path))) == 5


def test_a_small_space_ends_the_search_early(tmp_path: Path) -> None:
    space = UNetSpace(
        ("depth-to-space",), ("relu",), (2,), (4,), (1,), (3,), (True,)
    )  # one architecture, two precisions
    search(quick_study(space=space), tmp_path, trials=10)
    assert len(keys(tmp_path)) == 2


def test_a_lost_result_is_made_again_and_a_lost_journal_too(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=4)
    before = keys(tmp_path)
    shutil.rmtree(tmp_path / "trials" / "00002")
    search(quick_study(), tmp_path, trials=4)
    assert keys(tmp_path) == before
    (tmp_path / "study.journal").unlink()
    search(quick_study(), tmp_path, trials=6)
    assert keys(tmp_path)[:4] == before
    assert len(set(keys(tmp_path))) == 6


def test_results_are_recognised_where_a_crash_took_the_journals_end(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=5)
    before = keys(tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/result.json")}
    journal = tmp_path / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    asked = [n for n, line in enumerate(lines, 1) if b'"candidate"' in line]
    journal.write_bytes(b"".join(lines[: asked[2]]))  # the third was asked for
    search(quick_study(), tmp_path, trials=5)
    assert keys(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_another_study_in_the_folder_is_told_by_what_differs(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=1)
    schedule = Schedule(steps=6, batch=2, patch=16, learning_rate=1e-3)
    with pytest.raises(RunError) as error:
        search(quick_study(schedule=schedule, size=(96, 32)), tmp_path, trials=1)
    assert "schedule.steps: the run has 5, asked for is 6" in str(error.value)
    assert "size: the run has [64, 32], asked for is [96, 32]" in str(error.value)


def test_a_study_with_other_words_for_it_is_the_same(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=1)
    search(quick_study(description="the same, better said"), tmp_path, trials=2)
    assert len(RunFolder(tmp_path).results()) == 2


def test_a_folder_that_is_held_or_foreign_is_refused(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(RunError, match=r"held by another process \(pid \d+ on"):
        search(quick_study(), tmp_path)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="is not empty and holds no run"):
        search(quick_study(), tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    search(quick_study(), tmp_path, trials=2)
    (tmp_path / "trials" / "00001" / "result.json").write_text('{"format": 1, "num')
    with pytest.raises(RunError, match=r"00001/result\.json can't be read"):
        search(quick_study(), tmp_path, trials=3)
    (tmp_path / "trials" / "00001" / "result.json").write_text('{"format": 1}')
    with pytest.raises(RunError, match="is no trial result of format 1"):
        search(quick_study(), tmp_path, trials=3)


def test_what_cannot_work_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"66x32 does not divide by 4.* 64x32 and 68x32"):
        search(quick_study(size=(66, 32)), tmp_path / "a")
    with pytest.raises(ConfigError, match="patches of 18x18 don't divide by 4"):
        search(quick_study(schedule=Schedule(steps=1, patch=18)), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"unknown data set 'fotos'.* Did you mean 'photos'"):
        search(quick_study(data="fotos"), tmp_path / "a")
    with pytest.raises(DataError):
        search(quick_study(data=f"reds:{tmp_path}/none"), tmp_path / "a")
    with pytest.raises(ConfigError, match="trials=0"):
        search(quick_study(), tmp_path / "a", trials=0)
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "no.json"))
    asks_a_gpu = (*quick_study().evaluators, Fidelity("gpu"))
    with pytest.raises(ConfigError, match=r"no\.json"):
        search(quick_study(evaluators=asks_a_gpu), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_constraints_are_read_and_measured() -> None:
    constraint = Constraint.parse(" latency_ms[host] <= 50")
    assert constraint == Constraint("latency_ms[host]", "<=", 50.0)
    assert constraint.violation(75) == pytest.approx(0.5)
    assert constraint.violation(40) < 0
    assert Constraint.parse("psnr_db>=30").violation(27) == pytest.approx(0.1)
    for text in ("latency_ms[host]<50", "psnr_db", "psnr_db>=x", "<=3"):
        with pytest.raises(ConfigError, match="expected METRIC<=NUMBER"):
            Constraint.parse(text)
    with pytest.raises(ConfigError, match=r"unknown metric in a constraint 'latency\[host\]'"):
        small_study(constraints=("latency[host]<=3",))


def test_exactly_the_candidates_asked_for_in_stages_and_after_a_lost_journal(
    tmp_path: Path,
) -> None:
    networks = [
        Candidate(UNet(widths=(width, 8), convolutions=convolutions, first_kernel=3))
        for width in (4, 8)
        for convolutions in (1, 2)
    ]
    study = quick_study(baselines=tuple(networks[:2]))
    wanted = [network.key for network in networks]
    with pytest.raises(KeyboardInterrupt):
        search(study, tmp_path, candidates=networks[:2], watcher=Stops(1))
    search(study, tmp_path, candidates=networks[:2])
    assert keys(tmp_path) == wanted[:2]
    (tmp_path / "study.journal").unlink()
    search(study, tmp_path, candidates=networks)
    assert keys(tmp_path) == wanted
    results = [json.loads(path.read_text()) for path in tmp_path.glob("trials/*/result.json")]
    assert {r["number"]: r["baseline"] for r in results} == {0: True, 1: True, 2: False, 3: False}


ENOUGH = 3 + convergence.WINDOW
"""Trials after which a search with three first trials knows whether it has converged."""


def test_a_search_ends_at_its_convergence_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, heard = small_study(startup_trials=3), Hears()
    monkeypatch.setattr(convergence, "LEAST_GAIN", 1e9)
    whole = search(study, tmp_path / "whole", 20, watcher=heard, until_converged=True)
    assert len(keys(whole.path)) == ENOUGH
    assert heard.notes[-1].startswith(f"converged after {ENOUGH} of 20 trials: 10 further trials")
    assert whole.ended_early() == heard.notes[-1].partition(": ")[2]
    assert Look(whole).status().ended == whole.ended_early()
    with pytest.raises(KeyboardInterrupt):
        search(study, tmp_path / "cut", 20, watcher=Stops(ENOUGH - 2), until_converged=True)
    assert RunFolder(tmp_path / "cut").ended_early() is None
    cut = search(study, tmp_path / "cut", 20, until_converged=True)
    assert keys(cut.path) == keys(whole.path)
    assert len(keys(search(study, whole.path, 20, until_converged=True).path)) == ENOUGH
    search(study, whole.path, ENOUGH + 1)
    assert len(keys(whole.path)) == ENOUGH + 1
    assert whole.ended_early() is None


def test_a_search_that_expects_gains_goes_on_and_tells_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, heard = small_study(startup_trials=3), Hears()
    monkeypatch.setattr(convergence.Convergence, "reached", False)
    run = search(study, tmp_path, ENOUGH + 1, watcher=heard, until_converged=True)
    assert len(keys(tmp_path)) == ENOUGH + 1
    assert heard.notes[-1].startswith("10 further trials are expected to add at most ")
    assert run.ended_early() is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": "tpe"}, "--until-converged: the sampler 'tpe' does not tell what further"),
        (
            {"objectives": ("psnr_db", *(f"latency_ms[{n}]" for n in ("host",) * 4))},
            "--until-converged: sampler 'ehvi' takes 1 to 4 objectives, this study has 5",
        ),
    ],
)
def test_only_a_sampler_that_tells_what_trials_add_can_converge(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        search(small_study(**changes), tmp_path, until_converged=True)


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_looks_take_a_share_that_is_a_number(tmp_path: Path, share: float) -> None:
    with pytest.raises(ConfigError, match=f"look_share={share}: expected .* a share of 0 or more"):
        search(small_study(), tmp_path, looks=1, look_share=share)
