"""Makes the study that optuna-dashboard shows: the run's own, with names, notes, curves, crops.

It is a copy in memory. Nothing is written into the run's folder.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from nas.errors import NasError
from nas.report.budget import models_to_picture
from nas.report.crops import compare_crops, heldout_pairs
from nas.report.loss_curve import loss_curve
from nas.report.report_data import ReportData, gather
from nas.report.ship_kit import crops_picture
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult

PICTURED = 6  # models of the front with crops


@dataclass(frozen=True)
class _Place:
    """A finished trial as optuna-dashboard's notes take it."""

    storage: Any
    study: Any
    _trial_id: int


def dashboard_storage(run: RunFolder, journal: Any, store: Any | None, folder: Path) -> Any:
    """Return a storage with the run's study as people should see it.

    `journal` is Optuna's storage of the run. `store` is the artifact store that crops are put into;
    None for none. `folder` is for files on their way there. Raises RunError as `gather`.
    """
    from optuna_dashboard import save_note

    data = gather(run)
    source = optuna.load_study(study_name=_only(journal), storage=journal)
    storage = optuna.storages.InMemoryStorage()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name=_name(data), directions=source.directions
    )
    by_number = {result.number: result for result in data.results}
    crops = {} if store is None else _crops(run, data, study, store, folder)
    for trial in source.get_trials(deepcopy=False):
        own = by_number.get(trial.number)
        study.add_trial(_trial(run, data, trial, own, crops.get(trial.number, {})))
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        study.set_metric_names([data.title(o.metric) for o in data.objectives])
    save_note(study, _study_note(run, data))
    numbers = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
    for number, result in by_number.items():
        if number in numbers:
            save_note(_Place(storage, study, numbers[number]), _note(data, result))
    return storage


def _only(journal: Any) -> str:
    return str(journal.get_all_studies()[0].study_name)


def _name(data: ReportData) -> str:
    study = str(data.study["name"])
    return study if study == data.name else f"{study} ({data.name})"


def _trial(
    run: RunFolder,
    data: ReportData,
    trial: optuna.trial.FrozenTrial,
    result: TrialResult | None,
    links: dict[str, Any],
) -> optuna.trial.FrozenTrial:
    """Return a copy of a trial with its figures as attributes, its loss by steps, its crops."""
    attributes = dict(trial.user_attrs)
    if result is not None:
        attributes |= {"network": result.label, "state": result.state}
        attributes |= {data.title(name): m.value for name, m in result.metrics.items()}
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values if trial.state == optuna.trial.TrialState.COMPLETE else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=attributes,
        system_attrs={**trial.system_attrs, **links},
        intermediate_values={p.step: p.loss for p in loss_curve(run.log(trial.number))},
    )


def _study_note(run: RunFolder, data: ReportData) -> str:
    lines = [f"# {_name(data)}", str(data.study["description"])]
    if data.verdict:
        lines.append(data.verdict)
    lines.append(f"On the front: trials {', '.join(str(r.number) for r in data.front) or 'none'}.")
    lines.append(f"The report: `{run.path / 'report' / 'index.html'}`, by `nas report {run.path}`.")
    lines += [f"- {name.full}" for name in data.names.values()]
    return "\n\n".join(lines)


def _note(data: ReportData, result: TrialResult) -> str:
    """Return a trial's note: what it is, its figures with their sources, and why it ended so."""
    on_front = ", on the front" if result in data.front else ""
    lines = [f"## {result.label}", f"{result.state}{on_front}"]
    if result.failure is not None:
        lines.append(f"{result.failure.kind}: {data.named(result.failure.message)}")
    rows = ["| figure | value | source |", "|-|-|-|"]
    for name, metric in result.metrics.items():
        rows.append(f"| {data.title(name)} | {metric.value:.5g} | {metric.source} |")
    return "\n\n".join([*lines, "\n".join(rows)])


def _crops(
    run: RunFolder, data: ReportData, study: Any, store: Any, folder: Path
) -> dict[int, dict[str, Any]]:
    """Restore a picture with the front's models; return what links it to their trials, by number.

    Optuna takes no artifacts for finished trials, so they are put in as the study's, and trials get
    the same attribute. Nothing where the pictures can't be had.
    """
    models: Sequence[TrialResult] = models_to_picture(data, PICTURED)
    links: dict[int, dict[str, Any]] = {}
    for model in models if data.trained else ():
        try:
            comparisons = compare_crops(run, [model], heldout_pairs(data.study), count=1)
        except NasError:
            return links
        path = folder / f"trial-{model.number}.png"
        path.write_bytes(crops_picture(comparisons))
        identity = optuna.artifacts.upload_artifact(
            artifact_store=store, file_path=str(path), study_or_trial=study
        )
        attributes = study._storage.get_study_system_attrs(study._study_id)
        links[model.number] = {k: v for k, v in attributes.items() if k.endswith(identity)}
    return links
