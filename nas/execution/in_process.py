"""Trials in the driver's own process, one after the other."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import Any

from nas.devices.host.ahead import AHEAD
from nas.errors import RunError
from nas.execution.attempts import DRIVER, attempts
from nas.execution.executor import failed_trial
from nas.execution.leases import Leases
from nas.execution.run_log import RunLog, log_end
from nas.execution.trial.run import run_trial
from nas.execution.trial.task import Report, TrialProgress, TrialTask
from nas.execution.trial.waiting import WaitingTrial
from nas.execution.workers import TRAIN
from nas.storage.run_folder import LOG
from nas.study.trial_result import TrialResult


class InProcessExecutor:
    """An executor that runs one trial after the other, in the driver's own process."""

    def __init__(self, report: Report, threads: int, log: RunLog | None = None) -> None:
        self._tasks: deque[TrialTask] = deque()
        self._report = report
        self._threads = threads
        self._log = log or RunLog(None)
        self._leases = Leases(time.monotonic)
        self._ready = False

    def submit(self, task: TrialTask) -> None:
        """Keep the task for a later call of `next`."""
        self._tasks.append(task)

    def next(self) -> TrialResult | WaitingTrial | None:
        """Run the trial that was submitted first, and return what it came to; raises RunError."""
        task = self._tasks.popleft()
        folder = task.run.trial(task.number)
        before = attempts(folder / LOG)
        if before.used_up:
            failed = failed_trial(task, "DriverDied", before.why(folder))
            self._log.event(task.number, "ended", state=failed.state)
            return failed
        self._leases.take(task.number, "trial", DRIVER, limited=False)
        self._log.event(task.number, "given", worker=DRIVER, attempt=before.count + 1)
        try:
            result = run_trial(task, self._heard, self._prepare)
        except BaseException:  # in order, and so no attempt that failed
            with suppress(RunError):
                self._log.event(task.number, "stopped")
            raise
        finally:
            self._leases.done(DRIVER)
        log_end(self._log, result)
        return result

    def close(self) -> None:
        """End the host's processes that were started ahead, and publish the table of work."""
        AHEAD.end()
        self._log.publish(self._table, force=True)

    def _prepare(self) -> None:
        if not self._ready:
            from nas.training.tensorflow import prepare_tensorflow

            prepare_tensorflow(self._threads)
            AHEAD.keep()
            self._ready = True

    def _heard(self, progress: TrialProgress) -> None:
        before = self._leases.of(DRIVER)
        if before is not None and before.stage != progress.stage:
            counted = {"done": progress.done, "total": progress.total} if progress.total else {}
            self._log.event(progress.number, "stage", stage=progress.stage, **counted)
        self._log.progress(progress)
        self._leases.heard(DRIVER, progress.stage, progress.done, progress.total)
        self._log.publish(self._table)
        self._report(progress)

    def _table(self) -> dict[str, Any]:
        now = time.monotonic()
        lease = self._leases.of(DRIVER)
        row = {"worker": DRIVER, "kind": TRAIN, "where": "", "state": "busy" if lease else "idle"}
        return {
            "workers": [row | (lease.to_dict(now) if lease else {})],
            "queued": {TRAIN: len(self._tasks)},
            "retried": {},
        }
