"""Measuring as a task of its own, so that no phone waits for a training and no trainer for a phone.

A trial that runs on a worker asks for its measurements by an exception, `Wanted`. The driver sends
them, as `MeasureJob`s, to where the devices hang, and gives the trial to a worker again, with their
answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.devices import TimingProtocol
from nas.devices.fleet import Outcome, measure_everywhere, physical
from nas.errors import ConfigError, DeviceError, DeviceStableError, DeviceTransientError

_KINDS: dict[str, type[DeviceError] | type[ConfigError]] = {
    kind.__name__: kind for kind in (DeviceTransientError, DeviceStableError, ConfigError)
}


@dataclass(frozen=True)
class MeasureJob:
    """An artifact that a trial wants measured on one device; `cache` is the run's measurements."""

    number: int
    artifact: Path
    device: str
    protocol: TimingProtocol
    cache: Path

    @property
    def place(self) -> str:
        """The device without its options: one job at a time is done there."""
        return physical(self.device)

    def run(self) -> Reply:
        """Measure on this machine; raises RunError where the cache can't be written."""
        started = time.perf_counter()
        try:
            (outcome,) = measure_everywhere(
                self.artifact, (self.device,), self.protocol, self.cache
            )
        except ConfigError as error:
            return Reply(self.number, self.artifact, self.device, 0.0, error=_told(error))
        return Reply(
            self.number,
            self.artifact,
            self.device,
            time.perf_counter() - started,
            outcome.key,
            outcome.to_dict(),
            _told(outcome.error) if outcome.error is not None else ("", ""),
            outcome.lost,
        )


@dataclass(frozen=True)
class Reply:
    """The answer to a `MeasureJob`, in plain values, as it crosses processes and machines.

    `document` is what the run keeps of it, under `key`; `error` the kind and text of an error that
    is not kept.
    """

    number: int
    artifact: Path
    device: str
    seconds: float
    key: str | None = None
    document: dict[str, Any] | None = None
    error: tuple[str, str] = ("", "")
    lost: bool = False

    def outcome(self) -> Outcome:
        """Return the outcome as `measure_everywhere` gives it; raises ConfigError as that does."""
        if self.key is not None and self.document is not None:
            return Outcome.from_dict(self.document, self.device, self.key)
        kind, text = self.error
        error = _KINDS[kind](text)
        if isinstance(error, ConfigError):
            raise error
        return Outcome(self.device, None, error, lost=self.lost)


def unreachable(job: MeasureJob, why: str) -> Reply:
    """Return the reply for a device that nobody could ask."""
    error = (DeviceTransientError.__name__, why)
    return Reply(job.number, job.artifact, job.device, 0.0, error=error, lost=True)


class Wanted(Exception):  # noqa: N818
    """Raised where a trial can't go on without these measurements."""

    def __init__(self, jobs: tuple[MeasureJob, ...]) -> None:
        super().__init__(f"{len(jobs)} measurements")
        self.jobs = jobs


class InHand:
    """Answers a trial from the replies that have come; raises `Wanted` for what is missing."""

    def __init__(self, number: int, replies: Iterable[Reply]) -> None:
        self._number = number
        self._replies = {(reply.artifact, reply.device): reply for reply in replies}

    def __call__(
        self, artifact: Path, devices: Sequence[str], protocol: TimingProtocol, cache: Path
    ) -> list[Outcome]:
        """Return an outcome for each device; raises Wanted where one has not come yet."""
        missing = [device for device in devices if (artifact, device) not in self._replies]
        if missing:
            raise Wanted(
                tuple(MeasureJob(self._number, artifact, d, protocol, cache) for d in missing)
            )
        return [self._replies[artifact, device].outcome() for device in devices]


def _told(error: Exception) -> tuple[str, str]:
    kind = next((k for k, known in _KINDS.items() if isinstance(error, known)), None)
    return kind or DeviceTransientError.__name__, str(error)
