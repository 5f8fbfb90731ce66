"""`nas fidelity` on a model's folder: the Keras model is the reference."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nas.cli import fidelity as command
from nas.errors import ConfigError, RunError
from nas.networks.candidate import Candidate
from nas.system.files import write_json
from tests.helpers.artifacts import SIDE, artifact, keras_model, network
from tests.helpers.envelope import data_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as `nas export` writes it, as far as the command reads it."""
    path = tmp_path_factory.mktemp("model")
    architecture = network("resize-bilinear", "relu")
    keras_model(architecture).save_weights(path / "model.weights.h5")
    (path / "model.tflite").write_bytes(artifact(architecture, "float"))
    card = {"candidate": Candidate(architecture).to_dict(), "conditions": {"data": "photos"}}
    write_json(path / "card.json", card)
    return path


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(command.fidelity)
    return CliRunner().invoke(app, [str(word) for word in arguments])


def test_the_keras_model_is_the_reference(folder: Path) -> None:
    found = data_of(invoke(folder, "--pictures", 2, "--threads", 1, "--json").stdout, "fidelity")[0]
    assert found["reference"] == "the Keras model, float32"
    assert found["source"] == "measured"
    assert found["psnr_db"] is None or found["psnr_db"] > 100
    assert found["largest_error"] < 1e-4
    quality = found["quality"]
    assert quality["device_psnr_db"] == pytest.approx(quality["reference_psnr_db"], abs=0.01)
    assert found["conditions"]["size"] == [SIDE, SIDE]
    assert found["conditions"]["data"] == "photos-heldout"


def test_other_weights_are_another_network(folder: Path, tmp_path: Path) -> None:
    """The oracle's other side: a reference that is not the file's network is far away."""
    other = shutil.copytree(folder, tmp_path / "other")
    architecture = network("resize-bilinear", "relu")
    keras_model(architecture, seed=5).save_weights(other / "model.weights.h5")
    found = data_of(invoke(other, "--pictures", 1, "--json").stdout, "fidelity")[0]
    assert found["psnr_db"] < 60


def test_what_is_damaged_is_told(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.weights.h5").write_bytes(b"nothing")
    error = invoke(broken).exception
    assert isinstance(error, RunError)
    assert "does not fit its card" in str(error)
    (broken / "model.weights.h5").unlink()
    assert "is missing; export the model again" in str(invoke(broken).exception)
    (broken / "card.json").write_text("{}")
    assert isinstance(invoke(broken).exception, ConfigError)
