"""Reports of logs: the benchmark tool's facts, NNAPI's, and the failure, if there is one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from nas.devices.failures import WITH_LATENCY, DeviceFailure
from nas.devices.logs.benchmark import read_benchmark
from nas.devices.logs.benchmark_log import BenchmarkLog
from nas.devices.logs.classify import failure_of
from nas.devices.logs.delegation import judge
from nas.devices.logs.lines import Line, of_process, read_lines, unfold
from nas.devices.logs.nnapi import REFERENCE, NnapiLog, busiest_process, read_nnapi
from nas.devices.logs.runs import Run, one_run, split_runs
from nas.devices.measurement import Placement


@dataclass(frozen=True)
class LogReport:
    """The facts of one run's log.

    `layouts` are the formats of its lines, `benchmark` holds the tool's facts, `nnapi` NNAPI's. The
    placement is that of the process `pid`; None where the log has no process ids. `lost_lines`
    counts the lines that logd threw away. `driver_errors` are lines of other processes, `empty`
    says that nothing of the tool, of NNAPI or of a failure was found.
    """

    layouts: tuple[str, ...]
    benchmark: BenchmarkLog
    nnapi: NnapiLog
    failure: DeviceFailure | None
    pid: int | None
    lost_lines: int
    warnings: tuple[str, ...]
    driver_errors: tuple[str, ...]
    empty: bool

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Where operations ran, in the log's order: NNAPI's, else the CPU's from the profile."""
        return _placement(self.benchmark, self.nnapi)

    @property
    def latency_ms(self) -> float | None:
        """The median in ms where it is printed, else the mean; None where a failure forbids it."""
        if self.failure is not None and self.failure.failure_class not in WITH_LATENCY:
            return None
        timed = self.benchmark.timed
        if timed is not None and timed.median_ms is not None:
            return timed.median_ms
        return self.benchmark.mean_ms if timed is None else timed.mean_ms

    @property
    def latency_statistic(self) -> str | None:
        """The statistic that `latency_ms` is: "median" or "mean"; None without a latency."""
        if self.latency_ms is None:
            return None
        timed = self.benchmark.timed
        return "median" if timed is not None and timed.median_ms is not None else "mean"

    @property
    def count(self) -> int | None:
        """The number of timed inferences; None where the log does not tell."""
        return self.benchmark.timed.count if self.benchmark.timed else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {
            **self._settings(),
            **self._figures(),
            **_delegates(self.benchmark),
            **self._operations(),
            "failure": self.failure.to_dict() if self.failure else None,
            "driver_errors": list(self.driver_errors),
            "unknown_flags": self.benchmark.unknown_flags,
            "lost_lines": self.lost_lines,
            "warnings": list(self.warnings),
        }

    def _settings(self) -> dict[str, Any]:
        log = self.benchmark
        return {
            "tool": _tool(log.generation),
            "generation": log.generation,
            "layouts": list(self.layouts),
            "pid": self.pid,
            "model": log.model,
            "model_size_mb": log.model_size_mb,
            "soc": log.soc,
            "signature": log.signature,
            "gpu_api": log.gpu_api,
            "parameters": log.parameters,
            "option": log.option,
            "asked": log.asked,
            "accelerators": log.accelerators,
            "plugins": log.plugins,
        }

    def _figures(self) -> dict[str, Any]:
        log, timed, warmup = self.benchmark, self.benchmark.timed, self.benchmark.warmup
        return {
            "latency_ms": self.latency_ms,
            "latency_statistic": self.latency_statistic,
            "p95_ms": timed.p95_ms if timed and self.latency_ms is not None else None,
            "count": self.count,
            "init_ms": log.init_ms,
            "first_ms": log.first_ms,
            "warmup": warmup.to_dict() if warmup else None,
            "timed": timed.to_dict() if timed else None,
            "throughput_mb_per_s": log.throughput_mb_per_s,
            "limits": log.limits,
            "memory": log.memory,
        }

    def _operations(self) -> dict[str, Any]:
        log, placement = self.benchmark, self.placement
        return {
            "placement": [
                {"op": row.op, "index": row.index, "accelerator": row.accelerator}
                for row in placement
            ],
            "operations_by_accelerator": dict(Counter(str(row.accelerator) for row in placement)),
            "nnapi": self.nnapi.to_dict(),
            "profile": [row.to_dict() for row in log.profile],
            "profile_summary": log.profile_summary,
            "unread_profile_lines": len(log.unread_profile),
            "nodes_executed": log.nodes_executed,
            "profiled": log.profiled.to_dict() if log.profiled else None,
        }


def _delegates(log: BenchmarkLog) -> dict[str, Any]:
    return {
        "delegation": log.delegation.to_dict() if log.delegation else None,
        "delegate_kernels": log.kernels,
        "replaced": [row.to_dict() for row in log.replaced],
        "offloaded": [row.to_dict() for row in log.facts.offloaded],
        "refusals": log.refusals,
    }


def _tool(generation: str | None) -> str | None:
    if generation is None:
        return None
    return "compiled-model" if generation == "compiled-model" else "classic"


def decode_log(data: bytes) -> str:
    """Decode a saved log: UTF-8, or UTF-16 as a Windows shell's redirection writes it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def parse_output(
    text: str,
    exit_code: int | None = None,
    asked: str | None = None,
    pid: int | None = None,
) -> LogReport:
    """Read the output of one start of the tool, or the phone's log of its process `pid`.

    `text` holds standard output and error in the order in which they came. `asked` is the delegate
    that the tool was started with, which LiteRT's tool does not print.
    """
    lines, lost = unfold(read_lines(text))
    return _report(one_run(lines), exit_code, pid, asked, lost)


def parse_log(text: str, exit_code: int | None = None, pid: int | None = None) -> LogReport:
    """Read an output of one run of the tool, a logcat, or a mixture of both.

    `exit_code` is the tool's, where it is known: figures count only with 0. `pid` chooses a process
    of a logcat; without it the one with the most placement lines is taken. A log of several runs
    gives a report with a failure and no figure; `parse_runs` reads such a log.
    """
    reports = parse_runs(text, exit_code, pid)
    if len(reports) == 1:
        return reports[0]
    models = ", ".join(dict.fromkeys(str(r.benchmark.model) for r in reports))
    failure = DeviceFailure(
        "unparsable", f"{len(reports)} runs in one log, where one was expected: {models}"
    )
    return replace(reports[0], benchmark=BenchmarkLog(), nnapi=NnapiLog(), failure=failure)


def parse_runs(
    text: str, exit_code: int | None = None, pid: int | None = None
) -> tuple[LogReport, ...]:
    """Read the runs in a log into one report each, at least one; arguments as of `parse_log`.

    The exit code is that of the last run, the only one that a shell tells.
    """
    lines, lost = unfold(read_lines(text))
    runs = split_runs(lines if pid is None else list(of_process(lines, pid)))
    if pid is not None and len(runs) == 1:
        runs[0].lines = lines  # what other processes say may tell of a driver's death
    last = len(runs) - 1
    return tuple(
        _report(run, exit_code if number == last else None, pid, None, lost if number == 0 else 0)
        for number, run in enumerate(runs)
    )


def _report(
    run: Run, exit_code: int | None, pid: int | None, asked: str | None, lost: int
) -> LogReport:
    lines = run.lines
    warnings = []
    chosen, processes = (pid, 1) if pid is not None else busiest_process(lines)
    if processes > 1:
        warnings.append(f"placement lines of {processes} processes; this is process {chosen}'s")
    if lost:
        warnings.append(f"logd threw {lost} lines away: the placement may lack operations")
    own: list[Line] = list(of_process(lines, chosen)) if chosen is not None else lines
    benchmark = read_benchmark(replace(run, lines=own) if pid is not None else run, asked)
    nnapi = read_nnapi(own)
    ran = any(row.accelerator != REFERENCE for row in nnapi.placement)
    delegated = judge(benchmark, ran)
    failure = _mixed(run) or failure_of(
        benchmark, lines, exit_code, run.pid if chosen is None else chosen
    )
    if failure is None or _ran_elsewhere(benchmark, exit_code, delegated, failure):
        failure = delegated
    layouts = tuple(dict.fromkeys(line.layout for line in lines if line.text))
    return LogReport(
        layouts,
        benchmark,
        nnapi,
        failure,
        chosen,
        lost,
        (*warnings, *benchmark.warnings, *_unread(benchmark), *_complaints(own)),
        _driver_errors(lines, chosen),
        _is_empty(benchmark, nnapi) and failure is None,
    )


def _ran_elsewhere(
    log: BenchmarkLog,
    exit_code: int | None,
    delegated: DeviceFailure | None,
    failure: DeviceFailure,
) -> bool:
    """Whether LiteRT's tool ended well on the CPU after the delegate had not come up."""
    ended = log.generation == "compiled-model" and log.finished and exit_code in (None, 0)
    without = delegated is not None and delegated.failure_class == "not_delegated"
    return ended and without and failure.failure_class == "delegate_refused"


def _is_empty(benchmark: BenchmarkLog, nnapi: NnapiLog) -> bool:
    """Whether the log holds nothing of the tool or of NNAPI.

    "NAME: [VALUE]" alone is nothing: other texts have such lines, too, as Markdown's links.
    """
    facts = replace(benchmark.facts, reasons=[])
    rest = replace(benchmark, asked=[], parameters={}, facts=facts)
    return rest == BenchmarkLog() and nnapi == NnapiLog()


def _mixed(run: Run) -> DeviceFailure | None:
    """Return the failure of a log with statistics of several runs that can't be told apart."""
    if not run.mixed:
        return None
    count = len(run.statistics)
    return DeviceFailure(
        "unparsable",
        f"{count} lines of statistics, where one run has two, and nothing that tells the runs "
        "apart; give the log as the tool printed it",
    )


def _unread(benchmark: BenchmarkLog) -> list[str]:
    """Warn of lines that look like figures or rows of a profile and could not be read."""
    warnings = [
        f"an incomplete or odd line, of which no figure is taken: {text}" for text in benchmark.odd
    ]
    rows = benchmark.unread_profile
    if rows:
        warnings.append(
            f"{len(rows)} lines of the profile could not be read, first: {rows[0][:160]}"
        )
    return warnings


def _placement(benchmark: BenchmarkLog, nnapi: NnapiLog) -> tuple[Placement, ...]:
    """Return NNAPI's placement; without one, the CPU's nodes from the operation profile."""
    if nnapi.compilations or not any(row.is_delegate for row in benchmark.profile):
        return nnapi.placement
    return tuple(
        Placement(row.node, row.node_type, "cpu")
        for row in benchmark.profile
        if not row.is_delegate and row.node is not None
    )


def _driver_errors(lines: list[Line], pid: int | None) -> tuple[str, ...]:
    """List the errors of other processes: NNAPI's drivers run in their own."""
    if pid is None:
        return ()
    return tuple(
        f"{line.tag}: {line.text.strip()}"
        for line in lines
        if line.pid not in (None, pid) and line.level in ("E", "F")
    )


def _complaints(lines: list[Line]) -> tuple[str, ...]:
    """List the tool's own warnings and errors, each once."""
    return tuple(
        dict.fromkeys(
            line.text.strip()
            for line in lines
            if line.level in ("W", "E", "F") and (line.prefixed or line.tag in ("tflite", "litert"))
        )
    )
