import errno
import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from nas.errors import RunError
from nas.storage.journal import RunJournal, rewrite

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def _storage(path: Path) -> tuple[RunJournal, JournalStorage]:
    journal = RunJournal(path)
    return journal, JournalStorage(journal)


def _study(storage: JournalStorage) -> optuna.Study:
    return optuna.create_study(
        study_name="search",
        storage=storage,
        directions=["maximize", "minimize"],
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(0),
    )


def _fill(study: optuna.Study, trials: int) -> None:
    study.set_metric_names(["psnr_db", "latency_ms"])
    study.enqueue_trial({"width": 24}, user_attrs={"baseline": True})
    for number in range(trials):
        trial = study.ask()
        width = trial.suggest_categorical("width", (8, 16, 24))
        trial.suggest_float("share", 0.0, 0.7)
        trial.set_user_attr("candidate", f"k{number}")
        trial.set_constraint("latency_ms<=50", number - 3.0)
        if number % 5 == 4:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [25.0 + width, 10.0 * number])
    study.ask().suggest_categorical("width", (8, 16, 24))  # running
    study.enqueue_trial({"width": 8})  # waiting


def _seen_by_optuna(path: Path) -> tuple[Any, list[FrozenTrial]]:
    """As Optuna's own backend reads the file."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="search", storage=storage)
    return (study.directions, study.metric_names), study.trials


def test_optunas_own_backend_reads_it_before_and_after_it_is_written_anew(tmp_path: Path) -> None:
    journal, storage = _storage(tmp_path / "journal")
    study = _study(storage)
    _fill(study, 12)
    journal.sync()
    before = _seen_by_optuna(tmp_path / "journal")
    assert before == ((study.directions, study.metric_names), study.trials)
    states = [trial.state for trial in before[1]]
    assert states.count(TrialState.RUNNING) == states.count(TrialState.WAITING) == 1
    lines = len((tmp_path / "journal").read_bytes().splitlines())
    rewrite(storage, tmp_path / "journal")
    assert _seen_by_optuna(tmp_path / "journal") == before
    assert len((tmp_path / "journal").read_bytes().splitlines()) == 2 + 14 < lines


def test_a_study_goes_on_over_a_tidied_journal(tmp_path: Path) -> None:
    journal, storage = _storage(tmp_path / "journal")
    study = _study(storage)
    _fill(study, 200)
    journal.write()
    journal.tidy(storage, 200)
    assert len((tmp_path / "journal").read_bytes().splitlines()) == 2 + 202
    journal.tidy(storage, 200)  # nothing new: left alone
    trial = study.ask()
    assert trial.suggest_categorical("width", (8, 16, 24)) == 8  # the waiting one
    study.tell(trial, [30.0, 1.0])
    journal.write()
    other, storage = _storage(tmp_path / "journal")
    again = _study(storage)
    assert again.trials == study.trials == _seen_by_optuna(tmp_path / "journal")[1]
    running = [t for t in again.trials if t.state == TrialState.RUNNING]
    again.tell(running[0].number, [26.0, 2.0])
    other.write()
    assert _seen_by_optuna(tmp_path / "journal")[1][running[0].number].values == [26.0, 2.0]


def test_an_attribute_that_took_long_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    storage = JournalStorage(RunJournal(path, ("dear",)))
    study = _study(storage)
    trial = study.ask()
    storage.set_trial_system_attr(trial._trial_id, "cheap", 1)
    assert not path.exists() or not path.read_bytes()
    storage.set_trial_system_attr(trial._trial_id, "dear", 2)
    assert _seen_by_optuna(path)[1][trial.number].system_attrs == {"cheap": 1, "dear": 2}


def test_a_full_disk_leaves_no_half_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, storage = _storage(tmp_path / "journal")
    study = _study(storage)
    journal.write()
    whole = (tmp_path / "journal").read_bytes()

    def half(self: Path, mode: str) -> Any:
        return _HalfWritten(open(self, mode))

    monkeypatch.setattr(Path, "open", half)
    study.ask()
    with pytest.raises(RunError, match=r"the disk is full: can't write .*journal"):
        journal.write()
    monkeypatch.undo()
    assert (tmp_path / "journal").read_bytes() == whole
    journal.sync()
    assert len(_seen_by_optuna(tmp_path / "journal")[1]) == 1


class _HalfWritten:
    """A file that takes ten bytes, then says that the disk is full."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> "_HalfWritten":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tell(self) -> int:
        return int(self._file.tell())

    def write(self, content: bytes) -> None:
        os.write(self._file.fileno(), content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_damaged_journal_says_where(tmp_path: Path) -> None:
    journal, storage = _storage(tmp_path / "journal")
    _study(storage)
    journal.write()
    with (tmp_path / "journal").open("ab") as file:
        file.write(b"not JSON\n")
    with pytest.raises(RunError, match=r"journal, line 2, is damaged: .* Move the file away"):
        _storage(tmp_path / "journal")
