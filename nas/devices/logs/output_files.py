"""The two files that LiteRT's CompiledModel tool writes: its figures, and who ran each operation.

Both are protocol buffers. They are more exact than the tool's text, which stays the fallback: a
tool that dies in the middle leaves the first of them out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from nas.devices.failures import WITH_LATENCY, DeviceFailure
from nas.devices.logs.benchmark_log import (
    DISPATCH_OP,
    BenchmarkLog,
    Delegation,
    RuntimeNode,
    Statistics,
)
from nas.devices.logs.delegation import family
from nas.devices.logs.report import LogReport

_FLOAT, _INT32, _INT64, _MESSAGE, _STRING = 2, 5, 3, 11, 9
_OPTIONAL, _LIST = 1, 3
_Fields = tuple[tuple[int, str, int | str], ...]
"""A message's fields: number, name, and type: one of the numbers above, or a message's name."""
_RESULT = {
    "LatencyMetrics": (
        ("avg_ms", _FLOAT),
        ("min_ms", _FLOAT),
        ("max_ms", _FLOAT),
        ("stddev_ms", _FLOAT),
        ("median_ms", _FLOAT),
        ("p5_ms", _FLOAT),
        ("p95_ms", _FLOAT),
        ("init_ms", _FLOAT),
        ("first_inference_ms", _FLOAT),
        ("average_warm_up_ms", _FLOAT),
    ),
    "MemoryMetrics": (
        ("init_footprint_kb", _INT64),
        ("overall_footprint_kb", _INT64),
        ("peak_mem_mb", _FLOAT),
    ),
    "MiscMetrics": (
        ("model_size_mb", _FLOAT),
        ("num_runs", _INT32),
        ("num_warmup_runs", _INT32),
        ("model_throughput_in_mb_per_sec", _FLOAT),
    ),
}
"""The messages of LiteRT's benchmark_result.proto, fields in the order of their numbers from 1.

The wheel does not contain this one.
"""
_RUNTIME: dict[str, _Fields] = {
    "Edge": ((1, "id", _INT32), (2, "name", _STRING)),
    "DelegateNodeDetails": ((1, "delegate_name", _STRING),),
    "Node": (
        (1, "id", _INT32),
        (2, "name", _STRING),
        (5, "outputs", _INT32),
        (8, "delegate_node_details", "DelegateNodeDetails"),
        (9, "delegated_to_node_id", _INT32),
    ),
    "RuntimeSubgraph": ((2, "edges", "Edge"), (3, "nodes", "Node")),
    "ModelRuntimeDetails": ((2, "subgraphs", "RuntimeSubgraph"),),
}
"""What is read of the messages of LiteRT's model_runtime_info.proto, each field with its number.

The wheel has this one, but its class can't be loaded in a process that has loaded TensorFlow.
"""
_REPEATED = ("outputs", "edges", "nodes", "subgraphs")
_TIMES = tuple(name for name, _ in _RESULT["LatencyMetrics"])


def with_output_files(
    report: LogReport, asked: str, result: bytes | None, runtime: bytes | None
) -> LogReport:
    """Put what the files tell in the place of what the text told; `asked` is the delegate's kind.

    A file that is not there (None) or can't be read leaves the text's facts as they are, with a
    warning in the second case.
    """
    benchmark, warnings = replace(report.benchmark), []
    if result is not None:
        try:
            _take_result(benchmark, result)
        except ValueError as error:
            warnings.append(f"the tool's file of figures can't be read ({error}): its text counts")
    failure = report.failure
    if runtime is not None:
        try:
            benchmark.runtime = read_runtime(runtime)
        except ValueError as error:
            warnings.append(f"the tool's file of operations can't be read ({error})")
        else:
            failure = _judged(benchmark, failure, asked)
    return replace(
        report, benchmark=benchmark, failure=failure, warnings=(*report.warnings, *warnings)
    )


def read_runtime(data: bytes) -> tuple[RuntimeNode, ...]:
    """Read the operations of the first subgraph, in the order of their numbers.

    Raises ValueError where the data are no such file.
    """
    details = _parsed(_runtime_type()(), data)
    if not details.subgraphs or not details.subgraphs[0].nodes:
        raise ValueError("it names no operation")
    graph = details.subgraphs[0]
    names = {edge.id: edge.name for edge in graph.edges}
    delegates = {
        node.id: node.delegate_node_details.delegate_name
        for node in graph.nodes
        if node.HasField("delegate_node_details")
    }
    return tuple(
        RuntimeNode(
            node.name,
            tuple(names.get(output, "") for output in node.outputs),
            delegates.get(node.delegated_to_node_id, "an unnamed delegate")
            if node.HasField("delegated_to_node_id")
            else None,
        )
        for node in graph.nodes
        if node.id not in delegates
    )


def coverage(nodes: tuple[RuntimeNode, ...], asked: str) -> Delegation:
    """Tell how much of a graph the delegates of the kind `asked` took."""
    own = [node for node in nodes if node.delegate is not None and family(node.delegate) == asked]
    names = list(dict.fromkeys(str(node.delegate) for node in own))
    part = "none" if not own else "complete" if len(own) == len(nodes) else "partial"
    return Delegation(names[0] if names else asked, part)


def _judged(log: BenchmarkLog, failure: DeviceFailure | None, asked: str) -> DeviceFailure | None:
    """Judge the delegation by the operations; a failure of another kind stays."""
    if asked not in ("gpu", "npu") or (
        failure is not None and failure.failure_class not in WITH_LATENCY
    ):
        return failure
    found = coverage(log.runtime, asked)
    said = log.delegation
    kernels = said.kernels if said is not None and said.delegate == found.delegate else None
    log.delegation = replace(found, kernels=kernels)
    if found.coverage == "complete":
        return None
    rest = [node for node in log.runtime if node.delegate is None or family(node.delegate) != asked]
    operations = ", ".join(dict.fromkeys(node.op for node in rest))
    count = f"{len(log.runtime) - len(rest)} of {len(log.runtime)} operations on {asked}"
    if found.coverage == "partial":
        return DeviceFailure("partially_delegated", f"{count}; on the CPU: {operations}")
    reason = next(iter(log.facts.reasons), "") or (failure.detail if failure else "")
    detail = f"{count}; the CPU ran {operations}"
    return DeviceFailure("not_delegated", f"{detail}; {reason}" if reason else detail)


def is_dispatched(nodes: tuple[RuntimeNode, ...]) -> bool:
    """Whether an operation stands for what was compiled for an NPU, and the NPU ran it."""
    return any(DISPATCH_OP in node.op and node.delegate is not None for node in nodes)


def _take_result(log: BenchmarkLog, data: bytes) -> None:
    result = _parsed(_result_type()(), data)
    memory, misc = result.memory_metrics, result.misc_metrics
    times = {name: _decimal(getattr(result.latency_metrics, name)) for name in _TIMES}
    needed = [times[name] for name in ("avg_ms", "median_ms", "min_ms", "max_ms", "init_ms")]
    if misc.num_runs < 1 or not all(math.isfinite(value) and value > 0 for value in needed):
        raise ValueError(f"{misc.num_runs} inferences of {times['median_ms']:g} ms")
    log.init_ms, log.first_ms = times["init_ms"], times["first_inference_ms"] or log.first_ms
    log.warmup_mean_ms, log.mean_ms = times["average_warm_up_ms"], times["avg_ms"]
    timed = Statistics(
        misc.num_runs,
        min_ms=times["min_ms"],
        max_ms=times["max_ms"],
        mean_ms=times["avg_ms"],
        std_ms=times["stddev_ms"],
        p5_ms=times["p5_ms"],
        median_ms=times["median_ms"],
        p95_ms=times["p95_ms"],
    )
    warmup = Statistics(misc.num_warmup_runs, log.first_ms, mean_ms=log.warmup_mean_ms)
    log.blocks = [warmup, timed]
    kept = {"init_mb": memory.init_footprint_kb / 1024}
    kept |= {"overall_mb": memory.overall_footprint_kb / 1024, "peak_mb": memory.peak_mem_mb}
    log.memory = log.memory | {name: value for name, value in kept.items() if value > 0}
    log.model_size_mb, log.finished = misc.model_size_mb or log.model_size_mb, True


def _decimal(value: float) -> float:
    """Return the number that a float of 32 bits was made from, to the digits that it holds."""
    return float(f"{value:.7g}")


def _parsed(message: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("it is no such protocol buffer") from error
    return message


@cache
def _result_type() -> Any:
    """Make the class of LiteRT's message BenchmarkResult."""
    messages: dict[str, _Fields] = {
        name: tuple((number, *field) for number, field in enumerate(fields, 1))
        for name, fields in _RESULT.items()
    }
    parts = tuple(
        (number, name.removesuffix("Metrics").lower() + "_metrics", name)
        for number, name in enumerate(_RESULT, 2)
    )
    messages["BenchmarkResult"] = ((1, "name", _STRING), *parts)
    return _message_type("tflite.tools.benchmark", messages, "BenchmarkResult")


@cache
def _runtime_type() -> Any:
    """Make the class of LiteRT's message ModelRuntimeDetails, with the fields that are read."""
    return _message_type("tflite.profiling", _RUNTIME, "ModelRuntimeDetails")


def _message_type(package: str, messages: Mapping[str, _Fields], name: str) -> Any:
    """Make the class of the message `name` of a package, in a pool of its own.

    In protobuf's own pool it would meet the copy that TensorFlow brings, under another file's name.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto2"
    )
    for title, fields in messages.items():
        message = file.message_type.add(name=title)
        for number, field, kind in fields:
            added = message.field.add(name=field, number=number, label=_OPTIONAL)
            if field in _REPEATED:
                added.label = _LIST
            if isinstance(kind, str):
                added.type, added.type_name = _MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
