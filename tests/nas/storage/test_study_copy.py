"""A study in a journal that is only read; moves between places are in `test_contract.py`."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage

from nas.errors import ConfigError, RunError
from nas.storage.journal import RunJournal
from nas.storage.run_folder import RunFolder
from nas.storage.study_copy import copy_study, read_only


def test_a_journal_is_read_as_a_study(tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "journal")
    study = optuna.create_study(study_name="search", storage=JournalStorage(journal))
    study.tell(study.ask(), 2.5)
    journal.write()
    again = optuna.load_study(study_name="search", storage=read_only(tmp_path / "journal"))
    assert [trial.values for trial in again.trials] == [[2.5]]


def test_a_place_that_is_no_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected postgresql://USER"):
        read_only("mysql://db/nas")


def test_a_folder_without_a_run_has_no_study_to_copy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is no run's folder: it has no run\.json"):
        copy_study(RunFolder(tmp_path), "postgresql://nas@127.0.0.1/nas", to_database=True)
