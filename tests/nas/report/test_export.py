from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from nas.errors import ConversionError, RunError
from nas.report.export import card_document, earlier_folders, export_models, model_folder_name
from nas.report.model_card import USAGE, model_card
from nas.storage.run_folder import RunFolder
from nas.study.pareto import distinct, front
from nas.system.hashing import file_sha256
from tests.helpers.fake_run import describe, make_results, make_run
from tests.helpers.report_pages import as_reported

FILES = ["README.md", "card.json", "model.tflite", "model.weights.h5", "numerics.yaml", "perf.yaml"]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run", 40)


def test_a_folder_for_each_model_of_the_front(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported = export_models(run, out, as_reported(run))
    members = [*front(run.results(), run.objectives()), run.results()[0]]  # the baseline
    assert [one.result.number for one in exported] == [member.number for member in members]
    assert len(members) > 2
    assert visible(out) == sorted(
        [*(model_folder_name(member) for member in members), "export.json", "pareto.csv"]
    )
    for one in exported:
        assert visible(one.folder) == FILES
        assert one.folder.stat().st_mode & 0o777 == 0o755
        text = (one.folder / "model.weights.h5").read_text()
        assert text == f"not real weights: {one.result.key}"


def test_baselines_are_exported_beside_the_front(run: RunFolder, tmp_path: Path) -> None:
    members = {member.key for member in front(run.results(), run.objectives())}
    (baseline,) = (result for result in run.results() if result.baseline)
    assert baseline.key not in members
    exported = export_models(run, tmp_path / "out", as_reported(run))
    assert [one.result.key for one in exported][len(members) :] == [baseline.key]
    rows = pd.read_csv(tmp_path / "out" / "pareto.csv")
    assert list(rows.loc[rows["baseline"], "key"]) == [baseline.key]
    assert not rows.loc[rows["baseline"], "pareto"].any()


def test_card_says_what_a_figure_needs(run: RunFolder, tmp_path: Path) -> None:
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    values = json.loads((one.folder / "card.json").read_text())
    assert values["key"] == one.result.key
    assert values["candidate"] == one.result.candidate
    assert values["metrics"]["psnr_db"] == one.result.metrics["psnr_db"].to_dict() | {
        "interval": None
    }
    assert values["metrics"]["latency_ms[host]"]["interval"] == list(
        one.result.metrics["latency_ms[host]"].interval or ()
    )
    assert values["rescored"]["psnr_db"] == one.result.value("psnr_db")
    assert values["schedule"] == describe()["study"]["schedule"]
    assert values["data"]["split"] == "photos-heldout"
    assert values["conditions"]["versions"] == {"python": "3.11.7"}
    for name in ("model.tflite", "model.weights.h5"):
        assert values["files"][name]["sha256"] == file_sha256(one.folder / name)
        assert values["files"][name]["bytes"] == (one.folder / name).stat().st_size


def test_a_card_says_how_far_seeds_move_its_psnr(run: RunFolder, tmp_path: Path) -> None:
    best = front(run.results(), run.objectives())[0]
    once = replace(best.metrics["psnr_db"], source="measured")
    again = replace(once, value=once.value + 0.1)
    for folder, psnr in ((run, once), (RunFolder(run.path / "replicates"), again)):
        folder.write_result(replace(best, metrics={**best.metrics, "psnr_db": psnr}))
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    said = json.loads((one.folder / "card.json").read_text())["metrics"]["psnr_db"]
    low, high = said["interval"]
    assert low < best.value("psnr_db") < high
    assert "mean over seeds" in said["conditions"]
    told = yaml.safe_load((one.folder / "numerics.yaml").read_text())["metrics"]["psnr_db"]
    assert told["interval"] == [low, high]
    assert f"| {low:.6g} to {high:.6g} |" in (one.folder / "README.md").read_text()
    assert pd.read_csv(tmp_path / "out" / "pareto.csv").loc[0, "psnr_db.high"] == high


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


def test_csv_has_a_row_for_each_model(run: RunFolder, tmp_path: Path) -> None:
    exported = export_models(run, tmp_path / "out", as_reported(run), everything=True)
    rows = pd.read_csv(tmp_path / "out" / "pareto.csv")
    every = distinct(run.results(), run.objectives())
    assert sorted(rows["trial"]) == [result.number for result in every]
    assert list(rows["psnr_db"]) == sorted(rows["psnr_db"], reverse=True)
    members = {member.key for member in front(run.results(), run.objectives())}
    assert set(rows.loc[rows["pareto"], "key"]) == members
    first = exported[0].result
    assert rows.iloc[0]["latency_ms[host]"] == pytest.approx(first.value("latency_ms[host]"))
    interval = first.metrics["latency_ms[host]"].interval
    assert interval is not None
    assert rows.iloc[0]["latency_ms[host].high"] == pytest.approx(interval[1])


def test_another_score_is_refused_with_both_figures(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    best = front(run.results(), run.objectives())[0]
    honest = as_reported(run)
    export_models(run, tmp_path / "near", lambda path: honest(path) + 0.9e-6)
    reported = best.value("psnr_db")
    both = (
        f"reported with {reported:.7f} dB, but its exported model scores {reported + 1e-4:.7f} dB"
    )
    with pytest.raises(ConversionError, match=re.escape(both)):
        export_models(run, out, lambda path: honest(path) + 1e-4)
    assert visible(out) == ["export.json"]


def test_what_came_before_a_failure_is_whole(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    members = front(run.results(), run.objectives())
    number = members[1].number
    (run.path / str(members[1].artifact)).unlink()
    with pytest.raises(
        RunError, match=rf"trial {number} can.t be exported: .*model\.tflite is missing"
    ):
        export_models(run, out, as_reported(run))
    assert visible(out) == sorted([model_folder_name(members[0]), "export.json"])
    assert visible(out / model_folder_name(members[0])) == FILES


def test_exporting_again_replaces_and_keeps(run: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = export_models(run, out, as_reported(run), everything=True)
    (everything[0].folder / "README.md").write_text("old")
    again = export_models(run, out, as_reported(run))
    assert (again[0].folder / "README.md").read_text() != "old"
    kept = {one.folder.name for one in everything} - {one.folder.name for one in again}
    assert set(earlier_folders(out, again)) == kept
    assert kept
    assert not [name for name in visible(out) if name.startswith(".")]


def test_other_content_is_refused(run: RunFolder, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty and holds no export"):
        export_models(run, mine, as_reported(run))
    assert visible(mine) == ["thesis.txt"]
    export_models(run, tmp_path / "out", as_reported(run))
    other = make_run(tmp_path / "other", 20, bound_ms=30.0)
    with pytest.raises(RunError, match="holds an export of another run"):
        export_models(other, tmp_path / "out", as_reported(other))
    with pytest.raises(RunError, match="is a file"):
        export_models(run, mine / "thesis.txt", as_reported(run))


def test_nothing_to_export(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 20, bound_ms=1.0)
    with pytest.raises(RunError, match="no complete trial that meets its constraints"):
        export_models(run, tmp_path / "out", as_reported(run))
    assert not (tmp_path / "out").exists()


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


def test_the_card_has_the_readme_s_program(run: RunFolder, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    one = export_models(run, tmp_path / "out", as_reported(run))[0]
    block = f"```python\n{USAGE}```"
    assert block in readme
    assert block in (one.folder / "README.md").read_text()
