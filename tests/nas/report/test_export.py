from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from nas.errors import ConversionError, RunError
from nas.report.export import earlier_folders, export_models, model_folder_name
from nas.storage.run_folder import RunFolder
from nas.study.pareto import distinct, front
from nas.system.hashing import file_sha256
from tests.helpers.fake_run import describe, make_run
from tests.helpers.report_pages import as_reported

FILES = [
    ".eval_results", "README.md", "card.json", "model.tflite", "model.weights.h5", "numerics.yaml",
    "perf.yaml", "restore.py",
]  # fmt: skip


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


def test_an_onnx_file_beside_each_model_where_it_is_asked_for(
    run: RunFolder, tmp_path: Path
) -> None:
    def write_onnx(model: Path, out: Path) -> dict[str, float]:
        out.write_bytes(b"onnx of " + model.read_bytes())
        return {"largest": 2.0}

    exported = export_models(run, tmp_path / "out", as_reported(run), write_onnx=write_onnx)
    for one in exported:
        assert visible(one.folder) == sorted([*FILES, "model.onnx"])
        card = json.loads((one.folder / "card.json").read_text())
        assert card["onnx"] == {"largest": 2.0}
        assert card["files"]["model.onnx"]["sha256"] == file_sha256(one.folder / "model.onnx")


def test_a_model_without_an_onnx_form_is_not_exported(run: RunFolder, tmp_path: Path) -> None:
    def write_onnx(model: Path, out: Path) -> dict[str, float]:
        raise ConversionError("operation 3 has no translation to ONNX")

    out = tmp_path / "out"
    with pytest.raises(ConversionError, match="operation 3 has no translation"):
        export_models(run, out, as_reported(run), write_onnx=write_onnx)
    assert visible(out) == ["export.json"]
