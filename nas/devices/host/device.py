"""This machine as a device, `host`: artifacts are timed in fresh processes, nothing beside them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from nas.devices.host.ahead import AHEAD, AT_ONCE
from nas.devices.host.conditions import conditions, disturbed, moment
from nas.devices.host.pace import PACE
from nas.devices.host.process import HostLaunch, WorkerProcess
from nas.devices.measurement import Measurement, Placement, TimingProtocol
from nas.errors import ConfigError
from nas.system.host_lock import measuring
from nas.tflite.file import TfliteFile, read_tflite
from nas.tflite.size import check_fixed, size_conditions

ACCELERATOR = "xnnpack"
"""The name of what runs operations on the host, apart from LiteRT's own kernels."""
BUSY_CORES = 0.1
"""Others' work on more cores disturbs a measurement by more than its own noise of 2 %."""


@final
@dataclass(frozen=True)
class HostDevice:
    """This machine, as the device `host`."""

    spec: ClassVar[str] = "host"

    def identity(self) -> dict[str, str]:
        """Return nothing: a run's folder stays with its machine."""
        return {}

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Time `artifact` in `protocol.launches` fresh processes, while no work of ours runs.

        Waits for work inside `nas.system.host_lock.working` to pause, so it must not be called in
        there. Launches and runs during which the processor itself was slow are done again, once.
        Raises ConfigError where the file is no `.tflite` of a fixed size or the protocol makes no
        sense, DeviceStableError where LiteRT refuses or crashes on it, DeviceTransientError where a
        launch takes longer than `protocol.timeout_seconds` or was stopped.
        """
        _check(protocol)
        file = read_tflite(artifact)
        check_fixed(file, artifact)
        AHEAD.settle()
        with measuring():
            before = moment()
            launches, repeated = _undisturbed(artifact, protocol)
            after = moment()
        AHEAD.start(protocol)
        answers = [launch.answer for launch in launches]
        peaks = [answer["peak_memory_mb"] for answer in answers]
        of_launches = _of_launches(launches)
        pace = PACE.summary(launches, repeated)
        medians = [statistics.median(answer["samples_ms"]) for answer in answers]
        others = of_launches["others_busy_cores"]
        return Measurement(
            device=self.spec,
            source="measured",
            samples_ms=tuple(tuple(answer["samples_ms"]) for answer in answers),
            init_ms=statistics.median(answer["init_ms"] for answer in answers),
            first_ms=statistics.median(answer["first_ms"] for answer in answers),
            peak_memory_mb=None if None in peaks else max(peaks),
            placement=_placement(launches[0], file),
            conditions={
                **conditions(artifact, protocol, before, after),
                **size_conditions(file),
                **of_launches,
                "pace": pace,
                "disturbed": disturbed(others, pace, protocol.threads, medians),
            },
        )


def _undisturbed(artifact: Path, protocol: TimingProtocol) -> tuple[list[HostLaunch], int]:
    """Launch, and launch once more what was on a slow processor; keep the better of the two.

    Returns the launches, and how many of them were repeated.
    """
    launches = _launches(artifact, protocol, protocol.launches)
    PACE.learn(launches)
    slow = [index for index, launch in enumerate(launches) if PACE.slow(launch)]
    again = _launches(artifact, protocol, len(slow))
    PACE.learn(again)
    for index, launch in zip(slow, again, strict=True):
        launches[index] = min(launches[index], launch, key=lambda attempt: attempt.pace_ms)
    return launches, len(slow)


def _launches(artifact: Path, protocol: TimingProtocol, launches: int) -> list[HostLaunch]:
    """Launch so many times, one after another.

    Their processes start together: importing takes each of them longer than a small network takes
    to be timed. All have imported, and sleep, before the first one works.
    """
    done: list[HostLaunch] = []
    while len(done) < launches:
        with ExitStack() as stack:
            count = min(AT_ONCE, launches - len(done))
            workers = stack.enter_context(AHEAD.taken())[:count]
            while len(workers) < count:
                workers.append(stack.enter_context(WorkerProcess.started()))
            for worker in workers:
                worker.wait_until_ready(protocol)
            done += [worker.launch(artifact, protocol, PACE.best_ms) for worker in workers]
    return done


def _placement(launch: HostLaunch, file: TfliteFile) -> tuple[Placement, ...]:
    """Tell where each operation ran: in XNNPACK, on LiteRT's own kernels ("cpu"), or None."""
    operations = launch.answer["operations"]
    if operations is None:  # this LiteRT does not tell
        return tuple(Placement(row.index, row.name, None) for row in file.operations)
    # Nodes have no delegate's name, but the log has the name of the one delegate there is.
    accelerator = ACCELERATOR if "XNNPACK delegate" in launch.log else None
    return tuple(
        Placement(row["index"], row["op"], accelerator if row["delegated"] else "cpu")
        for row in operations
    )


def _check(protocol: TimingProtocol) -> None:
    rows = (
        ("launches", protocol.launches, 1),
        ("runs", protocol.runs, 1),
        ("threads", protocol.threads, 1),
        ("warmup", protocol.warmup, 0),
    )
    for name, value, least in rows:
        if value < least:
            raise ConfigError(f"TimingProtocol.{name}={value}: expected {least} at least")
    if protocol.timeout_seconds <= 0:
        raise ConfigError(
            f"TimingProtocol.timeout_seconds={protocol.timeout_seconds:g}: expected more than 0"
        )


def _of_launches(launches: Sequence[HostLaunch]) -> dict[str, Any]:
    """Return the part of a measurement's conditions that its launches tell."""
    others = statistics.median(launch.others_busy_cores for launch in launches)
    return {
        "others_busy_cores": round(others, 3),
        "busy": others > BUSY_CORES,
        "init_ms": [launch.answer["init_ms"] for launch in launches],
        "first_ms": [launch.answer["first_ms"] for launch in launches],
        "memory_before_load_mb": launches[0].answer["memory_before_load_mb"],
    }
