"""Writes a run's trials into a store of MLflow: one SQLite file, an experiment a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nas.errors import ConfigError
from nas.report.tracking import LOSS, Handover, Tell, TrackedRun, TrackedTrial, made, missing

STORE = "mlflow.db"
CONTENT = "portable_nas.content"
"""A tag with the key of what was handed over, set last: a trial without it is not whole."""
_TRIAL = "portable_nas.trial"
_BATCH = 100  # of what MLflow takes at a time


def write_mlflow(run: TrackedRun, folder: Path, tell: Tell) -> Handover:
    """Write the trials into FOLDER/mlflow.db; those that are there as they should be stay.

    A trial that was written in part, or has changed, is deleted there and written anew. Raises
    ConfigError where MLflow is not installed, or refuses, RunError where no folder can be made.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise missing("mlflow", error) from error
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    made(folder)
    address = f"sqlite:///{(folder / STORE).resolve()}"
    try:
        written = _write(MlflowClient(tracking_uri=address), run, folder, tell)
    except MlflowException as error:
        raise ConfigError(f"MLflow refused {address}: {error}") from error
    command = f"mlflow ui --backend-store-uri sqlite:///{folder / STORE}"
    return Handover(written, len(run.trials) - written, command)


def _write(client: Any, run: TrackedRun, folder: Path, tell: Tell) -> int:
    experiment = _experiment(client, run, folder)
    there = list(_there(client, experiment))
    written = 0
    for index, trial in enumerate(run.trials):
        tell(index, len(run.trials))
        old = [one for one in there if one.data.tags.get(_TRIAL) == trial.name]
        if len(old) == 1 and old[0].data.tags.get(CONTENT) == trial.content:
            continue
        for one in old:
            client.delete_run(one.info.run_id)
        _write_trial(client, experiment, trial)
        written += 1
    return written


def _experiment(client: Any, run: TrackedRun, folder: Path) -> str:
    found = client.get_experiment_by_name(run.name)
    if found is not None:
        return str(found.experiment_id)
    artifacts = (folder / "artifacts").resolve().as_uri()
    tags = {"mlflow.note.content": run.description}
    return str(client.create_experiment(run.name, artifact_location=artifacts, tags=tags))


def _there(client: Any, experiment: str) -> Iterator[Any]:
    """Yield the runs that the experiment has, page by page."""
    token: str | None = None
    while True:
        page = client.search_runs([experiment], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _write_trial(client: Any, experiment: str, trial: TrackedTrial) -> None:
    from mlflow.entities import Metric, Param, RunTag

    began, ended = _milliseconds(trial.began), _milliseconds(trial.ended)
    made = client.create_run(
        experiment, start_time=began, run_name=trial.name, tags={_TRIAL: trial.name}
    )
    identity = made.info.run_id
    metrics = [Metric(LOSS, p.loss, _milliseconds(p.at), p.step) for p in trial.curve]
    metrics += [Metric(n, value, ended, trial.last_step) for n, value in trial.figures.items()]
    tags = dict(trial.tags)
    tags |= {f"source/{name}": source for name, source in trial.sources.items()}
    tags |= {f"conditions/{name}": text for name, text in trial.conditions.items()}
    for batch in _batches(metrics):
        client.log_batch(identity, metrics=batch)
    for batch in _batches([Param(name, str(value)) for name, value in trial.parameters.items()]):
        client.log_batch(identity, params=batch)
    for batch in _batches([RunTag(name, value) for name, value in tags.items()]):
        client.log_batch(identity, tags=batch)
    status = "FAILED" if trial.failed else "FINISHED"
    client.set_terminated(identity, status=status, end_time=ended)
    client.set_tag(identity, CONTENT, trial.content)


def _batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
