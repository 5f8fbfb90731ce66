"""A run's folder: what is in it, and how it is read and written.

    run.json                     the study that it belongs to, settings, versions
    study.journal                Optuna's storage, unless
    storage.json                 names the database that it is in
    leases.json                  what runs where, for those who look on (`nas.execution.run_log`)
    trials/00012/result.json     one finished trial (`nas.study.trial_result.TrialResult`), written
    whole trials/00012/model.tflite    its artifact at the deployment size trials/00012/log.jsonl
    what happened when (`nas.execution.run_log`) weights/KEY/                 checkpoints and final
    weights of a training, by content measurements/KEY.json        latencies, or why there is none,
    by structure, device and protocol reference/KEY.tflite         what a study's latency ratios
    refer to artifacts.json               names the object store that has copies of finished trials
    lost/KEY.json                required devices that were set aside while the search went on

The results are the truth for reports and exports; the storage is the search's memory. Each can be
rebuilt from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import RunError
from nas.study.objectives import Objective
from nas.study.trial_result import FORMAT, TrialResult
from nas.system.files import read_json, write_json
from nas.system.hashing import content_key

if TYPE_CHECKING:
    pass

ARTIFACTS = "artifacts.json"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; nothing is created before it is written to."""

    path: Path

    @property
    def journal(self) -> Path:
        """Optuna's storage."""
        return self.path / "study.journal"

    def storage(self) -> str | None:
        """The database that keeps the study, without its password; None for `journal`."""
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
        """The folder of one trial."""
        return self.path / "trials" / f"{number:05d}"

    def write_result(self, result: TrialResult) -> None:
        """Write a trial's result, whole or not at all; RunError where the disk is full."""
        write_json(self.trial(result.number) / "result.json", result.to_dict())

    def read_result(self, number: int) -> TrialResult | None:
        """A trial's result, None where it has none; RunError where the file is damaged."""
        path = self.trial(number) / "result.json"
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
        """Every finished trial, in the order of their numbers; raises as `read_result`."""
        read = (self.read_result(number) for number in sorted(self.finished_numbers()))
        return [result for result in read if result is not None]

    def finished_numbers(self) -> set[int]:
        """The numbers of the trials that have a result."""
        found = (self.path / "trials").glob("[0-9]*/result.json")
        return {int(path.parent.name) for path in found if path.parent.name.isdigit()}

    def lost_devices(self) -> set[str]:
        """The required devices that were set aside since the search was started."""
        return {str(read_json(path)["device"]) for path in (self.path / "lost").glob("*.json")}

    def lose(self, device: str, reason: str) -> None:
        """Note that a required device was set aside: from now on it is an optional one."""
        path = self.path / "lost" / f"{content_key(device)}.json"
        write_json(path, {"device": device, "reason": reason})

    def readmit_devices(self) -> None:
        """Require again the devices that were set aside."""
        for path in (self.path / "lost").glob("*.json"):
            path.unlink(missing_ok=True)

    def description(self) -> dict[str, Any]:
        """What run.json holds; RunError where the folder is no run's."""
        path = self.path / "run.json"
        if not path.exists():
            raise RunError(
                f"{self.path} is no run's folder: it has no run.json. A run is made by "
                "`nas search STUDY --out DIR`"
            )
        description: dict[str, Any] = read_json(path)
        return description

    def objectives(self) -> Sequence[Objective]:
        """The study's objectives, from run.json."""
        return [Objective.of(name) for name in self.description()["study"]["objectives"]]


FOLDER = "replicates"
