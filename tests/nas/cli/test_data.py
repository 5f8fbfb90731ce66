from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.data import app
from nas.data import open_dataset
from nas.errors import ConfigError, DataError
from tests.helpers import picture_trees as trees
from tests.helpers.envelope import data_of

runner = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    monkeypatch.setenv("NAS_CACHE_DIR", str(folder))
    return folder


def test_check_prints_one_json_document(tmp_path: Path) -> None:
    result = runner.invoke(app, ["check", f"reds:{trees.reds(tmp_path)}", "--json"])
    assert result.exit_code == 0
    values = data_of(result.stdout, "data-check")
    assert values["usable"] is True
    assert values["training_pairs"] == 6


def test_check_tells_a_person_what_is_there(tmp_path: Path) -> None:
    result = runner.invoke(app, ["check", f"reds:{trees.reds(tmp_path)}"])
    assert result.exit_code == 0
    for expected in (
        "6 pairs in 2 shards",
        "2 pairs (reds-val2-p9)",
        "32x24 (8)",
        "dB, mean of 2 held-out pairs (psnr-rgb-u8-b0-imgmean)",
        "12 patches of 24x24, 41.5 kB",
        "warning train: 2 of REDS's 240 clips",
    ):
        assert expected in result.stdout
    assert result.stdout.splitlines()[-1] == "usable"


@pytest.mark.parametrize("json_too", [False, True])
def test_check_exits_with_3_where_it_is_unusable(tmp_path: Path, json_too: bool) -> None:
    trees.truncate(trees.reds(tmp_path) / "train/train_blur/000/00000001.png")
    command = ["check", f"reds:{tmp_path}", *(["--json"] if json_too else [])]
    result = runner.invoke(app, command)
    assert result.exit_code == DataError.exit_code == 3
    assert "00000001.png can't be read" in result.stdout
    if json_too:
        assert data_of(result.stdout, "data-check")["usable"] is False
    else:
        assert result.stdout.splitlines()[-1] == "not usable"


def test_check_shows_the_first_problems_and_counts_the_rest(tmp_path: Path) -> None:
    trees.reds(tmp_path, clips=15, frames=1)
    for clip in range(15):
        for side in ("blur", "sharp"):
            (tmp_path / f"train/train_{side}/{clip:03d}/00000000.png").write_bytes(b"")
    result = runner.invoke(app, ["check", f"reds:{tmp_path}"])
    assert result.exit_code == 3
    assert "and 28 more: --json lists all" in result.stdout  # 30 empty files, 15 + 3 warnings


def test_names_with_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "[red]not a colour"
    result = runner.invoke(app, ["check", f"reds:{folder}"])
    assert f"{folder} is missing" in result.stdout


def test_a_wrong_spec_raises_for_the_roof_to_tell() -> None:
    result = runner.invoke(app, ["check", "photoz"])
    assert isinstance(result.exception, ConfigError)
    assert "'photoz'. Did you mean 'photos'?" in str(result.exception)
    assert result.stdout == ""


def test_prepare_packs_and_says_where(tmp_path: Path, cache: Path) -> None:
    spec = f"reds:{trees.reds(tmp_path)}"
    result = runner.invoke(app, ["prepare", spec, "--patch", "16", "--json", "--verify"])
    assert result.exit_code == 0
    values = data_of(result.stdout, "data-prepare")
    assert (values["patches"], values["patch"]) == (12, 24)
    assert Path(values["folder"]).parent == cache / "packs"
    assert values["bytes"] == 12 * 2 * 24 * 24 * 3
    assert values["identity"] == open_dataset(spec).identity()
    again = runner.invoke(app, ["prepare", spec, "--patch", "16"])
    assert "12 pairs of patches, 24x24" in again.stdout
    assert values["folder"] in again.stdout


def test_prepare_of_a_patch_that_does_not_fit(tmp_path: Path) -> None:
    spec = f"reds:{trees.reds(tmp_path)}"
    result = runner.invoke(app, ["prepare", spec, "--patch", "256"])
    assert isinstance(result.exception, ConfigError)
    assert "256x256 doesn't fit the smallest training picture" in str(result.exception)
    checked = runner.invoke(app, ["check", spec, "--patch", "256"])
    assert checked.exit_code == 3
    assert "256x256 doesn't fit the smallest training picture" in checked.stdout


def test_check_and_prepare_agree_on_pictures_smaller_than_the_usual_patch(tmp_path: Path) -> None:
    spec = f"reds:{trees.reds(tmp_path)}"
    assert runner.invoke(app, ["prepare", spec]).exit_code == 0
    checked = runner.invoke(app, ["check", spec])
    assert checked.exit_code == 0
    assert "patches may be 24x24 at most" in checked.stdout


def test_a_damaged_frame_stops_prepare(tmp_path: Path) -> None:
    trees.truncate(trees.reds(tmp_path) / "train/train_blur/001/00000002.png")
    result = runner.invoke(app, ["prepare", f"reds:{tmp_path}", "--patch", "16"])
    assert isinstance(result.exception, DataError)
    assert "train_blur/001/00000002.png can't be read" in str(result.exception)


def test_check_tells_what_was_passed_over(tmp_path: Path) -> None:
    spec = f"reds:{trees.reds(tmp_path)}"
    for index in range(3):
        (tmp_path / f"train/train_blur/000/IMG_{index}.HEIC").touch()
    result = runner.invoke(app, ["check", spec])
    assert "passed over HEIC pictures (3)" in result.stdout
    values = data_of(runner.invoke(app, ["check", spec, "--json"]).stdout, "data-check")
    assert values["passed_over"] == {"HEIC pictures": 3}
