"""A run's folder: its layout, and how a run's files are read and written.

    run.json                     the study that the run belongs to, settings, versions
    study.journal                Optuna's storage, unless
    storage.json                 names the database that holds it
    leases.json                  what runs where, for `nas status` (`nas.execution.run_log`)
    artifacts.json               names the object store that has copies of finished trials
    trials/00012/result.json     a finished trial (`nas.study.trial_result.TrialResult`), whole
    trials/00012/model.tflite    the trial's artifact at the deployment size
    trials/00012/log.jsonl       the trial's events (`nas.execution.run_log`)
    weights/KEY/                 checkpoints and final weights of a training, by content
    measurements/KEY.json        latencies, or why there is none, by structure, device, protocol
    reference/KEY-FORMAT.tflite  the network that a study's latency ratios refer to
    earlier.json                 the trials of an earlier run that the sampler learns from
    looks.jsonl                  a line for each look at a candidate before its training
    ended.json                   why the search ended before it had all of its trials
    replacements/KEY.json        what an NPU's compiler said of a network with one other choice
    profiles/KEY-THREADS.json    what this machine's profiler said of a file, by structure
    lost/KEY.json                a required device that was set aside during the search
    replicates/                  networks trained again with another seed, laid out as a run

The results are the truth for reports and exports; Optuna's storage is the search's memory. Each can
be rebuilt from the other. Other modules ask this one where a file lies.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.study.objectives import Objective
from nas.study.trial_result import FORMAT, TrialResult
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

ARTIFACTS = "artifacts.json"
RESULT = "result.json"
TABLE = "leases.json"
LOG = "log.jsonl"
CHECKPOINT = "checkpoint.npz"  # in a folder of weights, until that training has ended
REPLICATES = "replicates"
LOOKS = "looks.jsonl"
EARLIER = "earlier.json"
_ENDED = "ended.json"
_LOST = "lost"


@dataclass(frozen=True)
class LookTotals:
    """How many candidates a run looked at before a training, and the seconds that it took.

    `refused` of them can't be used on the study's devices or break a bound, `unanswered` failed.
    """

    count: int
    refused: int
    seconds: float
    unanswered: int = 0

    def __str__(self) -> str:
        """Return a phrase, such as "48 looks in 95 s (3 refused)"."""
        looks = "1 look" if self.count == 1 else f"{self.count} looks"
        counts = (self.refused, "refused"), (self.unanswered, "without an answer")
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return f"{looks} in {self.seconds:.0f} s{f' ({said})' if said else ''}"


@dataclass(frozen=True)
class LearnedFrom:
    """What a run learned from an earlier one, the folder `name`.

    `trials` of it were of use, `left_out` were not. `weights` say for each objective of this run
    how far its own trials follow each of the earlier run's objectives: 1 is a deviation for a
    deviation, 0 is not at all, below 0 is the opposite. They are empty before the search has
    ended, and where it has too few trials.
    """

    name: str
    trials: int
    left_out: int
    weights: Mapping[str, Mapping[str, float]]

    def __str__(self) -> str:
        """Return a phrase, such as "38 trials of run-a (2 left out)"."""
        left_out = f" ({self.left_out} left out)" if self.left_out else ""
        return f"{self.trials} trials of {self.name}{left_out}"


def trial_events(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a trial's log, none where there is no log; a line that a kill has cut is
    left out.
    """
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def stage_progress(log: Path, stage: str) -> list[dict[str, Any]]:
    """Return the events of a stage's progress in a trial's last attempt."""
    progress: list[dict[str, Any]] = []
    for event in trial_events(log):
        if event.get("event") == "given" and event.get("place", "trial") == "trial":
            progress = []  # another attempt; other places are devices
        elif event.get("event") == "progress" and event.get("stage") == stage:
            progress.append(event)
    return progress


def trial_name(number: int) -> str:
    """Return a trial's folder by its path below the run's folder, such as `trials/00012`."""
    return f"trials/{number:05d}"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; nothing is created before it is written to."""

    path: Path

    @property
    def journal(self) -> Path:
        """The file of Optuna's storage."""
        return self.path / "study.journal"

    def _repr_html_(self) -> str:
        """Say in a notebook what the run holds, and how its front is shown."""
        states = Counter(result.state for result in self.results())
        held = ", ".join(f"{count} {state}" for state, count in states.items()) or "none yet"
        name = self.description()["study"]["name"]
        return (
            f"<p><b>{escape(str(name))}</b> in <code>{escape(str(self.path))}</code>: "
            f"{states.total()} trials ({held}). Its front: "
            "<code>nas.report.open_front(run)</code></p>"
        )

    def storage(self) -> str | None:
        """Return the database that keeps the study, as a URL without password; None for none."""
        path = self.path / "storage.json"
        return str(read_json(path)["storage"]) if path.exists() else None

    def keep_storage(self, url: str | None) -> None:
        """Note which database keeps the study; None for none."""
        path = self.path / "storage.json"
        if url is None:
            path.unlink(missing_ok=True)
        elif self.storage() != url:
            write_json(path, {"storage": url})

    def trial(self, number: int) -> Path:
        """Return the folder of one trial."""
        return self.path / trial_name(number)

    def result(self, number: int) -> Path:
        """Return the path of a trial's result."""
        return self.trial(number) / RESULT

    def log(self, number: int) -> Path:
        """Return the path of a trial's log."""
        return self.trial(number) / LOG

    @property
    def table(self) -> Path:
        """The table of what runs where."""
        return self.path / TABLE

    @property
    def replicates(self) -> RunFolder:
        """The folder of the networks that were trained again, laid out as a run's."""
        return RunFolder(self.path / REPLICATES)

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints of trainings that have not ended."""
        return sorted((self.path / "weights").glob(f"*/{CHECKPOINT}"))

    def replacement(self, key: str) -> Path:
        """Return the path of what NPUs said of a network with one other choice, by its key."""
        return self.path / "replacements" / f"{key}.json"

    def profile(self, structure: str, threads: int) -> Path:
        """Return the path of this machine's profile of a file, by its structure's key."""
        return self.path / "profiles" / f"{structure}-{threads}.json"

    def write_result(self, result: TrialResult) -> None:
        """Write a trial's result, whole or not at all; RunError where the disk is full."""
        write_json(self.result(result.number), result.to_dict())

    def read_result(self, number: int) -> TrialResult | None:
        """Return a trial's result, None where it has none; RunError where the file is damaged."""
        path = self.result(number)
        if not path.exists():
            return None
        try:
            return TrialResult.from_dict(read_json(path))
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path} is no trial result of format {FORMAT} ({error!r}); remove its folder and "
                "start the search again to have the trial redone"
            ) from error

    def results(self) -> list[TrialResult]:
        """Return every finished trial, by number; raises as `read_result` does."""
        read = (self.read_result(number) for number in sorted(self.finished_numbers()))
        return [result for result in read if result is not None]

    def finished_numbers(self) -> set[int]:
        """Return the numbers of the trials that have a result."""
        paths = (self.path / "trials").glob(f"[0-9]*/{RESULT}")
        return {int(path.parent.name) for path in paths if path.parent.name.isdigit()}

    def looks(self) -> LookTotals:
        """Count the run's looks; a line that a kill has cut, or that is damaged, is left out."""
        count, refused, unanswered, seconds = 0, 0, 0, 0.0
        path = self.path / LOOKS
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        for line in lines:
            try:
                told = json.loads(line)
                taken = float(told["seconds"])
                refused += bool(told["refused"])
                unanswered += bool(told.get("missing"))
            except (ValueError, KeyError, TypeError):
                continue
            count, seconds = count + 1, seconds + taken
        return LookTotals(count, refused, seconds, unanswered)

    def learned_from(self) -> LearnedFrom | None:
        """Return which earlier run this one learns from; None for none, or a damaged file."""
        try:
            told = json.loads((self.path / EARLIER).read_text())
            count, weights = len(told["trials"]), told.get("weights", {})
            return LearnedFrom(str(told["name"]), count, int(told["left_out"]), weights)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep_ending(self, trials: int, why: str) -> None:
        """Note why the search ended when it had so many trials, fewer than it was to have."""
        write_json(self.path / _ENDED, {"trials": trials, "why": why})

    def ended_early(self) -> str | None:
        """Return why the search ended before it had all of its trials; None where it did not.

        What was noted holds while no trial was added.
        """
        try:
            told = json.loads((self.path / _ENDED).read_text())
            why, trials = str(told["why"]), int(told["trials"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return why if trials == len(self.finished_numbers()) else None

    def lost_devices(self) -> set[str]:
        """Return the required devices that were set aside since the search was started."""
        return {str(read_json(path)["device"]) for path in (self.path / _LOST).glob("*.json")}

    def lose(self, device: str, reason: str) -> None:
        """Note that a required device was set aside: from now on it is an optional one."""
        path = self.path / _LOST / f"{content_key(device)}.json"
        write_json(path, {"device": device, "reason": reason})

    def readmit_devices(self) -> None:
        """Require again the devices that were set aside."""
        for path in (self.path / _LOST).glob("*.json"):
            path.unlink(missing_ok=True)

    def description(self) -> dict[str, Any]:
        """Return what run.json holds; RunError where the folder is no run's."""
        path = self.path / "run.json"
        if not path.exists():
            raise RunError(
                f"{self.path} is no run's folder: it has no run.json. A run is made by "
                "`nas search STUDY --out DIR`"
            )
        description: dict[str, Any] = read_json(path)
        return description

    def objectives(self) -> Sequence[Objective]:
        """Return the study's objectives, from run.json; raises as `description` does."""
        return [Objective.of(name) for name in self.description()["study"]["objectives"]]
