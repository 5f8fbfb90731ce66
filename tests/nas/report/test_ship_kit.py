"""What an exported model brings along: title, crops, layer counts, results, programs."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries
from PIL import Image

from nas.data.image_quality import psnr_db
from nas.devices.measurement import Placement
from nas.devices.names import DeviceName
from nas.errors import DataError
from nas.report.crops import CropComparison, compare_crops
from nas.report.export import export_models
from nas.report.ship_kit import (
    compute_unit,
    crops_picture,
    datasets,
    eval_results,
    layer_counts,
    primary_unit,
    readable_title,
)
from nas.storage.run_folder import RunFolder
from nas.study.metric import Metric
from nas.study.pareto import front
from nas.study.trial_result import TrialResult
from nas.system.files import write_json
from tests.helpers.artifacts import artifact, network
from tests.helpers.fake_run import describe, make_results, make_run
from tests.helpers.report_pages import open_model, pairs


def test_a_title_is_for_people() -> None:
    result = next(r for r in make_results(20) if r.state == "complete")
    candidate = {"architecture": {"family": "unet"}, "compression": {"precision": "int8-qat"}}
    timed = {"latency_ms[adb:1]": Metric(17.234, "measured")}
    result = replace(result, candidate=candidate, metrics=timed)
    names = {"adb:1": DeviceName("adb:1", "Pixel 8", "1")}
    title = "Deblurring U-Net, 8-bit, 17.2 ms on Pixel 8"
    assert readable_title(result, ["host", "adb:1"], names) == title
    candidate = {
        "architecture": {"family": "other"},
        "compression": {"precision": "float", "pruned_share": 0.3},
    }
    pruned = replace(result, candidate=candidate, metrics={})
    assert readable_title(pruned, ["host"], {}) == "Deblurring other, 32-bit float, 30 % pruned"


def test_operations_are_counted_by_unit() -> None:
    places = ["qti-dsp", "qti-dsp", "qti-gpu", "cpu", "nnapi-reference", "liteadaptor", None]
    counts = layer_counts(Placement(n, "CONV_2D", place) for n, place in enumerate(places))
    assert counts == {"total": 7, "npu": 2, "gpu": 1, "cpu": 2, "accelerator": 1, "unknown": 1}
    assert sum(counts.values()) == 2 * counts["total"]
    assert primary_unit({"total": 3, "npu": 1, "gpu": 0, "cpu": 2}) == "cpu"
    assert layer_counts([]) == {}
    named = {"xnnpack": "cpu", "google-edgetpu": "npu", "neuron-ann": "npu", "gpu": "gpu"}
    assert {name: compute_unit(name) for name in named} == named


def test_results_are_as_the_hub_reads_them() -> None:
    study = describe()["study"]
    study["data"]["spec"] = "reds:/home/somebody/REDS"
    result = next(r for r in make_results(20) if r.state == "complete")
    text = eval_results(study, result, "2026-01-02T03:04:05+0000")
    entries = parse_eval_result_entries(yaml.safe_load(text))
    assert [one.task_id for one in entries] == ["photos-heldout-psnr", "photos-heldout-ssim"]
    assert {one.dataset_id for one in entries} == {"REDS"}
    assert entries[0].value == pytest.approx(result.value("psnr_db"), abs=1e-6)
    assert str(entries[0].notes).startswith("psnr-rgb-u8-b0-imgmean")
    assert "somebody" not in text
    assert datasets(describe()["study"]) == []


def test_crops_stand_side_by_side() -> None:
    run_result = next(r for r in make_results(20) if r.artifact)
    comparisons = compare_crops(RunFolder(Path("/")), [run_result], pairs(), 2, open_model)
    picture = np.asarray(Image.open(io.BytesIO(crops_picture(comparisons))))
    height, width = comparisons[0].sharp.shape[:2]
    assert picture.shape == (2 * height + 6, 3 * width + 12, 3)
    for row, one in enumerate(comparisons):
        top = row * (height + 6)
        for column, crop in enumerate((one.blurred, one.restored[0].crop, one.sharp)):
            left = column * (width + 6)
            assert np.array_equal(picture[top : top + height, left : left + width], crop)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run whose models are real files, with a placement kept for the host."""
    run = make_run(tmp_path / "run", 20)
    places = [{"index": 0, "op": "CONV_2D", "accelerator": "xnnpack"}]
    write_json(run.path / "measurements" / "m.json", {"placement": places})
    notes = {"host": {"required": True, "measurement": "m", "failure": None}}
    for result in run.results():
        if result.artifact:
            file = run.path / result.artifact
            file.write_bytes(artifact(network("resize-bilinear", "relu"), "int8-ptq"))
            run.write_result(replace(result, conditions={**result.conditions, "devices": notes}))
    return run


def _exported(run: RunFolder, out: Path, compare: object) -> tuple[TrialResult, Path]:
    reported = iter(front(run.results(), run.objectives()))
    baseline = run.results()[0]

    def rescore(path: Path) -> float:
        return next(reported, baseline).value("psnr_db")

    one = export_models(run, out, rescore, compare=compare)[0]  # type: ignore[arg-type]
    return one.result, one.folder


def test_an_export_brings_its_kit(run: RunFolder, tmp_path: Path) -> None:
    made = list(pairs(1))

    def compare(result: TrialResult) -> list[CropComparison]:
        return list(compare_crops(run, [result], made, 1, open_model))

    result, folder = _exported(run, tmp_path / "out", compare)
    card = ModelCard.load(folder / "README.md")
    title = f"# Deblurring U-Net, {'8-bit' if 'int8' in result.label else '32-bit float'}, "
    assert title in card.text
    assert "](crops.png)" in card.text
    for name in ("restore.py", "restore.cpp", "Restorer.kt", "crops.png"):
        assert f"- `{name}`: " in card.text
        assert (folder / name).stat().st_size > 500
    assert f"// {title[2:]}" in (folder / "restore.cpp").read_text()
    files = json.loads((folder / "card.json").read_text())["files"]
    assert {"restore.cpp", "Restorer.kt", "crops.png", "model.tflite"} <= files.keys()
    (component,) = yaml.safe_load((folder / "perf.yaml").read_text())["precisions"].values()
    ((_, timed),) = component["components"][result.label]["performance_metrics"].items()
    assert timed["tflite"]["primary_compute_unit"] == "CPU"
    assert timed["tflite"]["layer_counts"] == {"total": 1, "npu": 0, "gpu": 0, "cpu": 1}
    assert (folder / ".eval_results" / "restoration.yaml").exists()
    with Image.open(folder / "crops.png") as picture:
        assert psnr_db(np.asarray(picture), np.asarray(picture)) > 60


def test_without_pictures_a_card_is_a_card(run: RunFolder, tmp_path: Path) -> None:
    def gone(result: TrialResult) -> list[CropComparison]:
        raise DataError("the pictures are gone")

    _, folder = _exported(run, tmp_path / "out", gone)
    assert not (folder / "crops.png").exists()
    assert "crops.png" not in (folder / "README.md").read_text()
