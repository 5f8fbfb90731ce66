"""Where trials run: in this process, or in a pool of long-lived processes.

Both take tasks and give results back in the order in which they end. The pool's processes come
from a fork server that has TensorFlow loaded but has not run it: forking after TensorFlow ran an
operation hangs, a fresh interpreter costs seconds a process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, Protocol

from nas.errors import RunError
from nas.results import Failure, TrialResult
from nas.trial import Report, TrialProgress, TrialTask, run_trial

TRIALS_PER_WORKER = 20  # TensorFlow's memory grows with every network that a process has built
ATTEMPTS = 3
READY = "ready"


class Executor(Protocol):
    """Runs trials."""

    def submit(self, task: TrialTask) -> None:
        """Take a task; it starts as soon as there is room."""
        ...

    def next(self) -> TrialResult:
        """Wait for the next trial to end; raises RunError where its folder can't be written."""
        ...

    def close(self) -> None:
        """Stop whatever runs. What is not finished goes on when the run is resumed."""
        ...


class InProcessExecutor:
    """One trial after the other, here."""

    def __init__(self, report: Report, threads: int) -> None:
        self._tasks: deque[TrialTask] = deque()
        self._report = report
        self._threads = threads
        self._ready = False

    def submit(self, task: TrialTask) -> None:
        """See `Executor`."""
        self._tasks.append(task)

    def next(self) -> TrialResult:
        """See `Executor`."""
        if not self._ready:
            from nas.quietlogs import prepare_tensorflow

            prepare_tensorflow(self._threads)
            self._ready = True
        return run_trial(self._tasks.popleft(), self._report)

    def close(self) -> None:
        """See `Executor`."""


class ProcessExecutor:
    """`workers` processes, each with its own pipe, so that the death of one is known exactly.

    A task whose process dies is tried again, `ATTEMPTS` times in all, going on from its
    checkpoint; then it is a failed trial that says so.
    """

    def __init__(self, workers: int, report: Report, threads: int) -> None:
        self._report = report
        self._threads = threads
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["nas.worker"])
        _start_fork_server()
        self._waiting: deque[tuple[TrialTask, int]] = deque()
        self._workers: list[_Worker | None] = [None] * workers

    def submit(self, task: TrialTask) -> None:
        """See `Executor`."""
        self._waiting.append((task, 1))

    def next(self) -> TrialResult:
        """See `Executor`."""
        while True:
            self._fill()
            busy = [worker for worker in self._workers if worker is not None and worker.task]
            ready = multiprocessing.connection.wait([worker.connection for worker in busy])
            for worker in busy:
                if worker.connection in ready:
                    result = self._hear(worker)
                    if result is not None:
                        return result

    def close(self) -> None:
        """See `Executor`."""
        for worker in self._workers:
            if worker is not None:
                worker.process.kill()
        for worker in self._workers:
            if worker is not None:
                worker.process.join()
        self._workers = [None] * len(self._workers)

    def _fill(self) -> None:
        for index, worker in enumerate(self._workers):
            if not self._waiting:
                return
            if worker is not None and worker.task is not None:
                continue
            if worker is None or worker.done >= TRIALS_PER_WORKER:
                if worker is not None:
                    worker.connection.close()  # it ends by itself
                worker = self._workers[index] = _Worker.start(self._context, self._threads)
            worker.task, worker.attempt = self._waiting.popleft()
            with contextlib.suppress(OSError):  # died idle: noticed when it is heard
                worker.connection.send(worker.task)

    def _hear(self, worker: _Worker) -> TrialResult | None:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if message == READY:
            worker.ready = True
            return None
        if isinstance(message, TrialProgress):
            self._report(message)
            return None
        worker.task = None
        worker.done += 1
        if isinstance(message, TrialResult):
            return message
        if isinstance(message, BaseException):
            raise message
        raise TypeError(f"a worker sent {message!r}")

    def _lost(self, worker: _Worker) -> TrialResult | None:
        worker.process.join()
        task, attempt = worker.task, worker.attempt
        self._workers[self._workers.index(worker)] = None
        if task is None:
            return None
        how = _how_it_ended(worker.process.exitcode)
        if not worker.ready:
            raise RunError(
                f"a worker process {how} before it was ready; what it printed is above. Try "
                "--workers 1, which needs no processes"
            )
        if attempt < ATTEMPTS:
            note = f"its process {how}; attempt {attempt + 1} of {ATTEMPTS}"
            self._report(TrialProgress(task.number, "again", note=note))
            self._waiting.appendleft((task, attempt + 1))
            return None
        return failed_trial(task, "WorkerDied", f"its process {how} in each of {ATTEMPTS} attempts")


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: TrialTask | None = None
    attempt: int = 0
    done: int = 0
    ready: bool = False

    @classmethod
    def start(cls, context: Any, threads: int) -> _Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)


def _start_fork_server() -> None:
    """Start it deaf to Ctrl-C, which is the driver's to handle; its children inherit that.

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


def failed_trial(task: TrialTask, kind: str, message: str) -> TrialResult:
    """The result of a trial that could not even say why it failed, written to the run's folder."""
    result = TrialResult(
        number=task.number,
        key=task.candidate.key,
        label=task.candidate.label,
        candidate=task.candidate.to_dict(),
        parameters=task.parameters,
        state="failed",
        failure=Failure(kind, message),
        baseline=task.baseline,
    )
    task.run.write_result(result)
    return result


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with exit code {code}"


def _serve(connection: Connection, threads: int) -> None:
    """What a worker does; it ends when the other end of its pipe is closed, however that happens.

    Progress is sent at least once a slice of training, so an orphan lives for a second or two.
    """
    from nas.quietlogs import prepare_tensorflow

    prepare_tensorflow(threads)
    try:
        connection.send(READY)
        while True:
            connection.send(_attempt(connection.recv(), connection.send))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _attempt(task: TrialTask, report: Report) -> TrialResult | BaseException:
    try:
        return run_trial(task, report)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except RunError as error:
        return error
    except Exception as error:  # a fault of ours: the driver shows it whole
        import traceback

        return RuntimeError("".join(traceback.format_exception(error)))
