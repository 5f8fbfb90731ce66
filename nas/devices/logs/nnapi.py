"""Reading NNAPI's log (`debug.nn.vlog`): placement, plans, fallbacks, capabilities."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from nas.devices.logs.figures import figure
from nas.devices.logs.lines import Line
from nas.devices.measurement import Placement

REFERENCE = "nnapi-reference"
"""NNAPI's own CPU implementation: no accelerator, and slow."""

_BEST = re.compile(
    r"findBestDeviceForEachOperation\((\w{1,80})\) = (-?\d{1,9})(?: \(([^)]{1,200})\))?"
)
_INTERFACE = re.compile(r"Found interface (\S+)")
_CANNOT = re.compile(r"Device (\S+) can'?t do operation (\w+)")
_NO_DRIVER = re.compile(r"No driver can do (?:the op(?:eration)? )?(\S+)")
_PLAN = re.compile(r"ExecutionPlan: (SIMPLE|COMPOUND|EMPTY|ERROR)\b|^(SIMPLE|COMPOUND) for\b")
_SIMPLE_FOR = re.compile(r"SIMPLE for (\S+)")
_PARTITION = re.compile(r"partitionTheWork|ExecutionPlan::finish|^SIMPLE for|^COMPOUND")
_COMPILE_FALLBACK = re.compile(r"CompilationBuilder::finish with CPU fallback|with CPU fallback")
_RUN_FALLBACK = re.compile(r"cpuFallback(Full|Partial)")
_RELAXED_MODEL = re.compile(r"relaxComputationFloat32toFloat16 ?[:=]? ?([01])\b")
_CAPABILITY = re.compile(
    r"\.type = (\w+), \.info = \{\.execTime = ([\d.e+-]+), \.powerUsage = ([\d.e+-]+)\}"
)
_RELAXED = re.compile(
    r"\.relaxedFloat32toFloat16Performance(Scalar|Tensor) = "
    r"\{\.execTime = ([\d.e+-]+), \.powerUsage = ([\d.e+-]+)\}"
)


@dataclass(frozen=True)
class Capability:
    """A driver's claim about one operand type: time and power, as multiples of NNAPI's CPU."""

    accelerator: str | None
    operand: str
    exec_time: float
    power_usage: float


@dataclass(frozen=True)
class NnapiLog:
    """The facts of one process's NNAPI log.

    `interfaces` are the accelerators that NNAPI found. `compilations` holds one tuple of placements
    a compiled model; indices count NNAPI's operations from 0, in the log's order. `plans` are
    NNAPI's execution plans, `cannot_do` pairs of an accelerator and an operation that it refuses,
    `no_driver` operations that no driver takes. `compile_fallback`: a model was compiled with
    fallback to the CPU. `runtime_fallbacks` ("full", "partial") happened while running, and the
    placement does not show them. `relaxed_float16`: float32 may be computed in float16.
    """

    interfaces: tuple[str, ...] = ()
    compilations: tuple[tuple[Placement, ...], ...] = ()
    plans: tuple[str, ...] = ()
    cannot_do: tuple[tuple[str, str], ...] = ()
    no_driver: tuple[str, ...] = ()
    compile_fallback: bool = False
    runtime_fallbacks: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    execution_failed: bool = False
    relaxed_float16: bool | None = None

    @property
    def placement(self) -> tuple[Placement, ...]:
        """The placements of all compilations, in one sequence of indices."""
        rows = [row for compilation in self.compilations for row in compilation]
        return tuple(replace(row, index=index) for index, row in enumerate(rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON types."""
        return {
            "interfaces": list(self.interfaces),
            "compilations": len(self.compilations),
            "plans": list(self.plans),
            "cannot_do": [{"accelerator": a, "op": op} for a, op in self.cannot_do],
            "no_driver": list(self.no_driver),
            "compile_fallback": self.compile_fallback,
            "runtime_fallbacks": list(self.runtime_fallbacks),
            "execution_failed": self.execution_failed,
            "relaxed_float16": self.relaxed_float16,
            "capabilities": [
                {
                    "accelerator": row.accelerator,
                    "operand": row.operand,
                    "exec_time": row.exec_time,
                    "power_usage": row.power_usage,
                }
                for row in self.capabilities
            ],
        }


@dataclass
class _Collector:
    interfaces: list[str] = field(default_factory=list)
    compilations: list[list[tuple[str, int, str | None]]] = field(default_factory=lambda: [[]])
    plans: list[str] = field(default_factory=list)
    cannot_do: list[tuple[str, str]] = field(default_factory=list)
    no_driver: list[str] = field(default_factory=list)
    compile_fallback: bool = False
    runtime_fallbacks: list[str] = field(default_factory=list)
    capabilities: list[Capability] = field(default_factory=list)
    execution_failed: bool = False
    relaxed_float16: bool | None = None

    def take(self, line: Line) -> None:
        text = line.text
        if match := _BEST.search(text):
            self.compilations[-1].append((match[1], int(match[2]), match[3]))
            return
        if match := _INTERFACE.search(text):
            if match[1] not in self.interfaces:
                self.interfaces.append(match[1])
        elif match := _CANNOT.search(text):
            self.cannot_do.append((match[1], match[2]))
        elif match := _NO_DRIVER.search(text):
            self.no_driver.append(match[1])
        elif "Capab" in text:
            self.capabilities += _capabilities(
                text, self.interfaces[-1] if self.interfaces else None
            )
        elif _COMPILE_FALLBACK.search(text):
            self.compile_fallback = True
        elif match := _RUN_FALLBACK.search(text):
            self.runtime_fallbacks.append(match[1].lower())
        elif "**Execution failed**" in text:
            self.execution_failed = True
        elif match := _RELAXED_MODEL.search(text):
            self.relaxed_float16 = match[1] == "1"
        self._take_plan(line)

    def _take_plan(self, line: Line) -> None:
        if match := _SIMPLE_FOR.search(line.text):
            self.plans.append(f"SIMPLE for {match[1]}")
        elif (match := _PLAN.search(line.text)) and (match[1] or match[2]):
            self.plans.append(match[1] or match[2])
        if _PARTITION.search(line.text) and self.compilations[-1]:
            self.compilations.append([])


def read_nnapi(lines: list[Line]) -> NnapiLog:
    """Read the NNAPI facts in `lines`, which are of one process and unfolded."""
    collector = _Collector()
    for line in lines:
        collector.take(line)
    compilations = tuple(
        tuple(
            Placement(index, op, _accelerator(number, name, collector.interfaces))
            for index, (op, number, name) in enumerate(rows)
        )
        for rows in collector.compilations
        if rows
    )
    return NnapiLog(
        tuple(collector.interfaces),
        compilations,
        tuple(collector.plans),
        tuple(collector.cannot_do),
        tuple(collector.no_driver),
        collector.compile_fallback,
        tuple(collector.runtime_fallbacks),
        tuple(collector.capabilities),
        collector.execution_failed,
        collector.relaxed_float16,
    )


def _accelerator(number: int, name: str | None, interfaces: list[str]) -> str:
    """Name the accelerator; Android 9 prints its index only, and the last one is the CPU."""
    if name is not None:
        return name
    if 0 <= number < len(interfaces):
        return interfaces[number]
    if interfaces and number == len(interfaces):
        return REFERENCE
    return f"#{number}"


def _capabilities(text: str, accelerator: str | None) -> list[Capability]:
    relaxed = [
        (f"RELAXED_FLOAT16_{kind.upper()}", figure(time), figure(power))
        for kind, time, power in _RELAXED.findall(text)
    ]
    told = [(kind, figure(time), figure(power)) for kind, time, power in _CAPABILITY.findall(text)]
    return [
        Capability(accelerator, operand, time, power)
        for operand, time, power in relaxed + told
        if time is not None and power is not None
    ]


def busiest_process(lines: list[Line]) -> tuple[int | None, int]:
    """Find the process with the most placement lines, and count those that have any.

    The process is None where no line has a process id.
    """
    counts = Counter(line.pid for line in lines if _BEST.search(line.text))
    if not counts:
        return None, 0
    return counts.most_common(1)[0][0], len(counts)
