"""What a run is doing, read from its folder alone: also while its driver holds it."""

from __future__ import annotations

import itertools
import json
import socket
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.storage.run_folder import RunFolder, stage_progress
from nas.study.pareto import Front, reference_point
from nas.study.trial_result import TrialResult
from nas.system.files import read_json

RECENT = 50  # trials, for the rate
_LATELY = 6  # lines of progress, for the pace of a stage
CREATED = "%Y-%m-%dT%H:%M:%S%z"  # as run.json says when the run was made
SILENT_SECONDS = 30.0  # a driver writes its table every second, or after a long step


@dataclass(frozen=True)
class Status:
    """A run as it stands at one moment.

    `states` counts finished trials; `driver` says who drives it, None where nobody does.
    `workers` are rows of the driver's table (see `nas.execution.pool`), with times in seconds.
    `looks` counts candidates that were measured before a training, in `look_seconds`;
    `trial_seconds` is the time of all finished trials. What ran side by side counts for each.
    Rates are finished trials an hour, over the last `RECENT` of them. `seconds` have passed from
    the run's making to its last result, rests included; None before there is one, and where the
    files' times don't tell. `ended` says why the search ended before it had all of its trials, None
    where it did not.
    """

    name: str
    folder: str
    goal: int | None
    states: Mapping[str, int]
    driver: str | None
    workers: tuple[Mapping[str, Any], ...]
    queued: Mapping[str, int]
    retried: Mapping[str, int]
    failures: Mapping[str, int]
    front: int
    hypervolume: float | None
    rate_per_hour: float | None
    left_s: float | None
    lost_devices: tuple[str, ...] = ()
    looks: int = 0
    look_seconds: float = 0.0
    trial_seconds: float = 0.0
    seconds: float | None = None
    ended: str | None = None

    @property
    def finished(self) -> int:
        """How many trials have a result."""
        return sum(self.states.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON types."""
        return {**vars(self), "finished": self.finished}


@dataclass
class Look:
    """Somebody who looks at a run again and again: what was read once is not read again."""

    run: RunFolder
    _results: dict[int, TrialResult] = field(default_factory=dict)
    _ended: dict[int, float] = field(default_factory=dict)

    def status(self) -> Status:
        """Return how the run stands now; RunError where the folder is no run's."""
        description = self.run.description()
        self._read()
        results = [self._results[number] for number in sorted(self._results)]
        table = _table(self.run)
        driver = _driver(self.run.path, table)
        states = Counter(result.state for result in results)
        size, volume = self._front(results, description)
        goal = table.get("goal")
        rate = self._rate()
        left = None
        if rate and goal and driver and goal > len(results):
            left = (goal - len(results)) / rate * 3600
        alive = driver is not None
        looks = self.run.looks()
        return Status(
            name=str(description["study"]["name"]),
            folder=str(self.run.path),
            goal=goal,
            states={str(state): count for state, count in states.items()},
            driver=driver,
            workers=tuple(_aged(table, self.run)) if alive else (),
            queued=table.get("queued", {}) if alive else {},
            retried=table.get("retried", {}),
            failures=_failures(results),
            front=size,
            hypervolume=volume,
            rate_per_hour=rate,
            left_s=left,
            lost_devices=tuple(sorted(self.run.lost_devices())),
            looks=looks.count,
            look_seconds=round(looks.seconds, 1),
            trial_seconds=round(sum(sum(one.timings_s.values()) for one in results), 1),
            seconds=self._seconds(description),
            ended=self.run.ended_early() if driver is None else None,
        )

    def _seconds(self, description: Mapping[str, Any]) -> float | None:
        try:
            made = datetime.strptime(str(description.get("created")), CREATED).timestamp()
        except ValueError:
            return None
        if self._together([*self._ended.values()]):
            return None
        last = max(self._ended.values(), default=0.0)
        return round(last - made, 1) if last > made else None

    def _read(self) -> None:
        for number in self.run.finished_numbers() - self._results.keys():
            path = self.run.result(number)
            result = self.run.read_result(number)
            if result is not None:
                self._results[number] = result
                self._ended[number] = path.stat().st_mtime

    def _front(
        self, results: list[TrialResult], description: Mapping[str, Any]
    ) -> tuple[int, float | None]:
        objectives = self.run.objectives()
        reference = reference_point(results, objectives, description)
        growing = Front(objectives, reference)
        for result in results:
            growing.add(result)
        return len(growing.members), growing.hypervolume if reference else None

    def _rate(self) -> float | None:
        """Return trials an hour, from the times between ends: a run may have rested for days."""
        ended = sorted(self._ended.values())[-RECENT:]
        if len(ended) < 2 or self._together(ended):
            return None
        gaps = sorted(b - a for a, b in itertools.pairwise(ended))
        typical = gaps[len(gaps) // 2]
        worked = sum(gap for gap in gaps if gap <= max(20 * typical, 60.0))
        return 3600 * (len(ended) - 1) / worked if worked > 0 else None

    def _together(self, ended: Sequence[float]) -> bool:
        """Return whether several ends span less than a trial's own time, the median.

        So it is with the first trials of several workers, and where a folder was copied: its files
        are all of one moment. Such times tell nothing.
        """
        if len(ended) < 2:
            return False
        trial = statistics.median(sum(one.timings_s.values()) for one in self._results.values())
        return max(ended) - min(ended) < trial


def _table(run: RunFolder) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(run.table.read_text())
        return values
    except (OSError, ValueError):
        return {}


def _driver(folder: Path, table: Mapping[str, Any]) -> str | None:
    """Return who holds the folder, unless that process is known to be gone."""
    path = folder / ".owner.json"
    if not path.exists():
        return None
    owner = read_json(path)
    here = owner.get("host") == socket.gethostname()
    silent = time.time() - float(table.get("at", 0.0))
    if here and not _lives(int(owner["pid"])):
        return None
    if not here and silent > 10 * SILENT_SECONDS:
        return None
    return f"pid {owner['pid']} on {owner['host']} since {owner['since']}"


def _lives(pid: int) -> bool:
    """Return whether a process lives; one that was killed and not reaped yet does not."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _aged(table: Mapping[str, Any], run: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the table's rows, with the time added that has passed since it was written.

    Where a trial's log tells how fast its stage goes, `stage_left_s` is what the stage needs yet.
    """
    passed = max(0.0, time.time() - float(table.get("at", time.time())))
    for row in table.get("workers", []):
        aged = dict(row)
        if "for_s" in row:
            aged["for_s"] = round(row["for_s"] + passed, 1)
        if row.get("total") and "trial" in row:
            pace = _seconds_a_step(run.log(row["trial"]), row["stage"])
            if pace is not None:
                left = pace * (row["total"] - row["done"]) - passed
                aged["stage_left_s"] = round(max(0.0, left), 1)
        yield aged


def _seconds_a_step(log: Path, stage: str) -> float | None:
    """Return how long a step of a stage takes by a trial's log; None where that can't be told."""
    steps: list[tuple[float, int]] = []
    for event in stage_progress(log, stage):
        try:
            steps.append((datetime.fromisoformat(event["at"]).timestamp(), int(event["done"])))
        except (ValueError, KeyError, TypeError):
            continue
    if len(steps) < 2:
        return None
    (began, first), (ended, last) = steps[-_LATELY:][0], steps[-1]
    return (ended - began) / (last - first) if last > first else None


def _failures(results: list[TrialResult]) -> dict[str, int]:
    """Return failures by cause: the error's kind, and the words that its messages begin with."""
    kinds: dict[str, list[str]] = {}
    for result in results:
        if result.failure is not None:
            kinds.setdefault(result.failure.kind, []).append(result.failure.message)
    found = {}
    for kind, messages in kinds.items():
        words = zip(*(message.split() for message in messages), strict=False)
        same = itertools.takewhile(lambda at: len(set(at)) == 1, words)
        common = " ".join(at[0] for at in same)
        found[f"{kind}: {common[:80] or 'several reasons'}"] = len(messages)
    return found
