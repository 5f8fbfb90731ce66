"""A trial that waits at a rung: how it ends for now, and the file that says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import RunError
from nas.storage.run_folder import RunFolder
from nas.study.trial_result import TrialResult
from nas.system.files import read_json, write_json

FILE = "rung.json"


@dataclass(frozen=True)
class WaitingTrial:
    """A trial that waits at a rung: its result if it goes no further, and what it needs to go on.

    `rung` counts from 0. `structure` and `notes` are those of `nas.execution.trial.task.Findings`.
    """

    rung: int
    result: TrialResult
    structure: str | None
    notes: dict[str, Any]

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.result.number

    def write(self, run: RunFolder) -> None:
        """Keep it in the trial's folder, whole or not at all; RunError where the disk is full."""
        document = {**vars(self), "result": self.result.to_dict()}
        write_json(run.trial(self.number) / FILE, document)

    @classmethod
    def read(cls, run: RunFolder, number: int, key: str) -> WaitingTrial | None:
        """Return what the trial of a candidate left at its last rung; None where it left nothing.

        `key` is the candidate's. Raises RunError where the file is damaged.
        """
        path = run.trial(number) / FILE
        waiting = cls.from_file(path) if path.exists() else None
        return waiting if waiting is not None and waiting.result.key == key else None

    @classmethod
    def from_file(cls, path: Path) -> WaitingTrial:
        """Return the trial that `write` kept in a file; RunError where the file is damaged."""
        try:
            values = read_json(path)
            return cls(**{**values, "result": TrialResult.from_dict(values["result"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path} does not say where a trial waits ({error!r}); remove its folder and start "
                "the search again to have the trial redone"
            ) from error


def waiting_results(run: RunFolder) -> Iterator[TrialResult]:
    """Return what trials came to that waited at a rung, by number; raises as `WaitingTrial.read`.

    Trials that went on since then are among them.
    """
    for path in sorted((run.path / "trials").glob(f"[0-9]*/{FILE}")):
        yield WaitingTrial.from_file(path).result
