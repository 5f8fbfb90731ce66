"""A run's Optuna study read without changing it, and copied to another storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from nas.errors import RunError
from nas.storage.journal import RunJournal
from nas.storage.postgres import copy, open_storage, public, shared_study
from nas.storage.run_folder import RunFolder
from nas.system.files import held
from nas.system.hashing import content_key

_STUDY = "search"


def read_only(place: Path | str) -> Any:
    """Open Optuna's storage of a study that is only read.

    `place` is the path of a copy of a journal, or the URL of a database. Raises RunError where it
    can't be read.
    """
    if isinstance(place, Path):
        return optuna.storages.JournalStorage(RunJournal(place))
    return open_storage(place)


def copy_study(run: RunFolder, url: str, to_database: bool) -> int:
    """Copy a run's study from its journal to a database, or back; the run goes on with the copy.

    Returns the number of trials. Raises RunError where a driver holds either, or the target has a
    study of that name.
    """
    name = run.path.resolve().name
    fingerprint = content_key(dict(run.description()["study"]))
    with held(run.path), shared_study(url, name, fingerprint) as shared:
        if to_database:
            if not run.journal.exists():
                raise RunError(f"{run.journal} is missing: there is no study to copy")
            journal = optuna.storages.JournalStorage(RunJournal(run.journal))
            trials = copy(journal, _STUDY, shared.storage, name)
            shared.check(optuna.load_study(study_name=name, storage=shared.storage))
            run.keep_storage(public(url))
            run.journal.rename(run.journal.with_suffix(".copied"))
            return trials
        if run.journal.exists():
            raise RunError(f"{run.journal} exists; move it away first")
        shared.check(shared.load())
        made = RunJournal(run.journal)
        trials = copy(shared.storage, name, optuna.storages.JournalStorage(made), _STUDY)
        made.sync()
        run.keep_storage(None)
        return trials
