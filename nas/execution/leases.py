"""The driver's own table of what is running where, until when, and what went wrong before.

Optuna's storages know of no deadline and no worker in an ask-and-tell loop, so the driver keeps
them. A lease ends by being done, or by the death or silence of its worker: then its trial is tried
again, from its last checkpoint, until it has used up its attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

ATTEMPTS = 3
PATIENCE_SECONDS = 1800.0  # without a sign of life; trainings report every half a second


@dataclass(frozen=True)
class Lease:
    """A piece of work that is out: trial `number` at `place` ("trial", or a device), at `worker`.

    Times are seconds of the table's clock; `deadline` None where the work has time limits of its
    own, as measurements have.
    """

    number: int
    place: str
    worker: str
    attempt: int
    since: float
    deadline: float | None
    stage: str = ""
    done: int = 0
    total: int = 0

    def to_dict(self, now: float) -> dict[str, Any]:
        """Return the lease as JSON types, with its times in seconds before `now`."""
        return {
            "trial": self.number,
            "place": self.place,
            "worker": self.worker,
            "attempt": self.attempt,
            "stage": self.stage,
            "done": self.done,
            "total": self.total,
            "for_s": round(now - self.since, 1),
            "left_s": None if self.deadline is None else round(self.deadline - now, 1),
        }


@dataclass
class Leases:
    """The driver's table of what each worker does; a worker does one thing at a time.

    `causes` holds, by trial and place, why its earlier attempts ended.
    """

    clock: Callable[[], float]
    attempts: int = ATTEMPTS
    patience_s: float = PATIENCE_SECONDS
    causes: dict[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    _running: dict[str, Lease] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._running.values())

    def __len__(self) -> int:
        return len(self._running)

    def of(self, worker: str) -> Lease | None:
        """Return a worker's lease; None where the worker is idle or unknown."""
        return self._running.get(worker)

    def take(self, number: int, place: str, worker: str, limited: bool = True) -> Lease:
        """Give `worker` something to do; ValueError where it has something already."""
        if worker in self._running:
            raise ValueError(f"{worker} already works on trial {self._running[worker].number}")
        now = self.clock()
        attempt = len(self.causes.get((number, place), ())) + 1
        deadline = now + self.patience_s if limited else None
        lease = self._running[worker] = Lease(number, place, worker, attempt, now, deadline)
        return lease

    def heard(self, worker: str, stage: str, done: int, total: int) -> None:
        """Note a sign of life of a worker, which moves its deadline."""
        lease = self._running.get(worker)
        if lease is None:
            return
        deadline = None if lease.deadline is None else self.clock() + self.patience_s
        self._running[worker] = replace(
            lease, stage=stage, done=done, total=total, deadline=deadline
        )

    def done(self, worker: str) -> Lease | None:
        """Note that a worker's work is done; why earlier attempts ended is remembered."""
        return self._running.pop(worker, None)

    def lost(self, worker: str, cause: str) -> tuple[Lease, bool] | None:
        """Note that a worker is gone; return its lease, and whether its work may be tried again."""
        lease = self._running.pop(worker, None)
        if lease is None:
            return None
        key = (lease.number, lease.place)
        self.causes[key] = (*self.causes.get(key, ()), cause)
        return lease, len(self.causes[key]) < self.attempts

    def forget(self, number: int) -> None:
        """Forget why attempts of a trial ended, as the trial has ended."""
        for key in [key for key in self.causes if key[0] == number]:
            del self.causes[key]

    def overdue(self) -> list[Lease]:
        """Return the leases whose worker has been silent for too long."""
        now = self.clock()
        return [lease for lease in self if lease.deadline is not None and lease.deadline < now]


def in_words(causes: tuple[str, ...]) -> str:
    """Say why attempts ended, equal reasons together."""
    counted = {cause: causes.count(cause) for cause in causes}
    if len(counted) == 1:
        return f"{causes[0]} in each of {len(causes)} attempts"
    return "; ".join(f"{cause} ({count}x)" for cause, count in counted.items())
