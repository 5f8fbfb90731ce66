"""A run's layout on the disk, which runs made before rely on."""

from pathlib import Path

import pytest

from nas.errors import RunError
from nas.storage.run_folder import CHECKPOINT, RunFolder, trial_name
from nas.study.trial_result import TrialResult


def _result(number: int) -> TrialResult:
    return TrialResult(number, f"key{number}", "label", {}, "complete", artifact="model.tflite")


def test_each_file_lies_where_earlier_runs_have_it(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    paths = {
        "trials/00012": run.trial(12),
        "trials/00012/result.json": run.result(12),
        "trials/00012/log.jsonl": run.log(12),
        "trials/123456": run.trial(123456),
        "leases.json": run.table,
        "study.journal": run.journal,
        "replicates": run.replicates.path,
    }
    assert {name: tmp_path / name for name in paths} == paths
    assert trial_name(7) == "trials/00007"


def test_the_checkpoints_of_unfinished_trainings_are_listed(tmp_path: Path) -> None:
    from nas.training import train

    assert CHECKPOINT == train.CHECKPOINT
    for name in ("weights/b/checkpoint.npz", "weights/a/checkpoint.npz", "weights/a/weights.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listed = [path.relative_to(tmp_path).as_posix() for path in RunFolder(tmp_path).checkpoints()]
    assert listed == ["weights/a/checkpoint.npz", "weights/b/checkpoint.npz"]


def test_results_come_back_as_written_and_by_number(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.results() == []
    assert run.read_result(0) is None
    for number in (10, 2):
        run.write_result(_result(number))
    (tmp_path / "trials" / "notes").mkdir()
    (tmp_path / "trials" / "00003").mkdir()  # a trial that was begun
    assert run.finished_numbers() == {2, 10}
    assert run.results() == [_result(2), _result(10)]


def test_a_result_of_another_format_is_named_with_what_to_do(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.trial(3).mkdir(parents=True)
    run.result(3).write_text('{"format": 1}')
    message = r"00003/result\.json is no trial result of format 1 .*; remove its folder and"
    with pytest.raises(RunError, match=message):
        run.read_result(3)


def test_devices_are_set_aside_and_required_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.lost_devices() == set()
    for device in ("adb:one", "adb:two/with a slash", "adb:one"):
        run.lose(device, "it does not answer")
    assert run.lost_devices() == {"adb:one", "adb:two/with a slash"}
    run.readmit_devices()
    assert run.lost_devices() == set()


def test_the_database_of_a_study_is_noted_and_forgotten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.storage() is None
    run.keep_storage("postgresql://nas@host/db")
    assert run.storage() == "postgresql://nas@host/db"
    run.keep_storage(None)
    assert run.storage() is None


def test_a_folder_without_a_run_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run's folder: it has no run\.json.*nas search"):
        RunFolder(tmp_path).description()


def test_objectives_are_those_of_the_study(tmp_path: Path) -> None:
    description = '{"study": {"objectives": ["psnr_db", "latency_ms[host]"]}}'
    (tmp_path / "run.json").write_text(description)
    directions = [(o.metric, o.direction) for o in RunFolder(tmp_path).objectives()]
    assert directions == [("psnr_db", "maximize"), ("latency_ms[host]", "minimize")]
