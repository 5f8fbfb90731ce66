"""The two protocol buffers that the CompiledModel tool's stand-in writes.

The file of figures is encoded by hand, from the numbers in LiteRT's benchmark_result.proto: where
the project's reader agrees, both may be believed. The other one uses the class that LiteRT ships.
"""

from __future__ import annotations

import struct
from itertools import groupby

from tests.emulated_phone.network import Network
from tests.emulated_phone.placing import Plan


def result(size_mb: float, init_ms: float, warmup: list[float], timed: list[float]) -> bytes:
    """Encode a BenchmarkResult; times are in ms."""
    ordered = sorted(timed)
    mean = sum(timed) / len(timed)
    deviation = (sum((value - mean) ** 2 for value in timed) / len(timed)) ** 0.5
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.05, 0.95)]
    first = warmup[0] if warmup else 0.0
    warm = sum(warmup) / len(warmup) if warmup else 0.0
    latency = [mean, ordered[0], ordered[-1], deviation, *at, init_ms, first, warm]
    memory = _varint(1, 22016) + _varint(2, 33024) + _float(3, 41.5)
    misc = _float(1, size_mb) + _varint(2, len(timed)) + _varint(3, len(warmup))
    return (
        _message(2, b"".join(_float(number, value) for number, value in enumerate(latency, 1)))
        + _message(3, memory)
        + _message(4, misc)
    )


def _number(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _float(field: int, value: float) -> bytes:
    return _number(field << 3 | 5) + struct.pack("<f", value)


def _message(field: int, data: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(data)) + data


def runtime(model: Network, plan: Plan, dispatched: frozenset[int]) -> bytes:
    """Encode a ModelRuntimeDetails of the graph that ran.

    Each row of operations that the NPU's compiler took is one DISPATCH_OP there. Nodes of delegates
    follow after all others, as in TFLite's interpreter.
    """
    from ai_edge_litert.model_runtime_info_pb2 import ModelRuntimeDetails, RuntimeSubgraph

    details = ModelRuntimeDetails()
    graph = details.subgraphs.add(subgraph_id=0, name="main")
    graph.subgraph_type = RuntimeSubgraph.TFLITE_SUBGRAPH
    rows: list[tuple[str, str, str | None]] = []
    for inside, group in groupby(model.steps, key=lambda step: step.index in dispatched):
        steps = list(group)
        if inside:
            rows.append(("DISPATCH_OP", steps[-1].name, "DispatchDelegate"))
        else:
            rows += [(step.op, step.name, plan.where[step.index]) for step in steps]
    for number, (op, name, _) in enumerate(rows):
        graph.edges.add(id=number, name=name)
        graph.nodes.add(id=number, name=op, inputs=[], outputs=[number])
    node = len(rows)
    for delegate, group in groupby(enumerate(rows), key=lambda pair: pair[1][2]):
        numbers = [number for number, _ in group]
        if delegate is None:
            graph.execution_plan.extend(numbers)
            continue
        for number in numbers:
            graph.nodes[number].delegated_to_node_id = node
        own = graph.nodes.add(id=node, name=delegate, type=delegate, outputs=[numbers[-1]])
        own.delegate_node_details.delegate_name = delegate
        own.delegate_node_details.tflite_node_ids_replaced.extend(numbers)
        graph.execution_plan.append(node)
        node += 1
    return bytes(details.SerializeToString())
