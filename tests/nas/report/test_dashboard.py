"""The study that optuna-dashboard shows."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta

from nas.data import Pair
from nas.report import dashboard
from nas.report.dashboard import dashboard_storage
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import open_model, pairs


def _journal(run: RunFolder) -> optuna.storages.InMemoryStorage:
    """A study of the run's trials, as a search keeps it."""
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        storage=storage, study_name="search", directions=["maximize", "minimize"]
    )
    for result in run.results():
        failed = result.state == "failed" or "psnr_db" not in result.metrics
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
                values=None
                if failed
                else [result.value("psnr_db"), result.value("latency_ms[host]")],
            )
        )
    return storage


def _pictured(monkeypatch: pytest.MonkeyPatch) -> None:
    real = dashboard.compare_crops

    def compare(run: RunFolder, models: list[TrialResult], held: list[Pair], count: int) -> object:
        return real(run, models, held, count, open_model)

    monkeypatch.setattr(dashboard, "compare_crops", compare)
    monkeypatch.setattr(dashboard, "heldout_pairs", lambda study: pairs())


def test_it_has_name_notes_figures_and_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pytest.importorskip("optuna_dashboard")
    _pictured(monkeypatch)
    run = make_run(tmp_path / "run", 20)
    store = FileSystemArtifactStore(tmp_path)
    before = sorted(run.path.rglob("*"))
    storage = dashboard_storage(run, _journal(run), store, tmp_path)
    assert sorted(run.path.rglob("*")) == before
    study = optuna.load_study(study_name="made-up (run)", storage=storage)
    assert study.metric_names == ["PSNR", "Latency on host"]
    assert "A made-up study of U-Nets" in shown.get_note(study)
    trials = study.get_trials()
    assert len(trials) == 20
    pictured = 0
    for trial, result in zip(trials, run.results(), strict=True):
        assert trial.user_attrs["network"] == result.label
        assert trial.user_attrs["Latency on host"] == result.value("latency_ms[host]")
        links = get_all_artifact_meta(trial, storage=storage)
        pictured += len(links)
        for link in links:
            assert link.filename == f"trial-{trial.number}.png"
            assert store.open_reader(link.artifact_id).read(4) == b"\x89PNG"
    assert 1 < pictured <= 8
    failed = next(r for r in run.results() if r.failure is not None)
    place = dashboard._Place(storage, study, trials[failed.number]._trial_id)
    note = shown.get_note(place)
    assert failed.label in note
    assert "TrainingError: the training died" in note
