"""A run's trials in TensorBoard, MLflow and Weights & Biases, read back by their own readers."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nas.errors import ConfigError
from nas.report.tensorboard_files import FILE
from nas.report.trackers import TRACKERS
from nas.report.tracking import Handover, figure_name, tracked_run
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from tests.helpers.fake_run import make_run

TRIALS = 16
LOSSES = {30: 0.5, 60: 0.25}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = make_run(tmp_path_factory.mktemp("trackers") / "made", TRIALS)
    step = {"event": "progress", "stage": "training", "at": "2026-01-02T03:04:05.000Z"}
    rows = [{**step, "done": done, "note": f"L1 {loss:.4f}"} for done, loss in LOSSES.items()]
    made.log(0).write_text("\n".join(map(json.dumps, rows)))
    return made


def hand_over(run: RunFolder, tracker: str, folder: Path) -> Handover:
    return TRACKERS[tracker](tracked_run(run), folder, lambda done, total: None)


def _twice(run: RunFolder, tracker: str, folder: Path) -> Handover:
    """Hand a run over, then again, when there is nothing to do."""
    first = hand_over(run, tracker, folder)
    again = hand_over(run, tracker, folder)
    assert (first.written, first.unchanged) == (TRIALS, 0)
    assert (again.written, again.unchanged) == (0, TRIALS)
    return first


def _of_state(run: RunFolder, state: str) -> TrialResult:
    return next(result for result in run.results() if result.state == state)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("psnr_db", "psnr_db"),
        ("latency_ms[adb:127.0.0.1:5555]", "latency_ms/adb:127.0.0.1:5555"),
        ("psnr_db_gain[1/16]", "psnr_db_gain/1/16"),
        ("latency_ms[a+b (é)]", "latency_ms/a_b ___"),
    ],
)
def test_names_are_what_every_tracker_takes(metric: str, name: str) -> None:
    assert figure_name(metric) == name


def _events(run: RunFolder, folder: Path, number: int) -> Any:
    # So TensorBoard takes its own stand-in, and TensorFlow is not imported.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    found = accumulator.EventAccumulator(
        str(folder / tracked_run(run).name / f"trial-{number:05d}")
    )
    return found.Reload()


def test_tensorboard_reads_what_was_written(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert _twice(run, "tensorboard", tmp_path).command == f"tensorboard --logdir {tmp_path}"
    for result in run.results():
        events = _events(run, tmp_path, result.number)
        last = max(LOSSES) if result.number == 0 else 0
        for name, metric in result.metrics.items():
            (point,) = events.Scalars(figure_name(name))
            assert (point.step, point.value) == (last, pytest.approx(metric.value, rel=1e-6))
            about = events.SummaryMetadata(figure_name(name)).summary_description
            assert about.startswith(metric.source)
            assert (metric.conditions or "") in about
    curve = _events(run, tmp_path, 0).Scalars("training/l1_loss")
    assert {point.step: point.value for point in curve} == LOSSES
    assert {point.wall_time for point in curve} == {1767323045.0}


def test_tensorboard_has_parameters_and_how_a_trial_ended(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.plugins.hparams import api_pb2, metadata

    hand_over(run, "tensorboard", tmp_path)
    for state, status in (
        ("complete", api_pb2.STATUS_SUCCESS),
        ("failed", api_pb2.STATUS_FAILURE),
    ):
        result = _of_state(run, state)
        events = _events(run, tmp_path, result.number)
        kept = {
            tag: events.SummaryMetadata(tag).plugin_data.content
            for tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
        }
        start = metadata.parse_session_start_info_plugin_data(kept[metadata.SESSION_START_INFO_TAG])
        told = dict(start.hparams)
        assert told["upsampling"].string_value == result.parameters["upsampling"]
        assert told["width_0"].number_value == result.parameters["width_0"]
        assert told["global_residual"].bool_value == result.parameters["global_residual"]
        assert told.keys() == result.parameters.keys()
        end = metadata.parse_session_end_info_plugin_data(kept[metadata.SESSION_END_INFO_TAG])
        assert end.status == status
        (text,) = events.Tensors("trial")
        assert result.label in text.tensor_proto.string_val[0].decode()


def test_a_changed_trial_is_written_anew_and_a_cut_file_removed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    run = make_run(tmp_path / "run", 3, files=False)
    hand_over(run, "tensorboard", tmp_path)
    folder = tmp_path / tracked_run(run).name
    (folder / "trial-00001" / FILE).write_bytes(b"of somebody else")
    cut = folder / "trial-00001" / f".{FILE}.x.tmp"
    cut.touch()
    again = hand_over(run, "tensorboard", tmp_path)
    assert (again.written, again.unchanged) == (1, 2)
    assert not cut.exists()
    assert _events(run, tmp_path, 1).Scalars("gmacs_conv")


def test_mlflow_s_store_has_it(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    _twice(run, "mlflow", tmp_path)
    failed, first = _of_state(run, "failed"), run.results()[0]
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        rows = store.execute("select name, run_uuid, status, lifecycle_stage from runs")
        runs = {name: (key, status) for name, key, status, stage in rows if stage == "active"}
        assert len(runs) == TRIALS
        assert runs[f"trial-{failed.number:05d}"][1] == "FAILED"
        key, status = runs["trial-00000"]
        assert status == "FINISHED"
        tables = {
            table: dict(store.execute(f"select key, value from {table} where run_uuid = ?", [key]))
            for table in ("metrics", "params", "tags")
        }
    assert tables["metrics"]["psnr_db"] == first.value("psnr_db")
    assert tables["params"]["upsampling"] == first.parameters["upsampling"]
    assert tables["tags"]["source/latency_ms/host"] == "synthetic"
    assert tables["tags"]["network"] == first.label


def test_offline_runs_of_wandb_are_one_a_trial(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    _twice(run, "wandb", tmp_path)
    first = run.results()[0]
    kept = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(kept) == TRIALS
    written = next(kept[0].glob("*.wandb")).read_bytes()
    for expected in (first.label, "latency_ms/host", str(first.value("psnr_db")), "synthetic"):
        assert expected.encode() in written


@pytest.mark.parametrize("tracker", TRACKERS)
def test_without_its_library_a_tracker_is_refused(
    tracker: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (tracker, f"{tracker}.compat.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"not installed; install it: pip install {tracker} "):
        hand_over(run, tracker, tmp_path)
    assert not list(tmp_path.iterdir())
