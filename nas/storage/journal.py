"""The file in which a run's Optuna study is kept: Optuna's own journal format, one writer.

Optuna writes a line for every parameter, attribute and state, and replays them all when a study is
opened again: 14 a trial, seconds for a long run. This backend writes the same lines without a file
lock (the run's folder is held), remembers its own instead of reading them back, and from time to
time writes the file anew with one line a trial. Whatever reads Optuna's journals reads it.
"""

from __future__ import annotations

import functools
import json
import math
import os
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, final

import optuna.storages.journal._storage
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from nas.errors import RunError
from nas.system.files import cannot_write, write_atomically

_journal_module: Any = optuna.storages.journal._storage


@final
class RunJournal(BaseJournalBackend):
    """The journal at `path`, written and read by this process alone.

    `at_once` are names of trials' system attributes that took long to find out: they are written as
    soon as they are set.

    Half a line at its end, which a kill or a power cut may leave, is cut off. Raises RunError where
    the file can't be read or written.
    """

    def __init__(self, path: Path, at_once: Collection[str] = ()) -> None:
        _share_distributions()
        self._path, self._at_once = path, at_once
        self._own: list[dict[str, Any]] = []  # taken, and not yet read back by the storage
        self._pending: list[dict[str, Any]] = []  # taken, and not yet in the file
        self._known = 0  # how many entries the storage has seen
        self._loose = 0  # entries since the file was last written anew
        self._unsynced, self._synced_at = False, -math.inf
        _drop_half_line(path)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the entries from this number on; the file is read once, at the first call."""
        if log_number_from == 0 and self._known == 0 and self._path.exists():
            self._own = list(_entries(self._path))
        del self._own[: log_number_from - self._known]
        self._known = log_number_from
        return iter(list(self._own))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take entries; `write` puts them into the file, as do attributes of `at_once`."""
        self._own += logs
        self._pending += logs
        if any(name in log.get("system_attr", ()) for log in logs for name in self._at_once):
            self.write()

    def write(self) -> None:
        """Append what is pending, all of it or nothing: a kill leaves no trial half asked for.

        It survives this process; `sync` makes it survive a crash of the machine.
        """
        if not self._pending:
            return
        try:
            with self._path.open("ab") as file:
                whole = file.tell()
                try:
                    file.write(_lines(self._pending))
                    file.flush()
                except OSError:
                    os.truncate(self._path, whole)
                    raise
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._loose += len(self._pending)
        self._pending, self._unsynced = [], True

    def sync(self, every_s: float = 0.0) -> None:
        """Write, and wait until it is on the disk; no waiting if that was done `every_s` ago."""
        self.write()
        if not self._unsynced or time.monotonic() - self._synced_at < every_s:
            return
        try:
            with self._path.open("ab") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._unsynced, self._synced_at = False, time.monotonic()

    def tidy(self, storage: JournalStorage, trials: int) -> None:
        """Write the file anew, one entry a trial, when that has become worth its time.

        Costs about 0.1 ms a trial, at most once in as many entries as half the trials.
        """
        if self._loose > 1000 + trials // 2:
            rewrite(storage, self._path)
            self._loose, self._pending, self._unsynced = 0, [], False


def rewrite(storage: JournalStorage, path: Path) -> None:
    """Write everything that `storage` holds to a journal at `path`, one entry a trial.

    Raises RunError where the file can't be written; the old one is left as it was.
    """
    collected = _Collected()
    twin = JournalStorage(collected)
    for study in storage.get_all_studies():
        study_id = twin.create_new_study(study.directions, study.study_name)
        for name, value in study.user_attrs.items():
            twin.set_study_user_attr(study_id, name, value)
        for name, value in study.system_attrs.items():
            twin.set_study_system_attr(study_id, name, value)
        for trial in storage.get_all_trials(study._study_id, deepcopy=False):
            twin.create_new_trial(study_id, trial)
    write_atomically(path, lambda file: file.write(_lines(collected.logs)))


class _Collected(BaseJournalBackend):
    """A journal in memory, which collects entries."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self.logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def _lines(logs: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open("rb") as file:
            for line in file:
                number += 1
                yield json.loads(line)
    except ValueError as error:
        raise RunError(
            f"{path}, line {number}, is damaged: {error}. Move the file away: it is made again "
            "from the run's results"
        ) from error
    except OSError as error:
        raise RunError(f"can't read {path}: {error.strerror}") from error


def _drop_half_line(path: Path) -> None:
    if not path.exists():
        return
    try:
        with path.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
    except OSError as error:
        raise cannot_write(path, error) from error


def _share_distributions() -> None:
    """Let Optuna's journal parse each distinct distribution once, not once a trial and parameter.

    That and comparing them is nearly half of the time that reopening a long run takes. Both names
    are private to Optuna; where a release lacks one, reopening is merely slower.
    """
    parse = getattr(_journal_module, "json_to_distribution", None)
    compare = getattr(_journal_module, "check_distribution_compatibility", None)
    if parse is None or compare is None or hasattr(parse, "cache_info"):
        return

    def check(old: Any, new: Any) -> None:
        if old is not new:
            compare(old, new)

    _journal_module.json_to_distribution = functools.cache(parse)
    _journal_module.check_distribution_compatibility = check
