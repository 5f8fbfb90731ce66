"""Workers as the pool sees them: what it gives them, what it hears, and who starts them.

A `Crew`'s workers are processes of this machine (`nas.execution.processes`) or of a cluster
(`nas.execution.ray.crew`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nas.execution.measurement_jobs import MeasureJob, Reply
from nas.execution.trial.run import Paused, TrialPart
from nas.execution.trial.task import TrialProgress
from nas.execution.trial.waiting import WaitingTrial
from nas.study.trial_result import TrialResult

TRAIN, LIGHT = "train", "light"

Job = TrialPart | MeasureJob


@dataclass(frozen=True)
class Ready:
    """A worker's first message; `where` names its process or its machine."""

    where: str = ""


@dataclass(frozen=True)
class Gone:
    """What a crew says of a worker that ended, and why ("its process was killed by …")."""

    cause: str


Message = Ready | Gone | TrialProgress | TrialResult | WaitingTrial | Paused | Reply | BaseException


class Crew(Protocol):
    """Workers that each do one thing at a time. Only `wait` takes time.

    A worker's kind says what it is for: TRAIN, LIGHT (anything but training), or a device.
    """

    def start(self, kind: str) -> str | None:
        """Start a worker and tell its name, new each time; it says `Ready` later.

        None where there is no room for it now. Raises RunError where there never will be.
        """
        ...

    def give(self, worker: str, job: Job) -> None:
        """Give a worker something to do; one that has died says `Gone`."""
        ...

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """Return what workers have said, by name; nothing after `seconds`."""
        ...

    def stop(self, worker: str) -> None:
        """End a worker, whatever it does; nothing is heard of it any more."""
        ...

    def lacks(self, kind: str) -> str:
        """Say why there is no room for a worker of that kind."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...
