"""What every place that keeps a run must do: for Optuna's studies, and for copies of trials.

Optuna's own cases for storages run on our journal. The contract below them holds for each place
that a study may lie in: it survives its process, and moves to any other place as it is.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import TrialState

from nas.errors import RunError
from nas.storage.journal import RunJournal, rewrite
from nas.storage.object_store import ObjectStore, StoreError, fetched
from nas.storage.postgres import copy, shared_study
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
STUDY = "search"


class _JournalCases(StorageTestCase):
    """Optuna's cases; a journal has one writer and is not pickled: others open its file."""

    __test__ = False

    def test_pickle_storage(self, storage: BaseStorage, tmp_path: Path) -> None:
        study_id = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], STUDY)
        storage.set_study_user_attr(study_id, "key", "value")
        rewrite(storage, tmp_path / "journal")
        other = JournalStorage(RunJournal(tmp_path / "journal"))
        assert other.get_study_user_attrs(other.get_study_id_from_name(STUDY)) == {"key": "value"}


class TestRunJournal(_JournalCases):
    __test__ = True

    @pytest.fixture
    def storage(self, tmp_path: Path) -> BaseStorage:
        return JournalStorage(RunJournal(tmp_path / "journal"))


class TestRunJournalOnDisk(_JournalCases):
    __test__ = True

    @pytest.fixture
    def storage(self, tmp_path: Path) -> BaseStorage:
        return JournalStorage(_Written(tmp_path / "journal"))


class _Written(RunJournal):  # type: ignore[misc]
    """A journal that is written at every entry, and whose entries are read back from the file."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        super().append_logs(logs)
        self.write()


class _Place:
    """A place for one study: `open` gives its storage as a new process would see it."""

    def __init__(self, open_: Callable[[], BaseStorage], study_name: str) -> None:
        self.open, self.study_name = open_, study_name
        self.write: Callable[[], None] = lambda: None

    def study(self) -> optuna.Study:
        return optuna.create_study(
            study_name=self.study_name,
            storage=self.open(),
            directions=["maximize", "minimize"],
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(0),
        )


def _journal(path: Path) -> _Place:
    def open_() -> BaseStorage:
        place.write()
        journal = RunJournal(path)
        place.write = journal.sync
        return JournalStorage(journal)

    place = _Place(open_, STUDY)
    return place


def _memory() -> _Place:
    storage = InMemoryStorage()
    return _Place(lambda: storage, STUDY)


KINDS = ("journal", "memory", "postgresql")


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], _Place]]:
    """Makes an empty place of a kind."""
    with ExitStack() as stack:

        def make_(kind: str) -> _Place:
            if kind == "memory":
                return _memory()
            name = uuid.uuid4().hex
            if kind == "journal":
                return _journal(tmp_path / name)
            database = request.getfixturevalue("database")
            stack.enter_context(shared_study(database, name, "a"))
            return _Place(lambda: shared(database), name)

        def shared(database: str) -> BaseStorage:
            from nas.storage.postgres import open_storage

            storage: BaseStorage = open_storage(database)
            return storage

        yield make_


def _fill(study: optuna.Study) -> None:
    """Trials in every state, with parameters of every kind, values at the edges, attributes."""
    study.set_metric_names(["psnr_db", "latency_ms"])
    study.set_user_attr("fingerprint", "0123")
    study.enqueue_trial({"width": 24}, user_attrs={"baseline": True})
    values = [[30.5, 1e-9], [-1e300, 12.0], [25.0, float("inf")]]
    for number, value in enumerate(values):
        trial = study.ask()
        trial.suggest_categorical("width", (8, 16, 24))
        trial.suggest_categorical("kind", ("a", None, True, 1.5))
        trial.suggest_int("depth", 1, 64, log=True)
        trial.suggest_float("share", 0.0, 0.7, step=0.1)
        trial.set_user_attr("candidate", f"k{number} \u00e4\n")
        trial.set_user_attr("rungs", {"gains": [{"psnr_db": 0.25}], "spared": False})
        trial.set_constraint("latency_ms[host]<=50", number - 1.5)
        study.tell(trial, value)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.tell(study.ask(), state=TrialState.PRUNED)
    study.ask().suggest_categorical("width", (8, 16, 24))  # running
    study.enqueue_trial({"width": 8})  # waiting


def _content(study: optuna.Study) -> tuple[Any, ...]:
    """All of a study that a search reads; trials' internal numbers are the storage's own."""
    trials = [
        (
            trial.number,
            trial.state,
            trial.values,
            list(trial.params.items()),
            trial.distributions,
            trial.user_attrs,
            trial.constraints,
            trial.system_attrs,
        )
        for trial in study.get_trials(deepcopy=False)
    ]
    return study.directions, study.metric_names, study.user_attrs, trials


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_is_read_back_by_the_next_process(make: Callable[[str], _Place], kind: str) -> None:
    place = make(kind)
    study = place.study()
    _fill(study)
    before = _content(study)
    states = [trial[1] for trial in before[3]]
    assert states[:5] == [TrialState.COMPLETE] * 3 + [TrialState.FAIL, TrialState.PRUNED]
    assert states[5:] == [TrialState.RUNNING, TrialState.WAITING]
    assert _content(place.study()) == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_process_goes_on_where_the_last_one_stopped(
    make: Callable[[str], _Place], kind: str
) -> None:
    place = make(kind)
    _fill(place.study())
    study = place.study()
    waiting = study.ask()
    assert waiting.number == 6
    assert waiting.suggest_categorical("width", (8, 16, 24)) == 8
    study.tell(waiting, [31.0, 2.0])
    study.tell(5, [26.0, 3.0])  # the running one
    assert study.ask().number == 7
    again = place.study().get_trials(deepcopy=False)
    assert [trial.values for trial in again[5:7]] == [[26.0, 3.0], [31.0, 2.0]]
    assert [trial.state for trial in again[5:]] == [
        TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_trial_stays_as_it_is(make: Callable[[str], _Place], kind: str) -> None:
    place = make(kind)
    _fill(place.study())
    storage = place.open()
    study = place.study()
    before = _content(study)
    finished = study.get_trials(deepcopy=False)[0]._trial_id
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        storage.set_trial_user_attr(finished, "candidate", "another")
    with pytest.raises(UpdateFinishedTrialError, match="already finished"):
        storage.set_trial_state_values(finished, TrialState.COMPLETE, [1.0, 2.0])
    assert _content(place.study()) == before


@pytest.mark.parametrize(("source", "target"), product(KINDS, KINDS))
def test_a_study_moves_from_any_place_to_any_other(
    make: Callable[[str], _Place], source: str, target: str
) -> None:
    here, there = make(source), make(target)
    study = here.study()
    _fill(study)
    before = _content(study)
    assert copy(here.open(), here.study_name, there.open(), there.study_name) == 7
    assert _content(there.study()) == before
    assert _content(here.study()) == before
    with pytest.raises(RunError, match=f"has a study '{there.study_name}' already; nothing was"):
        copy(here.open(), here.study_name, there.open(), there.study_name)
    with pytest.raises(RunError, match="the source has no study 'nothing'"):
        copy(here.open(), "nothing", there.open(), "elsewhere")
    assert _content(there.study()) == before


def test_a_journal_that_is_written_anew_holds_the_same(tmp_path: Path) -> None:
    place = _journal(tmp_path / "journal")
    _fill(place.study())
    storage = place.open()
    before = _content(place.study())
    rewrite(storage, tmp_path / "again")
    assert _content(_journal(tmp_path / "again").study()) == before


def _run(folder: Path) -> RunFolder:
    """A run of two trials: one with an artifact and weights, one that failed."""
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    study = {"name": "small", "data": {"spec": "photos"}}
    (folder / "run.json").write_text(json.dumps({"study": study}))
    artifact, weights = "trials/00000/model.tflite", "weights/abc/final.weights.h5"
    for name in (artifact, weights):
        path = run.path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(hashlib.sha256(name.encode()).digest() * 100)
    whole = TrialResult(0, "k0", "one", {}, "complete", artifact=artifact, weights=weights)
    for result in (whole, TrialResult(1, "k1", "two", {}, "failed")):
        run.write_result(result)
    return run


def _sent(run: RunFolder, url: str) -> ObjectStore:
    store = ObjectStore(url, "run")
    store.claim(run)
    for number in (0, 1):
        store.send(run, number)
    return store


def test_copies_give_back_every_file_byte_by_byte(url: str, tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    assert ObjectStore(url, "run").numbers() == set()
    store = _sent(run, url)
    assert store.numbers() == {0, 1}
    assert store.has(run, 0)
    again = RunFolder(tmp_path / "elsewhere" / "run")
    other = ObjectStore(url, "run")
    other.claim(again)
    assert other.restore(again) == 2
    assert other.restore(again) == 0
    assert again.results() == run.results()
    assert again.description() == run.description()
    for name in ("trials/00000/model.tflite", "weights/abc/final.weights.h5"):
        assert not (again.path / name).exists()  # fetched when it is asked for
        assert fetched(again, 0, name).read_bytes() == (run.path / name).read_bytes()
    with pytest.raises(StoreError, match=r"has no trials/00001/model\.tflite of trial 1"):
        other.fetch(again, 1, "trials/00001/model.tflite")


def test_a_copy_of_another_candidate_is_never_overwritten(url: str, tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    _sent(run, url)
    run.write_result(TrialResult(1, "k9", "another", {}, "failed"))
    assert not ObjectStore(url, "run").has(run, 1)
    with pytest.raises(RunError, match=r"has another candidate as trial 1 \(k1, here k9\)"):
        ObjectStore(url, "run").send(run, 1)
    shutil.rmtree(run.trial(1))
    assert ObjectStore(url, "run").restore(run) == 1
    assert run.results()[1].key == "k1"


def test_a_place_that_holds_another_run_is_refused(url: str, tmp_path: Path) -> None:
    _sent(_run(tmp_path / "a" / "run"), url)
    other = _run(tmp_path / "b" / "run")
    (other.path / "run.json").write_text('{"study": {"name": "other", "data": {"spec": ""}}}')
    with pytest.raises(RunError, match=r"holds another run than .*: name this run's folder other"):
        ObjectStore(url, "run").claim(other)
    assert ObjectStore(url, "another name").numbers() == set()
