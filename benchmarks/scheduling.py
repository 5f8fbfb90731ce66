"""What scheduling costs, beside Ray Tune with OptunaSearch; and who waits for whom.

    python -m benchmarks.scheduling [trials|tune|workers|phones]...

trials   a trial that does nothing: at most 15 ms through Ray, 5 ms in-process
tune     the same through Ray Tune + OptunaSearch (needs `pip install 'ray[tune]'`)
workers  16 fixed trainings on two workers of one thread: at most 0.6 of one worker's time
phones   four emulated phones and two trainers: each phone busy at least 90 % of the time in which
         a measurement of it is queued or running (needs adb; from the trials' logs)
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.verdict import undisturbed
from evaluators import Cost, Latency
from nas.devices import TimingProtocol
from nas.search.driver import search
from nas.search.watcher import NobodyWatches
from nas.storage.run_folder import RunFolder
from nas.study.evaluator import Needs, Subject
from nas.study.metric import Metric
from nas.study.study import Study
from nas.study.trial_result import TrialResult
from nas.system.environment import processor, versions
from nas.training.schedule import short_schedule
from search_spaces import UNetSpace
from studies import STUDIES
from tests.helpers.small_study import small_study

WARM = 20  # trials, until every worker is there


class Ends(NobodyWatches):
    """The time at which each trial ended."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.cpu: list[float] = []

    def finished(self, result: TrialResult) -> None:
        self.at.append(time.perf_counter())
        self.cpu.append(time.process_time())


@dataclass(frozen=True)
class Constant:
    """The same figures for every candidate."""

    needs: ClassVar[Needs] = "architecture"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db", *(f"latency_ms[{device}]" for device in devices))

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        return {name: Metric(5.0, "synthetic") for name in self.metrics(subject.devices)}

    def to_dict(self) -> dict[str, Any]:
        return {"name": "constant"}


@dataclass(frozen=True)
class Trained(Constant):
    """The same, of a network that was trained and converted."""

    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db",)


def nothing() -> Study:
    """A study whose trials end at once. Drawn at random: samplers have their own times."""
    space = UNetSpace(widths=(8, 16, 24, 32, 48, 64))
    return small_study(space=space, evaluators=(Constant(),), sampler="random")


def draw(trial: Any) -> None:
    """The same space for Tune."""
    nothing().sample(trial)


def per_trial(name: str, workers: int, ray: str | None, trials: int = 120) -> None:
    watcher = Ends()
    with tempfile.TemporaryDirectory() as folder:
        search(nothing(), Path(folder), trials, workers, watcher, ray=ray)
    spent = (watcher.at[-1] - watcher.at[WARM - 1]) / (trials - WARM)
    cpu = (watcher.cpu[-1] - watcher.cpu[WARM - 1]) / (trials - WARM)
    print(
        f"{name}: {spent * 1000:.1f} ms a trial, {cpu * 1000:.1f} ms of them the driver's "
        f"processor time (trials {WARM} to {trials})",
        flush=True,
    )


def tune(reuse: bool, trials: int) -> None:
    """The same space, objectives and sampler, as its documentation shows it."""
    import optuna

    try:
        import ray
        from ray import tune as ray_tune
        from ray.tune.search import ConcurrencyLimiter
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        print(f"Ray Tune: not installed ({error})")
        return

    def trainable(config: dict[str, Any]) -> None:
        ray_tune.report({"psnr_db": 30.0, "latency_ms": 5.0})

    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    searcher = OptunaSearch(
        draw, metric=["psnr_db", "latency_ms"], mode=["max", "min"],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        tuner = ray_tune.Tuner(
            trainable,
            tune_config=ray_tune.TuneConfig(
                search_alg=ConcurrencyLimiter(searcher, 2), num_samples=trials, reuse_actors=reuse
            ),
            run_config=ray_tune.RunConfig(storage_path=folder, verbose=0),
        )
        started, cpu = time.perf_counter(), time.process_time()
        tuner.fit()
        spent, cpu = time.perf_counter() - started, time.process_time() - cpu
    ray.shutdown()
    how = "reuse_actors=True" if reuse else "its default"
    print(
        f"Ray Tune + OptunaSearch, {how}: {1000 * spent / trials:.0f} ms a trial, "
        f"{1000 * cpu / trials:.0f} ms of them the driver's processor time ({trials} trials)",
        flush=True,
    )


def two_workers() -> None:
    """16 trainings of 300 steps, the data packed before.

    Nothing is measured, for which trainings pause, nor scored, which takes two threads by itself.
    """
    study = replace(
        STUDIES["quickstart"],
        schedule=short_schedule(300),
        evaluators=(Cost(), Trained()),
        objectives=("psnr_db", "gmacs_conv"),
        size=(320, 192),
        sampler="random",
        replicates=0,
    )
    schedule = study.schedule
    from nas.data import open_dataset

    open_dataset(study.data).prepare(schedule.patch)
    spent = {}
    for workers in (1, 2):
        watcher = Ends()
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            search(study, Path(folder), 16, workers, watcher)
            spent[workers] = time.perf_counter() - started
        print(f"16 trainings, {workers} worker(s): {spent[workers]:.1f} s", flush=True)
    print(f"two workers take {spent[2] / spent[1]:.2f} of one worker's time")


@dataclass(frozen=True)
class Wait:
    """A training's stand-in: seconds of nothing, so that phones alone load this machine."""

    seconds: float = 6.0
    needs: ClassVar[Needs] = "weights"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        return ("psnr_db",)

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        time.sleep(self.seconds)
        return {"psnr_db": Metric(30.0, "synthetic")}

    def to_dict(self) -> dict[str, Any]:
        return {"name": "wait"}


def phones(trials: int = 12) -> None:
    from nas.devices.adb.server import AdbServer
    from tests.emulated_phone.phone import EmulatedPhone
    from tests.emulated_phone.profiles import PROFILES

    profiles = ("mate30-like", "reno3-like", "pixel4-like", "modern")
    adb = AdbServer.from_environment()
    adb.ensure()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        started = [EmulatedPhone(PROFILES[name], cache=Path(folder) / "cache") for name in profiles]
        for phone in started:
            stack.callback(phone.stop)
            adb.connect(phone.address)
        devices = tuple(f"adb:{phone.address}?delegate=cpu" for phone in started)
        protocol = TimingProtocol(launches=3, runs=5, warmup=1, timeout_seconds=60)
        study = small_study(
            devices=devices, evaluators=(Latency(protocol), Wait()), sampler="random",
            objectives=("psnr_db", "latency_ms"),
        )  # fmt: skip
        search(study, Path(folder) / "run", trials, 2)
        for device in devices:
            busy, wanted = _busy(RunFolder(Path(folder) / "run"), device)
            print(f"{device}: busy {busy / wanted:.0%} of the {wanted:.0f} s with work for it")


def _busy(run: RunFolder, device: str) -> tuple[float, float]:
    """Seconds in which a device measured, and in which a measurement of it was wanted."""
    waits, works = [], []
    for number in run.finished_numbers():
        wanted = given = None
        for line in (run.trial(number) / "log.jsonl").read_text().splitlines():
            row = json.loads(line)
            at = datetime.fromisoformat(row["at"]).timestamp()
            if row["event"] == "wanted" and device in row["devices"]:
                wanted = at
            elif row["event"] == "given" and row["place"] == device:
                given = at
            elif row["event"] == "measured" and row["device"] == device and wanted and given:
                waits.append((wanted, at))
                works.append((given, at))
    return _length(works), _length(waits)


def _length(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, end = 0.0, 0.0
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def main(parts: list[str]) -> None:
    parts = parts or ["trials", "tune", "workers", "phones"]
    print(processor(), versions(), f"load {os.getloadavg()[0]:.1f}")
    if "trials" in parts:
        per_trial("in this process", 1, None)
        per_trial("two processes", 2, None)
        per_trial("Ray, two workers", 2, "local")
    if "tune" in parts:
        tune(reuse=True, trials=30)
        tune(reuse=False, trials=10)
    if "workers" in parts:
        two_workers()
    if "phones" in parts:
        phones()


if __name__ == "__main__":
    with undisturbed("benchmarks.scheduling"):
        main(sys.argv[1:])
