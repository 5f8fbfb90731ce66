"""A study for tests of what follows on trainings, and an executor that makes trainings up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from nas.data import open_dataset
from nas.execution.trial.task import TrialTask
from nas.execution.trial.waiting import Rested
from nas.search.ask_tell import Memory
from nas.search.halving_loop import HalvingLoop
from nas.search.loop import Loop
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs, Subject
from nas.study.halving import reading_name
from nas.study.metric import Metric
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.training.schedule import Schedule
from tests.helpers.small_study import small_study

UNTOUCHED = {"psnr_db": 20.0, "ssim": 0.6}


@dataclass(frozen=True)
class Late:
    """An evaluator of weights that nobody calls."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db", "ssim", "bytes")

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        return {"name": "late"}


@dataclass(frozen=True)
class Early:
    """An evaluator of architectures that nobody calls."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"latency_ms[{device}]" for device in devices)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        return {"name": "early"}


def trained_study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "evaluators": (Early(), Late()),
        "sampler": "random",
        "schedule": Schedule(steps=160, batch=2, patch=16, learning_rate=1e-3),
    }
    return small_study(**(values | changes))


class MadeUp:
    """An executor whose trials end at once with figures that follow from the candidate and seed.

    After `count` of them it is as if somebody had pressed Ctrl-C. `steps` counts training steps.
    """

    def __init__(self, count: int = 10**9) -> None:
        self.count = count
        self.tasks: deque[TrialTask] = deque()
        self.legs: list[tuple[int, int | None]] = []

    def submit(self, task: TrialTask) -> None:
        self.tasks.append(task)

    def next(self) -> TrialResult | Rested | None:
        if not self.count:
            raise KeyboardInterrupt
        self.count -= 1
        task = self.tasks.popleft()
        self.legs.append((task.number, task.rung))
        metrics = _figures(task)
        result = TrialResult(
            task.number,
            task.candidate.key,
            task.candidate.label,
            task.candidate.to_dict(),
            "stopped",
            task.parameters,
            metrics,
            baseline=task.baseline,
            weights=f"weights/{task.candidate.key}/final.weights.h5",
        )
        if task.rung is not None:
            rested = Rested(task.rung, result, None, {})
            rested.write(task.run)
            return rested
        result = replace(result, state="complete")
        task.run.write_result(result)
        return result

    def close(self) -> None:
        pass


def _figures(task: TrialTask) -> dict[str, Metric]:
    digits = int(task.candidate.key, 16)
    quality = 1 + digits % 1000 / 500
    noise = (digits // 1000 % 100 - 50) / 1000 * (1 if task.study.seed == 0 else -1)
    figures = {"latency_ms[host]": Metric(1 + digits % 777 / 10 + 5 * quality, "synthetic")}
    for rung in range(2 if task.rung is None else task.rung + 1):
        if task.study.halving:
            gain = quality * (0.3, 0.6)[rung] + noise
            figures[reading_name("psnr_db", rung)] = Metric(gain, "synthetic")
    if task.rung is None:
        figures["psnr_db"] = Metric(20 + quality + noise, "measured")
    return figures


def loop_of(study: Study, folder: Path, executor: Any, watcher: Any = None) -> Loop:
    """A search's loop, past what `nas.search.driver.search` prepares."""
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    memory = Memory(study, run.journal, untouched=UNTOUCHED)
    description = {"study": {"data": {"identity": {}}}}
    kind = HalvingLoop if study.halving else Loop
    dataset = open_dataset("photos")
    watcher = watcher or NobodyWatches()
    return kind(study, dataset, description, run, memory, executor, watcher, UNTOUCHED)
