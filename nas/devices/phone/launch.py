"""The parts of a measurement on a phone: options, launches, and blocks of launches."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.devices.adb.wire import ShellResult
from nas.devices.delegate import BY_ANDROID, Delegate
from nas.devices.failures import DeviceFailure
from nas.devices.logs import LogReport, parse_output
from nas.devices.logs.classify import driver_death
from nas.devices.logs.lines import Line, read_lines, unfold
from nas.devices.phone.benchmark_tool import DEFAULT_TOOL, Method
from nas.devices.phone.conditions import Conditions
from nas.devices.phone.fitness import Limits
from nas.devices.phone.idle_state import IdleState
from nas.devices.phone.tool_settings import Precision


@dataclass(frozen=True)
class PhoneOptions:
    """How a phone is used.

    `drift` bounds how far the control model's launches may be from their median, `spread` the range
    of the candidate's launches, both as a share of the median. A block of launches beyond either,
    or one that ended hot, is taken again, up to `blocks` times. A transient failure is tried again
    up to `attempts` times, after `backoff_seconds`, then after twice that. After `set_aside_after`
    measurements in a row in which the control model failed, too, the phone is set aside.

    `precision` is that of float32 networks on a GPU or under NNAPI, the tool's default where it is
    None. `strict`: a network of which any operation would run on the CPU is refused. `libraries` is
    the folder here with the vendor's libraries. `ahead`: networks are compiled here for the phone's
    NPU, and not on the phone.
    """

    delegate: Delegate = Delegate(BY_ANDROID)  # noqa: RUF009 - frozen
    method: Method = "robust"
    precision: Precision | None = None
    strict: bool = False
    libraries: Path | None = None
    ahead: bool = False
    binaries: tuple[tuple[str, Path], ...] = ()
    installed_tool: str = DEFAULT_TOOL
    limits: Limits = field(default_factory=Limits)
    interleave: bool = True
    drift: float = 0.05
    spread: float = 0.1
    blocks: int = 3
    attempts: int = 3
    backoff_seconds: float = 1.0
    set_aside_after: int = 3
    lock_wait_seconds: float = 3600.0
    reconnect_seconds: float = 15.0


@dataclass(frozen=True)
class Launch:
    """One timed launch: its latency, its count of inferences, and the log of the tool."""

    latency_ms: float
    count: int
    report: LogReport

    def to_dict(self) -> dict[str, Any]:
        """Return the launch as JSON types."""
        timed = self.report.benchmark.timed
        return {"init_ms": self.report.benchmark.init_ms, **(timed.to_dict() if timed else {})}


@dataclass(frozen=True)
class Block:
    """Launches of the candidate and of the control model, in turn, and the phone around them.

    `control_ms` holds the control model's latencies, `before` and `after` the phone's conditions,
    `usual` what is usual for the phone.
    """

    launches: tuple[Launch, ...]
    control_ms: tuple[float, ...]
    before: Conditions
    after: Conditions
    usual: IdleState = field(default_factory=IdleState)

    @property
    def capped_afterwards(self) -> tuple[int, ...]:
        """Numbers of the cores that ended with a lower allowed frequency than is usual."""
        return self.usual.capped_cores(self.after)

    @property
    def drift(self) -> float:
        """The control model's farthest launch from the median of its launches, as a share of it."""
        if len(self.control_ms) < 2:
            return 0.0
        middle = statistics.median(self.control_ms)
        return max(abs(value / middle - 1) for value in self.control_ms)

    @property
    def spread(self) -> float:
        """The range of the candidate's launches, as a share of their median."""
        values = [launch.latency_ms for launch in self.launches]
        return (max(values) - min(values)) / statistics.median(values)

    def troubles(self, options: PhoneOptions) -> list[str]:
        """List why the block should be taken again; empty where the block is good."""
        troubles = []
        if self.drift > options.drift:
            troubles.append(f"the control model drifted by {self.drift:.0%}")
        if self.spread > options.spread:
            troubles.append(f"launches differ by {self.spread:.0%}")
        calm = replace(options.limits, load_per_core=math.inf, battery_percent=0)
        return troubles + [
            f"afterwards {reason}" for reason in calm.complaints(self.after, self.usual)
        ]


def doubt(report: LogReport, passing: frozenset[str]) -> DeviceFailure | None:
    """Return why a launch's figures may not be used; None where they may.

    Failures of the classes `passing` are ignored. A launch without figures has failed, whatever its
    log says about delegates.
    """
    failure, latency = report.failure, report.latency_ms
    if failure is not None and failure.failure_class not in passing:
        return failure
    if latency is None or not math.isfinite(latency) or latency <= 0:
        return DeviceFailure("unparsable", f"it ended well, but with a latency of {latency}")
    if report.benchmark.init_ms is None or first_ms(report) is None:
        return DeviceFailure("unparsable", "it tells no time of initialisation")
    return None


def first_ms(report: LogReport) -> float | None:
    """Return the time of the first inference; older tools print it as the first of the warm-up."""
    log = report.benchmark
    if log.first_ms is not None:
        return log.first_ms
    return log.warmup.first_ms if log.warmup is not None else None


def merged(result: ShellResult, logcat: str) -> LogReport:
    """Join the tool's output with what NNAPI logged about the same process."""
    report = parse_output(result.output, result.exit_code, "nnapi")
    if result.pid is None:
        return report
    rows = logcat.splitlines()
    mark = f" {result.pid} "
    start = next((n for n, row in enumerate(rows) if mark in f" {row} "), len(rows))
    text = "\n".join(rows[start:])
    log, lines = parse_output(text, pid=result.pid), read_lines(text)
    return replace(
        report,
        nnapi=log.nnapi,
        failure=None if _only_in(log, report) else _refined(report.failure, lines, result.pid),
        pid=result.pid,
        lost_lines=unfold([line for line in lines if line.pid == result.pid])[1],
        driver_errors=log.driver_errors,
    )


def _only_in(log: LogReport, report: LogReport) -> bool:
    """Whether NNAPI's log shows a delegate at work that the tool does not mention."""
    failure, silent = report.failure, report.benchmark.delegation is None
    missing = failure is not None and failure.failure_class == "not_delegated" and silent
    return missing and bool(log.nnapi.compilations)


def _refined(failure: DeviceFailure | None, lines: list[Line], pid: int) -> DeviceFailure | None:
    """Turn NNAPI's refusal into the driver's crash where the phone's log shows one."""
    if failure is None or failure.failure_class != "nnapi_error":
        return failure
    death = driver_death(unfold(lines)[0], pid)
    if death is None:
        return failure
    detail = f"{death.tag}: {death.text.strip()}"
    return replace(failure, failure_class="driver_crash", detail=detail)
