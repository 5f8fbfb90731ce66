"""How often a trial was begun by a driver that did not live to its end.

A candidate that kills its worker is counted by the pool. One that is evaluated in the driver's own
process takes the count with it, so it is kept in the trial's folder: written when the trial begins,
removed when it ends or the driver stops of its own accord.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nas.files import cannot_write
from nas.leases import ATTEMPTS
from nas.store import RunFolder
from nas.trial import TrialProgress

FILE = "attempt.json"
FURTHER = 0.01  # of a stage: that much more than ever before is progress, not a repetition


@dataclass
class Attempt:
    """One try of a trial in this process; `number` counts from 1, anew after every progress.

    `reached` holds, by stage, the share of it that was done when an attempt came to it: a training
    goes on from its checkpoint. So a search that is killed every hour gets on, and a candidate
    that ends its driver at the same place each time does not go on for ever.
    """

    path: Path
    number: int = 1
    reached: dict[str, float] = field(default_factory=dict)
    stage: str = ""
    _now: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, run: RunFolder, number: int) -> Attempt:
        """The next attempt of a trial; it counts from its first sign of life on."""
        attempt = cls(run.trial(number) / FILE)
        with suppress(OSError, ValueError, KeyError, TypeError):
            before = json.loads(attempt.path.read_text())
            attempt.number = int(before["attempt"]) + 1
            attempt.reached = dict(before["reached"])
            attempt.stage = str(before["stage"])
        return attempt

    @property
    def is_one_too_many(self) -> bool:
        """Whether the trial has used up its attempts."""
        return self.number > ATTEMPTS

    def heard(self, progress: TrialProgress) -> None:
        """The trial has come to a stage, perhaps further than ever; RunError on a full disk."""
        if progress.stage in self._now:
            return
        self._now.add(progress.stage)
        share = progress.done / progress.total if progress.total else 0.0
        if share >= self.reached.get(progress.stage, -1.0) + FURTHER:
            self.reached[progress.stage] = share
            self.number = 1
        self.stage = progress.stage
        self._write()

    def why(self) -> str:
        """Why there is no other attempt."""
        return (
            f"the search's process ended in the middle of it in each of {ATTEMPTS} attempts, the "
            f"last one in {self.stage or 'its beginning'}, and none got further than the first. If "
            f"it was stopped for another reason, remove {self.path.parent} to have it done again"
        )

    def end(self) -> None:
        """The trial has ended, or this process stops in order."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        """Not flushed to the disk: what a power cut takes is not the candidate's fault."""
        about = {"attempt": self.number, "stage": self.stage, "reached": self.reached}
        try:
            self.path.write_text(json.dumps(about))
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            raise cannot_write(self.path, error) from error
