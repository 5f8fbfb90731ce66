"""An earlier run to learn from: of the same space, whole, and kept by the new one."""

import shutil
from pathlib import Path

import pytest

from nas.errors import ConfigError, RunError
from nas.search import search
from nas.search.earlier_run import kept_earlier, read_earlier
from nas.storage.run_folder import EARLIER, RunFolder
from tests.helpers.quick_search import Hears, keys
from tests.helpers.small_study import small_study


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    search(small_study(seed=5), folder, trials=12)
    return folder


def test_its_trials_are_read_with_their_objectives(earlier: Path) -> None:
    found = read_earlier(small_study(), earlier)
    assert str(found) == "12 trials of first"
    assert found.metrics == ("psnr_db", "latency_ms[host]")
    trials = found.trials(small_study())
    first = RunFolder(earlier).results()[0]
    assert trials[0].params == first.parameters
    assert trials[0].values == [first.value("psnr_db"), first.value("latency_ms[host]")]


def test_damaged_results_are_left_out(earlier: Path, tmp_path: Path) -> None:
    copy = tmp_path / "damaged"
    shutil.copytree(earlier, copy)
    for number in (0, 1):
        (copy / f"trials/{number:05d}/result.json").write_text('{"number": 0')
    assert str(read_earlier(small_study(), copy)) == "10 trials of damaged (2 left out)"


def test_a_run_of_another_space_is_refused(earlier: Path) -> None:
    other = small_study(space=type(small_study().space)(levels=(2,), widths=(12, 16)))
    said = r"0 of its 12 results are complete and of this study's space, expected 8 or more"
    with pytest.raises(ConfigError, match=said):
        read_earlier(other, earlier)


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        read_earlier(small_study(), tmp_path)


def test_only_a_sampler_that_can_learns(earlier: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the sampler 'tpe' can't learn from an earlier run"):
        kept_earlier(RunFolder(tmp_path), small_study(sampler="tpe"), earlier)


def test_a_search_keeps_what_it_learns_from_and_goes_on_the_same(
    earlier: Path, tmp_path: Path
) -> None:
    study, source = small_study(startup_trials=3), tmp_path / "source"
    shutil.copytree(earlier, source)
    heard = Hears()
    search(study, tmp_path / "whole", trials=9, watcher=heard, learn_from=source)
    assert "the sampler learns from 12 trials of source" in heard.notes
    search(study, tmp_path / "parts", trials=4, learn_from=source)
    shutil.rmtree(source)
    search(study, tmp_path / "parts", trials=9)
    assert (tmp_path / "parts" / EARLIER).exists()
    assert keys(tmp_path / "parts") == keys(tmp_path / "whole")
    learned = RunFolder(tmp_path / "parts").learned_from()
    assert learned is not None
    assert str(learned) == "12 trials of source"
    assert learned.weights.keys() == {"psnr_db", "latency_ms[host]"}
    assert learned.weights["psnr_db"]["psnr_db"] > 0.1  # it is the same function
    (tmp_path / "parts" / EARLIER).write_text('{"name": "half')
    assert RunFolder(tmp_path / "parts").learned_from() is None
