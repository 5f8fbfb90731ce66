"""A crew of processes of this machine, and of threads for its devices.

The processes come from a fork server that has TensorFlow loaded, where trials build networks, but
has not run it: forking after TensorFlow ran an operation hangs, a fresh interpreter costs seconds a
process. A device needs no process: what takes time there happens on the phone, or in the process
that the host is timed in.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

from nas.devices.host.ahead import AHEAD
from nas.devices.host.device import HostDevice
from nas.errors import ConfigError, RunError
from nas.execution.measurement_jobs import MeasureJob
from nas.execution.pool import PoolExecutor
from nas.execution.run_log import RunLog
from nas.execution.trial.run import run_part
from nas.execution.trial.task import Report, TrialProgress
from nas.execution.workers import LIGHT, TRAIN, Gone, Job, Message, Ready
from nas.system.host_lock import teller


def process_executor(
    workers: int,
    report: Report,
    threads: int,
    log: RunLog | None = None,
    light: int = 0,
    networks: bool = True,
) -> PoolExecutor:
    """Return an executor over `workers` processes of this machine, and `light` that don't train.

    `networks`: the trials build some, so that TensorFlow is loaded before the first one starts.
    """
    limits = {TRAIN: workers} | ({LIGHT: light} if light else {})
    return PoolExecutor(ProcessCrew(threads, networks), limits, report, log)


class ProcessCrew:
    """A crew of processes of this machine; TensorFlow has `threads` in each.

    Each worker has its own pipe, so that the death of one is known exactly.
    """

    def __init__(self, threads: int, networks: bool = True) -> None:
        self._threads = threads
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(
            ["nas.execution.preload" if networks else "nas.execution.processes"]
        )
        _start_fork_server()
        self._members: dict[str, _Member] = {}
        self._names: dict[Connection, str] = {}
        self._started = 0

    def start(self, kind: str) -> str | None:
        """Start a worker of that kind and return its name; None where there is no room."""
        self._started += 1
        ours, theirs = self._context.Pipe()
        process = None
        if kind in (TRAIN, LIGHT):
            process = self._context.Process(
                target=_serve, args=(theirs, self._threads), daemon=True
            )
            process.start()
            theirs.close()
            name = f"process-{self._started}"
        else:
            if kind == HostDevice.spec:
                AHEAD.keep()  # they import beside the trainings, not while these have to rest
            threading.Thread(target=_serve_device, args=(theirs,), name=kind, daemon=True).start()
            name = kind
        self._members[name] = _Member(ours, process)
        self._names[ours] = name
        return name

    def give(self, worker: str, job: Job) -> None:
        """Give a worker something to do; raises ConfigError for a study that can't be pickled."""
        try:
            self._members[worker].connection.send(job)
        except OSError:  # it has died, which is noticed when it is heard
            pass
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the study can't be given to another process: {error}. What it is made of must be "
                "in files that Python can import by name; or give --workers 1"
            ) from error

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """Return what workers have said, by name; nothing after `seconds`."""
        heard: list[tuple[str, Message]] = []
        for connection in multiprocessing.connection.wait(list(self._names), seconds):
            name = self._names[connection]  # type: ignore[index]
            heard.append((name, self._hear(name)))
        return heard

    def stop(self, worker: str) -> None:
        """End a worker, whatever it does."""
        member = self._members.pop(worker)
        del self._names[member.connection]
        member.connection.close()
        if member.process is not None:
            member.process.kill()
            member.process.join()

    def lacks(self, kind: str) -> str:
        """Say why there is no room for a worker of that kind."""
        return f"this machine has no place for {kind}"

    def close(self) -> None:
        """End all workers."""
        for member in self._members.values():
            if member.process is not None:
                member.process.kill()
        if HostDevice.spec in self._members:
            AHEAD.end()
        for name in list(self._members):
            self.stop(name)

    def _hear(self, name: str) -> Message:
        member = self._members[name]
        try:
            message: Message = member.connection.recv()
            return message
        except (EOFError, OSError):
            if member.process is not None:
                member.process.join()
            how = _how_it_ended(member.process.exitcode if member.process else None)
            self.stop(name)
            return Gone(f"its process {how}")


@dataclass(frozen=True)
class _Member:
    connection: Connection
    process: Any


def _start_fork_server() -> None:
    """Start the fork server deaf to Ctrl-C, which the driver handles; its children inherit that.

    The terminal sends Ctrl-C to all of them, also while they still load TensorFlow.
    """
    if threading.current_thread() is not threading.main_thread():
        forkserver.ensure_running()  # only the main thread may change how signals are handled
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with exit code {code}"


def _serve(connection: Connection, threads: int) -> None:
    """Work until the other end of the worker's pipe is closed, however that happens.

    Progress is sent at least once a slice of training, so an orphan lives for a second or two.
    """

    @functools.cache
    def prepare() -> None:
        from nas.training.tensorflow import prepare_tensorflow

        prepare_tensorflow(threads)

    try:
        connection.send(Ready(f"pid {os.getpid()}"))
        while True:
            connection.send(attempt(connection.recv(), connection.send, prepare))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _serve_device(connection: Connection) -> None:
    """Measure on a device, until the other end of the thread's pipe is closed."""
    with contextlib.suppress(EOFError, OSError):
        connection.send(Ready("this process"))
        while True:
            connection.send(attempt(connection.recv(), connection.send))


def attempt(job: Job, report: Report, prepare: Callable[[], object] = lambda: None) -> Message:
    """Do a job and return what became of it; an error stands for itself.

    `prepare` is that of `run_part`."""
    teller[:] = [lambda text: report(TrialProgress(job.number, "warning", note=text))]
    try:
        if isinstance(job, MeasureJob):
            report(TrialProgress(job.number, "measuring", note=f"on {job.device}"))
            return job.run()
        return run_part(job, report, prepare)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except RunError as error:
        return error
    except Exception as error:  # a fault of ours: the driver shows it whole
        import traceback

        return RuntimeError("".join(traceback.format_exception(error)))
