"""Placement: which operation of a `.tflite` ran where, from logs and the file's operations.

NNAPI logs its operations in order and by its own names. The tool's operation profile tells, with
exact indices, which of the file's operations NNAPI never saw; without a profile the two lists are
aligned.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nas.devices.delegate import Delegate
from nas.devices.logs import LogReport
from nas.devices.logs.benchmark_log import DISPATCH_OP, RuntimeNode
from nas.devices.logs.delegation import family
from nas.devices.logs.nnapi import REFERENCE
from nas.devices.measurement import Placement
from nas.tflite.file import Operation, read_tflite

CPU = "cpu"
"""The name of TFLite's own kernels as an accelerator."""
NNAPI_NAMES = {
    "TRANSPOSE_CONV": "TRANSPOSE_CONV_2D",
    "RELU_N1_TO_1": "RELU1",
    "PADV2": "PAD_V2",
    "ARG_MAX": "ARGMAX",
    "ARG_MIN": "ARGMIN",
    "SUM": "REDUCE_SUM",
    "REDUCE_PROD": "REDUCE_PROD",
}
"""NNAPI's names of operations, by TFLite's, where they differ."""


def nnapi_name(op: str) -> str:
    """Return the name of the NNAPI operation that a TFLite operation becomes."""
    return NNAPI_NAMES.get(op, op)


def is_cpu(accelerator: str | None) -> bool:
    """Whether an accelerator's name stands for the CPU: TFLite's kernels or NNAPI's reference."""
    return accelerator in (CPU, REFERENCE)


def join(
    operations: Iterable[Operation], report: LogReport, delegate: Delegate
) -> tuple[Placement, ...]:
    """Tell where each operation of the file ran; `accelerator` is None where no log tells it.

    Operations have NNAPI's names under `nnapi`, as in the phone's log and in the paper, and
    TFLite's under every other delegate.
    """
    listed = list(operations)
    nnapi = delegate.kind == "nnapi"
    names = [nnapi_name(step.name) if nnapi else step.name for step in listed]
    if report.benchmark.runtime:
        where = _from_runtime(listed, report.benchmark.runtime)
        return _placed(listed, names, where)
    on_cpu = _cpu_nodes(listed, report)
    if any(row.inside or "XNNPack" in row.node_type for row in report.benchmark.profile):
        on_cpu = None  # XNNPACK is the CPU, too, and its node does not tell what is in it
    if nnapi and report.nnapi.compilations:
        where = _from_nnapi(names, on_cpu, report)
    else:
        where = _from_delegation(listed, on_cpu, report, delegate)
    return _placed(listed, names, where)


def _placed(
    operations: list[Operation], names: list[str], where: list[str | None]
) -> tuple[Placement, ...]:
    return tuple(
        Placement(step.index, name, place)
        for step, name, place in zip(operations, names, where, strict=True)
    )


def _from_runtime(operations: list[Operation], nodes: tuple[RuntimeNode, ...]) -> list[str | None]:
    """Tell where operations ran by the graph that ran.

    That graph is the file's, or what an NPU's compiler left of it: what is no longer there went
    into a DISPATCH_OP. Operations are known by their order, else by their name and their output.
    """
    places = [CPU if n.delegate is None else family(n.delegate) for n in nodes]
    own = [step.name.removeprefix("CUSTOM ") for step in operations]
    if own == [node.op for node in nodes]:
        return list(places)
    compiled = next((p for n, p in zip(nodes, places, strict=True) if DISPATCH_OP in n.op), None)
    left = {
        (node.op, node.outputs[0]): place
        for node, place in zip(nodes, places, strict=True)
        if node.outputs and node.outputs[0]
    }
    return [
        left.get((name, step.outputs[0].name if step.outputs else ""), compiled)
        for name, step in zip(own, operations, strict=True)
    ]


def _cpu_nodes(operations: list[Operation], report: LogReport) -> frozenset[int] | None:
    """Find the operations that TFLite ran itself; None where the log does not tell them."""
    rows = report.benchmark.profile
    if rows:
        own = [row for row in rows if not row.is_delegate and not row.inside]
        nodes = {row.node for row in own if row.node is not None}
        named = {row.name for row in own if row.node is None}
        indices = {
            step.index for step in operations if step.outputs and step.outputs[0].name in named
        }
        return frozenset(indices | {node for node in nodes if node < len(operations)})
    delegation = report.benchmark.delegation
    if delegation is not None and delegation.coverage == "complete":
        return frozenset()
    if delegation is not None and delegation.coverage == "none":
        return frozenset(step.index for step in operations)
    return None


def _from_nnapi(
    names: list[str], on_cpu: frozenset[int] | None, report: LogReport
) -> list[str | None]:
    seen = [(n, name) for n, name in enumerate(names) if on_cpu is None or n not in on_cpu]
    placed = _last_compilation(list(report.nnapi.placement), len(seen))
    pairs = _align([name for _, name in seen], [row.op for row in placed])
    where: list[str | None] = [
        CPU if on_cpu is None or n in on_cpu else None for n in range(len(names))
    ]
    for own, other in pairs:
        where[seen[own][0]] = placed[other].accelerator
    if "full" in report.nnapi.runtime_fallbacks:
        # While running, NNAPI gave the whole model to its reference, whatever it had planned.
        where = [place if place == CPU else REFERENCE for place in where]
    return where


def _last_compilation(rows: list[Placement], expected: int) -> list[Placement]:
    """Keep the rows of the last compilation: a resized input compiles the graph again."""
    if expected and len(rows) > expected and len(rows) % expected == 0:
        return rows[-expected:]
    return rows


def _align(own: list[str], other: list[str]) -> list[tuple[int, int]]:
    """Pair the indices of the longest common subsequence; NNAPI may add operations of its own."""
    if own == other:
        return [(n, n) for n in range(len(own))]
    lengths = [[0] * (len(other) + 1) for _ in range(len(own) + 1)]
    for i in range(len(own) - 1, -1, -1):
        for j in range(len(other) - 1, -1, -1):
            if own[i] == other[j]:
                lengths[i][j] = lengths[i + 1][j + 1] + 1
            else:
                lengths[i][j] = max(lengths[i + 1][j], lengths[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(own) and j < len(other):
        if own[i] == other[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _from_delegation(
    operations: list[Operation],
    on_cpu: frozenset[int] | None,
    report: LogReport,
    delegate: Delegate,
) -> list[str | None]:
    if delegate.kind == "cpu":
        return [CPU] * len(operations)
    delegation = report.benchmark.delegation
    if delegation is None and not any(row.is_delegate for row in report.benchmark.profile):
        # Both tools mention a delegate that was applied.
        ran = report.benchmark.timed is not None or report.benchmark.profile
        return [CPU if ran else None] * len(operations)
    name = delegate.detail if delegate.kind == "nnapi" and delegate.detail else delegate.kind
    if on_cpu is None:
        return [None] * len(operations)
    return [CPU if step.index in on_cpu else name for step in operations]


def accelerated_mac_share(path: Path, placement: tuple[Placement, ...]) -> float | None:
    """Compute the share of the convolutions' MACs that ran on an accelerator, from 0 to 1.

    None where the file has no MACs or leaves shapes open, or the place of a convolution is unknown.
    """
    operations = read_tflite(path).operations
    places = {row.index: row.accelerator for row in placement}
    total = accelerated = 0
    for step in operations:
        if not step.fixed:
            return None
        macs = step.conv_macs
        place = places.get(step.index)
        if macs and place is None:
            return None
        total += macs
        accelerated += 0 if is_cpu(place) else macs
    return accelerated / total if total else None


def fallbacks(placement: tuple[Placement, ...]) -> dict[str, list[int]]:
    """List the operations that ran on the CPU: the indices, by the operation's name."""
    indices: dict[str, list[int]] = {}
    for row in placement:
        if is_cpu(row.accelerator):
            indices.setdefault(row.op, []).append(row.index)
    return indices
