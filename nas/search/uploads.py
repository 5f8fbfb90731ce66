"""Sends finished trials to a run's object store, beside the search and never in its way."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, final

from nas.errors import RunError
from nas.storage.object_store import ObjectStore, StoreError
from nas.storage.run_folder import ARTIFACTS, RunFolder
from nas.study.trial_result import TrialResult

if TYPE_CHECKING:
    from nas.search.watcher import Watcher

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 300.0
HURRIED_WAIT_SECONDS = 5.0
LAST_SECONDS = 60.0  # at the end of a search, without anything getting through


def restored(run: RunFolder, url: str | None, tell: Callable[[str], None]) -> ObjectStore | None:
    """Fetch what the run's folder lacks, and return the run's object store.

    Without a `url` the store is the one that the folder names; None where it names none.

    Raises ConfigError for a URL that can't be used, RunError where the store holds another run, and
    where it refuses, unless the run has used it before: then that is told, and trials are kept in
    the folder until it answers again.
    """
    store = ObjectStore.of(run) if url is None else ObjectStore(url, run.path.resolve().name)
    if store is None:
        return None
    try:
        store.claim(run)
        found = store.restore(run)
    except StoreError as error:
        if not (run.path / ARTIFACTS).exists():
            raise
        tell(f"warning: {error}; going on with what is in {run.path}")
        return store
    if found:
        tell(f"{found} finished trials were fetched from {store.where}")
    return store


@contextlib.contextmanager
def sending(run: RunFolder, store: ObjectStore | None, watcher: Watcher) -> Iterator[Watcher]:
    """Wrap a watcher so that every finished trial is sent in the background.

    What another start left unsent is sent, too. A store that refuses is asked again and again, and
    stops nothing; what is left at the end is told. The run's own folder has everything all the
    time. Raises RunError where the store holds another run, or never answered.
    """
    if store is None:
        yield watcher
        return
    try:
        store.claim(run)
    except StoreError:
        if not (run.path / ARTIFACTS).exists():
            raise  # the first word to that store: it may be none
    sender = Sender(run, store, watcher.note)
    for number in sorted(run.finished_numbers()):
        sender.add(number)
    patience = 0.0
    try:
        yield _Sends(watcher, sender)
        patience = LAST_SECONDS
    finally:
        sender.close(patience)


@final
class Sender:
    """One thread that sends trials in turn; `add` is called by another."""

    def __init__(self, run: RunFolder, store: ObjectStore, tell: Callable[[str], None]) -> None:
        self._run, self._store, self._tell = run, store, tell
        self._queue: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._hurry, self._stop = threading.Event(), threading.Event()
        self._got_through = time.monotonic()
        self._refusing, self._why = False, ""
        self._thread = threading.Thread(target=self._work, name="sending", daemon=True)
        self._thread.start()

    def add(self, number: int) -> None:
        """Queue a finished trial to be sent."""
        with self._lock:
            self._waiting.add(number)
        self._queue.put(number)

    def close(self, patience_s: float) -> None:
        """Wait for what is left, as long as something gets through every `patience_s`."""
        self._queue.put(None)
        self._got_through = time.monotonic()
        self._hurry.set()
        while self._thread.is_alive() and time.monotonic() - self._got_through < patience_s:
            self._thread.join(0.1)
        self._stop.set()
        left = len(self._waiting)
        if left and patience_s:
            self._tell(
                f"warning: {left} trials are not in {self._store.where}: {self._why}. They are in "
                f"{self._run.path}; `nas study send {self._run.path}` sends them"
            )

    def _work(self) -> None:
        while (number := self._queue.get()) is not None and not self._stop.is_set():
            wait = FIRST_WAIT_SECONDS
            while not self._sent(number):
                if self._hurry.is_set():
                    self._stop.wait(min(wait, HURRIED_WAIT_SECONDS))
                else:
                    self._hurry.wait(wait)
                if self._stop.is_set():
                    return
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _sent(self, number: int) -> bool:
        """Send one trial; return whether the next is due: this one was sent, or never will be."""
        try:
            self._store.send(self._run, number)
        except StoreError as error:
            self._why = str(error)
            if not self._refusing:
                self._tell(f"warning: {error}; trials are kept here and sent later")
            self._refusing = True
            return False
        except (RunError, OSError) as error:  # of this trial alone
            self._why = str(error)
            self._tell(f"warning: trial {number} is not sent: {error}")
            return True
        if self._refusing:
            self._tell(f"{self._store.where} takes trials again")
        self._refusing = False
        with self._lock:
            self._waiting.discard(number)
        self._got_through = time.monotonic()
        return True


@final
class _Sends:
    """A watcher that hands on to another one, and queues finished trials."""

    def __init__(self, watcher: Watcher, sender: Sender) -> None:
        self._watcher, self._sender = watcher, sender
        self.preparing, self.started = watcher.preparing, watcher.started
        self.progress, self.note = watcher.progress, watcher.note

    def finished(self, result: TrialResult) -> None:
        self._watcher.finished(result)
        self._sender.add(result.number)
