"""The two protocol buffers that the CompiledModel tool's stand-in writes.

Both are encoded by hand, from the numbers in LiteRT's benchmark_result.proto and
model_runtime_info.proto: where the project's reader agrees, both may be believed.
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


_TFLITE_SUBGRAPH = 1


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
    rows: list[tuple[str, str, str | None]] = []
    for inside, group in groupby(model.steps, key=lambda step: step.index in dispatched):
        steps = list(group)
        if inside:
            rows.append(("DISPATCH_OP", steps[-1].name, "DispatchDelegate"))
        else:
            rows += [(step.op, step.name, plan.where[step.index]) for step in steps]
    owners: dict[int, int] = {}
    order: list[int] = []
    delegates: list[bytes] = []
    for delegate, group in groupby(enumerate(rows), key=lambda pair: pair[1][2]):
        numbers = [number for number, _ in group]
        if delegate is None:
            order += numbers
            continue
        node = len(rows) + len(delegates)
        owners |= dict.fromkeys(numbers, node)
        details = _text(1, delegate) + _numbers(2, numbers)
        head = _varint(1, node) + _text(2, delegate) + _text(3, delegate)
        delegates.append(head + _numbers(5, [numbers[-1]]) + _message(8, details))
        order.append(node)
    graph = b"".join(
        _message(2, _varint(1, number) + _text(2, name)) for number, (_, name, _) in enumerate(rows)
    )
    for number, (op, _, _) in enumerate(rows):
        owner = _varint(9, owners[number]) if number in owners else b""
        graph += _message(3, _varint(1, number) + _text(2, op) + _numbers(5, [number]) + owner)
    graph += b"".join(_message(3, node) for node in delegates)
    graph += _numbers(4, order) + _varint(5, _TFLITE_SUBGRAPH) + _text(6, "main")
    return _message(2, graph)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _numbers(field: int, numbers: list[int]) -> bytes:
    return _message(field, b"".join(_number(number) for number in numbers))
