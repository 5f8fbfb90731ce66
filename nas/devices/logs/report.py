"""A whole log as one value: the benchmark tool's facts, NNAPI's, and the failure, if any."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from nas.devices.failures import WITH_LATENCY, Failure, FailureClass
from nas.devices.logs.benchmark import read_benchmark
from nas.devices.logs.benchmarklog import BenchmarkLog
from nas.devices.logs.classify import failure_of
from nas.devices.logs.lines import Line, of_process, read_lines, unfold
from nas.devices.logs.nnapi import NnapiLog, busiest_process, read_nnapi
from nas.devices.measurement import Placement


@dataclass(frozen=True)
class LogReport:
    """What a log says. `pid` is the process that the placement is of (None: no pid in the log)."""

    layouts: tuple[str, ...]
    benchmark: BenchmarkLog
    nnapi: NnapiLog
    failure: Failure | None
    pid: int | None
    lost_lines: int
    warnings: tuple[str, ...]
    driver_errors: tuple[str, ...]
    empty: bool

    @property
    def placement(self) -> tuple[Placement, ...]:
        """Where operations ran, in the log's own order; the CPU's only where only they are told."""
        return _placement(self.benchmark, self.nnapi)

    @property
    def latency_ms(self) -> float | None:
        """The median where it is printed, else the mean; None where it may not be believed."""
        if self.failure is not None and self.failure.failure_class not in WITH_LATENCY:
            return None
        timed = self.benchmark.timed
        if timed is not None and timed.median_ms is not None:
            return timed.median_ms
        return self.benchmark.mean_ms if timed is None else timed.mean_ms

    @property
    def latency_statistic(self) -> str | None:
        """Which figure `latency_ms` is: "median" or "mean"."""
        if self.latency_ms is None:
            return None
        timed = self.benchmark.timed
        return "median" if timed is not None and timed.median_ms is not None else "mean"

    @property
    def count(self) -> int | None:
        """How many timed inferences there were; None where the log does not tell."""
        return self.benchmark.timed.count if self.benchmark.timed else None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        found, placement = self.benchmark, self.placement
        timed, warmup = found.timed, found.warmup
        return {
            "tool": _tool(found.generation),
            "generation": found.generation,
            "layouts": list(self.layouts),
            "pid": self.pid,
            "model": found.model,
            "model_size_mb": found.model_size_mb,
            "soc": found.soc,
            "signature": found.signature,
            "gpu_api": found.gpu_api,
            "parameters": found.parameters,
            "accelerators": found.accelerators,
            "plugins": found.plugins,
            "latency_ms": self.latency_ms,
            "latency_statistic": self.latency_statistic,
            "p95_ms": timed.p95_ms if timed and self.latency_ms is not None else None,
            "count": self.count,
            "init_ms": found.init_ms,
            "first_ms": found.first_ms,
            "warmup": warmup.to_dict() if warmup else None,
            "timed": timed.to_dict() if timed else None,
            "throughput_mb_per_s": found.throughput_mb_per_s,
            "limits": found.limits,
            "memory": found.memory,
            "delegation": found.delegation.to_dict() if found.delegation else None,
            "delegate_kernels": found.kernels,
            "replaced": [row.to_dict() for row in found.replaced],
            "refusals": found.refusals,
            "placement": [
                {"op": row.op, "index": row.index, "accelerator": row.accelerator}
                for row in placement
            ],
            "operations_by_accelerator": dict(Counter(str(row.accelerator) for row in placement)),
            "nnapi": self.nnapi.to_dict(),
            "profile": [row.to_dict() for row in found.profile],
            "profile_summary": found.profile_summary,
            "nodes_executed": found.nodes_executed,
            "profiled": found.profiled.to_dict() if found.profiled else None,
            "failure": self.failure.to_dict() if self.failure else None,
            "driver_errors": list(self.driver_errors),
            "unknown_flags": found.unknown_flags,
            "lost_lines": self.lost_lines,
            "warnings": list(self.warnings),
        }


def _tool(generation: str | None) -> str | None:
    if generation is None:
        return None
    return "compiled-model" if generation == "compiled-model" else "classic"


def decode_log(data: bytes) -> str:
    """The text of a saved log: UTF-8, or UTF-16 as a Windows shell's redirection writes it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def parse_log(text: str, exit_code: int | None = None, pid: int | None = None) -> LogReport:
    """What an output of the tool, a logcat, or a mixture of both says.

    `exit_code` is the tool's, where it is known: numbers count only with 0. `pid` chooses a process
    of a logcat; without it the one with the most placement lines is taken.
    """
    raw = read_lines(text)
    lines, lost = unfold(raw)
    warnings = []
    chosen, processes = (pid, 1) if pid is not None else busiest_process(lines)
    if processes > 1:
        warnings.append(f"placement lines of {processes} processes; this is process {chosen}'s")
    if lost:
        warnings.append(f"logd threw {lost} lines away: the placement may lack operations")
    own: list[Line] = list(of_process(lines, chosen)) if chosen is not None else lines
    benchmark = read_benchmark(own if pid is not None else lines)
    nnapi = read_nnapi(own)
    failure = failure_of(benchmark, lines, exit_code, chosen)
    failure = failure or _by_counts(benchmark)
    layouts = tuple(dict.fromkeys(line.layout for line in raw if line.text.strip()))
    empty = benchmark == replace(BenchmarkLog(), profile=()) and nnapi == NnapiLog()
    return LogReport(
        layouts,
        benchmark,
        nnapi,
        failure,
        chosen,
        lost,
        (*warnings, *benchmark.warnings, *_complaints(own)),
        _driver_errors(lines, chosen),
        empty and failure is None,
    )


def _by_counts(benchmark: BenchmarkLog) -> Failure | None:
    """Missing or partial delegation where only counts of nodes tell it."""
    delegation = benchmark.delegation
    if delegation is None or delegation.coverage == "complete":
        return None
    kind: FailureClass = "not_delegated" if delegation.coverage == "none" else "partially_delegated"
    nodes = ", ".join(
        f"{row.nodes} of {row.total} nodes on {row.delegate}" for row in benchmark.replaced
    )
    return Failure(kind, nodes or f"{delegation.delegate} took part of the graph")


def _placement(benchmark: BenchmarkLog, nnapi: NnapiLog) -> tuple[Placement, ...]:
    """NNAPI's placement; without one, the CPU's nodes as the operation profile shows them."""
    if nnapi.compilations or not any(row.is_delegate for row in benchmark.profile):
        return nnapi.placement
    return tuple(
        Placement(row.node, row.node_type, "cpu")
        for row in benchmark.profile
        if not row.is_delegate and row.node is not None
    )


def _driver_errors(lines: list[Line], pid: int | None) -> tuple[str, ...]:
    """Errors that other processes logged beside the tool's: drivers run in their own."""
    if pid is None:
        return ()
    return tuple(
        f"{line.tag}: {line.text.strip()}"
        for line in lines
        if line.pid not in (None, pid) and line.level in ("E", "F")
    )


def _complaints(lines: list[Line]) -> tuple[str, ...]:
    """The tool's own warnings and errors, each once."""
    return tuple(
        dict.fromkeys(
            line.text.strip()
            for line in lines
            if line.level in ("W", "E", "F") and (line.prefixed or line.tag in ("tflite", "litert"))
        )
    )
