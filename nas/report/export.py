"""Exports the Pareto models and baselines of a run as folders to ship, each checked once more.

out/export.json            which run this is an export of, and what was exported
out/pareto.csv             all exported models, a row each
out/LABEL-KEY/model.tflite, model.weights.h5, card.json, README.md, perf.yaml, numerics.yaml;
              model.onnx where it is asked for
out/LABEL-KEY/restore.py, restore.cpp, Restorer.kt, crops.png, .eval_results/restoration.yaml
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.devices.measurement import Placement
from nas.devices.names import DeviceName
from nas.errors import ConfigError, ConversionError, NasError, RunError
from nas.report.crops import CropComparison
from nas.report.model_card import (
    CPP,
    CROPS,
    KOTLIN,
    USAGE,
    USAGE_FILE,
    model_card,
    numerics,
    performance,
)
from nas.report.noise import noise_of, with_intervals
from nas.report.operations import kept_placement
from nas.report.programs import cpp_program, form_of, kotlin_program
from nas.report.ship_kit import crops_picture, eval_results, readable_title
from nas.storage.object_store import fetched
from nas.storage.run_devices import run_names
from nas.storage.run_folder import RunFolder
from nas.study.objectives import Objective
from nas.study.pareto import distinct, front
from nas.study.trial_result import TrialResult
from nas.system.files import cannot_write, read_json, write_atomically, write_json
from nas.system.hashing import content_key, file_sha256

TOLERANCE_DB = 1e-6
FORMAT = 1

RESULTS = ".eval_results/restoration.yaml"

Rescore = Callable[[Path], float]
WriteOnnx = Callable[[Path, Path], dict[str, Any]]
"""A function that writes the ONNX form of a `.tflite` to another path, and tells how far the two
agree, as JSON types.
"""
Compare = Callable[[TrialResult], Sequence[CropComparison]]
"""Restores crops of held-out pictures with a trial's model."""


@dataclass(frozen=True)
class ExportedModel:
    """One model that was exported: folder, trial, and the PSNR in dB that its copy scored."""

    folder: Path
    result: TrialResult
    rescored_psnr_db: float


def export_models(
    run: RunFolder,
    out: Path,
    rescore: Rescore,
    everything: bool = False,
    progress: Callable[[int, int, TrialResult], None] | None = None,
    write_onnx: WriteOnnx | None = None,
    compare: Compare | None = None,
) -> list[ExportedModel]:
    """Export the front's models, best first, then the study's other baselines.

    With `everything`, all complete feasible models.

    `rescore` returns the PSNR in dB of an artifact on the run's held-out pictures, taken as the
    search took it. Each model's folder appears whole or not at all, after its copied artifact
    scored what was reported. With `write_onnx` each folder holds model.onnx, too, and the card says
    how far it agrees with the `.tflite`. `compare` restores crops with a model for its card;
    without it, or where it fails, the card has no picture. Models that an earlier export of the
    same run left there stay.

    Raises RunError where `out` holds something else, a file is missing or nothing can be written;
    ConversionError, with both figures, where a model does not score what was reported.
    """
    description = run.description()
    objectives = run.objectives()
    results = run.results()
    results = with_intervals(results, noise_of(run, results))
    members = front(results, objectives)
    on_front = {result.key for result in members}
    models = _with_baselines(members, results, objectives)
    if everything:
        first = objectives[0]
        models = distinct(results, objectives)
        models = sorted(models, key=lambda model: first.loss(model.value(first.metric)))
    _check_models(run, models, results)
    identity = content_key({"created": description.get("created"), "study": description["study"]})
    _claim(out, run, identity)
    exported = []
    for index, result in enumerate(models):
        if progress is not None:
            progress(index, len(models), result)
        names = run_names(run, [result, *results])  # by its own measurement, if kept
        texts = partial(
            _write_texts, run, description, names=names, compare=compare, write_onnx=write_onnx
        )
        exported.append(_export_one(run, result, out, rescore, texts))
    _write_csv(out / "pareto.csv", exported, on_front)
    write_json(out / "export.json", _manifest(run, identity, exported))
    return exported


def _with_baselines(
    members: Sequence[TrialResult],
    results: Sequence[TrialResult],
    objectives: Sequence[Objective],
) -> list[TrialResult]:
    """Return the front's models, then the complete baselines that are not among them."""
    keys = {result.key for result in members}
    models = distinct(results, objectives)
    return [*members, *(r for r in models if r.baseline and r.key not in keys)]


def _check_models(
    run: RunFolder, models: Sequence[TrialResult], results: Sequence[TrialResult]
) -> None:
    """Raise RunError where a run has no model to export: none is feasible, or none was trained."""
    if not models:
        raise RunError(
            f"{run.path} has no complete trial that meets its constraints, so there is no model to "
            "export; let the search go on, or loosen the constraints"
        )
    if not any(result.artifact for result in results):
        raise RunError(
            f"{run.path} is a search whose figures are modelled: nothing was trained, so there is "
            f"no model to export. `nas pareto {run.path} --json` gives each network's "
            "`architecture`; `nas compress` trains one"
        )


def model_folder_name(result: TrialResult) -> str:
    """Return the name of a model's folder: its label in safe characters, then its key."""
    return f"{re.sub(r'[^a-z0-9]+', '-', result.label.lower()).strip('-')}-{result.key}"


def _claim(out: Path, run: RunFolder, identity: str) -> None:
    """Make `out`, or check that it is empty or holds an export of the same run."""
    manifest = out / "export.json"
    if manifest.exists():
        theirs = read_json(manifest)
        if not isinstance(theirs, dict) or theirs.get("run") != identity:
            raise RunError(
                f"{out} holds an export of another run; choose another folder, or remove it to "
                f"export {run.path} there"
            )
        return
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; choose a folder to export to")
    if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise RunError(
            f"{out} is not empty and holds no export; choose a new or an empty folder so that "
            "nothing of yours is mixed up"
        )
    write_json(manifest, {"format": FORMAT, "run": identity, "models": []})


def _export_one(
    run: RunFolder,
    result: TrialResult,
    out: Path,
    rescore: Rescore,
    write_texts: Callable[[Path, TrialResult, float], None],
) -> ExportedModel:
    """Fill a hidden folder beside the final one, check it, then put it in place."""
    target = out / model_folder_name(result)
    try:
        hidden = Path(tempfile.mkdtemp(dir=out, prefix=".export-"))
    except OSError as error:
        raise cannot_write(out, error) from error
    try:
        hidden.chmod(0o755)
        _copy(run, result.artifact, hidden / "model.tflite", result)
        _copy(run, result.weights, hidden / "model.weights.h5", result)
        rescored = rescore(hidden / "model.tflite")
        _check(result, rescored)
        write_texts(hidden, result, rescored)
        _replace(hidden, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return ExportedModel(target, result, rescored)


def _copy(run: RunFolder, source: str | None, target: Path, result: TrialResult) -> None:
    path = fetched(run, result.number, source) if source else None
    if path is None or not path.is_file():
        raise RunError(
            f"trial {result.number} can't be exported: {path or 'its ' + target.name} is missing; "
            f"remove {run.trial(result.number)} and start the search again to have it redone"
        )
    shutil.copyfile(path, target)


def _check(result: TrialResult, rescored: float) -> None:
    reported = result.value("psnr_db")
    if abs(rescored - reported) > TOLERANCE_DB:
        raise ConversionError(
            f"trial {result.number} ({result.label}) was reported with {reported:.7f} dB, but its "
            f"exported model scores {rescored:.7f} dB on the same pictures; it was not exported. "
            "Its artifact, the pictures or the runtime's version changed since the search"
        )


def _write_texts(
    run: RunFolder,
    description: dict[str, Any],
    folder: Path,
    result: TrialResult,
    rescored: float,
    *,
    names: Mapping[str, DeviceName],
    compare: Compare | None,
    write_onnx: WriteOnnx | None,
) -> None:
    """Write everything that an exported model has beside its file and its weights."""
    study = description["study"]
    _write_programs(folder, readable_title(result, study["devices"], names))
    _write_crops(folder, result, compare)
    model = folder / "model.tflite"
    onnx = write_onnx(model, folder / "model.onnx") if write_onnx else None
    files = {
        path.name: {"sha256": file_sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    card = card_document(description, result, rescored, files, names)
    write_json(folder / "card.json", card if onnx is None else {**card, "onnx": dict(onnx)})
    texts = {
        "README.md": model_card(description, result, names, files),
        "perf.yaml": performance(description, result, names, _placements(run, result)),
        "numerics.yaml": numerics(description, result, rescored),
        RESULTS: eval_results(study, result, str(description.get("created", ""))),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def _write_programs(folder: Path, title: str) -> None:
    """Write the programs that run the model; only the Python one for a file of an unusual form."""
    (folder / USAGE_FILE).write_text(USAGE)
    try:
        form = form_of(folder / "model.tflite")
    except ConfigError:
        return
    (folder / CPP).write_text(cpp_program(form, title))
    (folder / KOTLIN).write_text(kotlin_program(form, title))


def _write_crops(folder: Path, result: TrialResult, compare: Compare | None) -> None:
    try:
        comparisons = compare(result) if compare else ()
    except NasError:
        return  # a card without a picture is a card all the same
    if comparisons:
        (folder / CROPS).write_bytes(crops_picture(comparisons))


def _placements(run: RunFolder, result: TrialResult) -> dict[str, tuple[Placement, ...]]:
    """Return where the operations ran, by device, as far as the run's folder tells."""
    notes = result.conditions.get("devices", {})
    return {device: kept_placement(run, note["measurement"]) for device, note in notes.items()}


def card_document(
    description: dict[str, Any],
    result: TrialResult,
    rescored: float,
    files: dict[str, Any],
    names: Mapping[str, DeviceName] | None = None,
) -> dict[str, Any]:
    """Return what card.json holds: everything that a model's figures need to be believed."""
    study = description["study"]
    return {
        "format": FORMAT,
        "key": result.key,
        "label": result.label,
        "trial": result.number,
        "candidate": result.candidate,
        "metrics": {name: metric.to_dict() for name, metric in result.metrics.items()},
        "rescored": {"psnr_db": rescored, "tolerance_db": TOLERANCE_DB},
        "devices": {device: name.to_dict() for device, name in (names or {}).items()},
        "constraints": dict(result.violations),
        "size": study["size"],
        "data": {**study["data"], "spec": study["data"]["spec"].partition(":")[0]},  # no paths
        "schedule": study["schedule"],
        "study": {"name": study["name"], "seed": study["seed"], "created": description["created"]},
        "conditions": {**description.get("conditions", {}), **result.conditions},
        "files": files,
    }


def _replace(hidden: Path, target: Path) -> None:
    """Put a finished folder in place of an earlier one of the same model."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".old-"))
        os.replace(target, old / target.name)
    os.replace(hidden, target)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _write_csv(path: Path, exported: Sequence[ExportedModel], on_front: set[str]) -> None:
    import pandas as pd

    rows = []
    for model in exported:
        result = model.result
        row: dict[str, Any] = {
            "folder": model.folder.name,
            "key": result.key,
            "label": result.label,
            "trial": result.number,
            "pareto": result.key in on_front,
            "baseline": result.baseline,
        }
        for name, metric in result.metrics.items():
            row[name] = metric.value
            row[f"{name}.source"] = metric.source
            if metric.disturbed:
                row[f"{name}.taken_on_busy_processor"] = metric.disturbed
            if metric.interval:
                row[f"{name}.low"], row[f"{name}.high"] = metric.interval
        rows.append(row)
    text = io.StringIO()
    pd.DataFrame(rows).to_csv(text, index=False)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def _manifest(run: RunFolder, identity: str, exported: Sequence[ExportedModel]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "run": identity,
        "name": run.path.resolve().name,
        "models": [
            {"folder": model.folder.name, "key": model.result.key, "trial": model.result.number}
            for model in exported
        ],
    }


def earlier_folders(out: Path, exported: Sequence[ExportedModel]) -> list[str]:
    """Return the model folders of earlier exports in `out` that this one did not write."""
    now = {model.folder.name for model in exported}
    cards = (path for path in sorted(out.glob("*/card.json")) if path.parent.name not in now)
    return [path.parent.name for path in cards]
