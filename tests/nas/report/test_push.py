"""What a push to the Hub would do. Nothing here reaches a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.errors import ConfigError, RunError
from nas.report.export import export_models
from nas.report.push import planned_upload, push
from tests.helpers.envelope import data_of
from tests.helpers.fake_run import make_run
from tests.helpers.report_pages import as_reported


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a test wanted to reach the Hub")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", refuse)
    run = make_run(tmp_path / "run", 20)
    return export_models(run, tmp_path / "out", as_reported(run))[0].folder


def test_a_plan_names_every_file_and_what_is_missing(model: Path) -> None:
    upload = planned_upload(model, "somebody/deblur")
    found = {name for name, _ in upload.files}
    assert {"README.md", "model.tflite", ".eval_results/restoration.yaml"} <= found
    assert upload.bytes == sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    assert upload.title.startswith("Deblurring U-Net, ")
    assert upload.front_matter["pipeline_tag"] == "image-to-image"
    assert "no licence yet: put one in place of 'to-be-chosen'" in upload.obstacles[0]
    with pytest.raises(ConfigError, match="no licence yet"):
        push(upload, private=True)


def test_with_a_licence_nothing_stands_in_the_way(model: Path) -> None:
    card = model / "README.md"
    card.write_text(card.read_text().replace("to-be-chosen", "my-own"))
    upload = planned_upload(model, "somebody/deblur")
    assert upload.obstacles == ()
    with pytest.raises(AssertionError, match="wanted to reach the Hub"):
        push(upload, private=True)


def test_what_can_t_be_pushed_is_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'deblur' is no repository of the Hub"):
        planned_upload(model, "deblur")
    with pytest.raises(ConfigError, match=r"is no exported model: it has no card\.json"):
        planned_upload(tmp_path, "a/b")
    (model / "model.tflite").write_text("another one")
    with pytest.raises(RunError, match="is not the file that was exported; export the model"):
        planned_upload(model, "a/b")
    (model / "model.tflite").unlink()
    with pytest.raises(RunError, match="is missing; export the model again"):
        planned_upload(model, "a/b")


def test_a_dry_run_sends_nothing(model: Path) -> None:
    command = ["push", str(model), "somebody/deblur", "--dry-run"]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0
    assert "nothing was sent" in shown.stderr
    told = CliRunner().invoke(app, [*command, "--json"])
    document = data_of(told.stdout, "push")
    assert document["address"] is None
    assert document["repository"] == "somebody/deblur"
    assert {one["name"] for one in document["files"]} >= {"README.md", "card.json"}
    assert document["obstacles"]
