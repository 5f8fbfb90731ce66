"""A model's texts for people and hubs, and the program that its card shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from nas.report.export import card_document, export_models
from nas.report.model_card import USAGE, model_card
from nas.storage.run_folder import RunFolder
from tests.helpers.fake_run import describe, make_results, make_run
from tests.helpers.report_pages import as_reported


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run", 40)


def test_a_card_names_no_folder_of_this_machine() -> None:
    description = describe()
    description["study"]["data"]["spec"] = "reds:/home/somebody/REDS"
    result = next(result for result in make_results(20) if result.state == "complete")
    texts = json.dumps(card_document(description, result, 0.0, {})), model_card(description, result)
    assert not [text for text in texts if "somebody" in text]
    assert "reds" in texts[0]


def test_model_card_is_valid_for_the_hub(run: RunFolder, tmp_path: Path) -> None:
    for one in export_models(run, tmp_path / "out", as_reported(run)):
        loaded = ModelCard.load(one.folder / "README.md")
        data = loaded.data.to_dict()
        assert data["license"] == "other"
        assert data["license_name"] == "to-be-chosen"
        assert data["pipeline_tag"] == "image-to-image"
        assert data["library_name"] == "litert"
        assert "tflite" in data["tags"]
        assert data["metrics"] == ["psnr", "ssim"]
        assert re.findall(r"^## (.+)$", loaded.text, re.M) == [
            "Model details",
            "Uses",
            "How to get started with the model",
            "Training details",
            "Evaluation",
            "Files",
        ]
        for name, metric in one.result.metrics.items():
            row = next(line for line in loaded.text.splitlines() if line.startswith(f"| `{name}`"))
            assert f"{metric.value:.6g}" in row
            assert metric.source in row
        assert "psnr-rgb-u8-b0-imgmean" in loaded.text


def test_yaml_files_hold_the_figures(run: RunFolder, tmp_path: Path) -> None:
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    precision = one.result.candidate["compression"]["precision"]
    perf = yaml.safe_load((one.folder / "perf.yaml").read_text())
    component = perf["precisions"][precision]["components"][one.result.label]
    timed = component["performance_metrics"]["host"]["tflite"]
    assert timed["inference_time_milliseconds"] == one.result.value("latency_ms[host]")
    assert timed["first_load_milliseconds"] == one.result.value("init_ms[host]")
    assert timed["source"] == "synthetic"
    numerics = yaml.safe_load((one.folder / "numerics.yaml").read_text())
    assert numerics["metrics"]["psnr_db"]["value"] == one.result.value("psnr_db")
    assert numerics["metrics"]["psnr_db"]["scored_again_at_export"] == one.rescored_psnr_db


@pytest.mark.parametrize("precision", ["float", "int8-ptq"])
@pytest.mark.parametrize(
    ("height", "width", "turned"), [(0, 0, False), (37, 91, True), (-20, -9, True)]
)
def test_the_program_restores_a_photo_at_its_size_as_our_tiles_do(
    precision: str, height: int, width: int, turned: bool, tmp_path: Path
) -> None:
    """With LiteRT, NumPy and Pillow alone, as the card promises; sizes are more than the model's.

    A photo that a camera stored on its side (EXIF orientation 6) is restored the right way up.
    """
    from nas.tflite.interpreter import Artifact
    from nas.tflite.tiling import restore_any_size
    from tests.helpers.artifacts import SIDE, artifact, network

    content = artifact(network("resize-bilinear", "relu"), precision)  # type: ignore[arg-type]
    (tmp_path / "model.tflite").write_bytes(content)
    shape = (SIDE + height, SIDE + width, 3)
    upright = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    stored = np.rot90(upright) if turned else upright
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "photo.png", exif=exif)
    run_usage(tmp_path, "photo.png")
    restored = np.asarray(Image.open(tmp_path / "restored.png"))
    expected, _ = restore_any_size(Artifact(tmp_path / "model.tflite"), upright)
    assert restored.shape == upright.shape
    assert np.abs(restored.astype(int) - expected.astype(int)).max() <= 1


def run_usage(folder: Path, photo: str) -> None:
    """Run the card's program on `model.tflite` and a photo in the folder, without our packages."""
    blocked = (
        "import sys\nfor name in ('tensorflow', 'tf_keras', 'nas'): sys.modules[name] = None\n"
    )
    (folder / "restore.py").write_text(blocked + USAGE)
    subprocess.run(
        [sys.executable, "restore.py", "model.tflite", photo],
        cwd=folder, env={**os.environ, "PYTHONPATH": ""}, check=True, timeout=600,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_program_refuses_what_it_would_cut_to_8_bits(tmp_path: Path) -> None:
    from tests.helpers.artifacts import artifact, network

    (tmp_path / "model.tflite").write_bytes(artifact(network("resize-bilinear", "relu"), "float"))
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_usage(tmp_path, "deep.png")
    assert "deep.png has more than 8 bits a channel" in failed.value.stderr


def test_the_card_has_the_tutorial_s_program(run: RunFolder, tmp_path: Path) -> None:
    tutorial = (Path(__file__).parents[3] / "docs" / "tutorials" / "ship.md").read_text()
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    block = f"```python\n{USAGE}```"
    assert block in tutorial
    assert block in (one.folder / "README.md").read_text()
