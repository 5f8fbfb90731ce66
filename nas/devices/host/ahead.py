"""Worker processes that are started ahead of the next measurement on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import final

from nas.devices.host.process import WorkerProcess
from nas.devices.measurement import TimingProtocol
from nas.errors import DeviceTransientError
from nas.system.host_lock import working

AT_ONCE = 5
"""Processes that wait for their turn together, at some 60 MB each."""


@final
class Ahead:
    """Processes for the next measurement, started while this process does something else.

    A search keeps them. They import while something is trained, then sleep; that is half the time
    of a measurement of a small network, during which all trainings would have to rest.
    """

    def __init__(self) -> None:
        self._kept: ExitStack | None = None
        self._workers: list[WorkerProcess] = []
        self._importing: threading.Thread | None = None

    def keep(self) -> None:
        """Start processes ahead from the next measurement on."""
        self._kept = self._kept or ExitStack()

    def start(self, protocol: TimingProtocol) -> None:
        """Start as many as a measurement starts together, if `keep` was called."""
        if self._kept is None:
            return
        with suppress(DeviceTransientError):  # then the measurement itself will say so
            for _ in range(min(AT_ONCE, protocol.launches) - len(self._workers)):
                self._workers.append(self._kept.enter_context(WorkerProcess.started()))
        self._importing = threading.Thread(target=self._wait, args=(protocol,), daemon=True)
        self._importing.start()

    def _wait(self, protocol: TimingProtocol) -> None:
        with working():  # another program's measurement waits until they sleep
            for worker in self._workers:
                worker.wait_until_ready(protocol)

    def settle(self) -> None:
        """Wait until they sleep. Not inside `measuring`: they import as `working`."""
        if self._importing is not None:
            self._importing.join()

    @contextmanager
    def taken(self) -> Iterator[list[WorkerProcess]]:
        """Hand over the waiting processes for one measurement, and end them after it."""
        workers, self._workers = self._workers, []
        stack = ExitStack() if self._kept is None else self._kept.pop_all()
        with stack:
            yield [worker for worker in workers if worker.process.poll() is None]

    def end(self) -> None:
        """End the waiting processes, and start none ahead from now on."""
        self.settle()
        stack, self._kept, self._workers = self._kept, None, []
        if stack is not None:
            stack.close()


AHEAD = Ahead()
"""The processes that this process has started ahead."""
