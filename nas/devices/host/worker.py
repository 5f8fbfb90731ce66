"""One launch of the host device: a process of its own that times one `.tflite` and ends.

Started by `nas.devices.host.process` as a script, so that it imports no more than it needs: LiteRT
and NumPy. A line feed says that both are imported. The request is one line of JSON on standard
input, which stays open: its end means that the process that asked is gone. The answer is one JSON
document on the descriptor given as the argument, apart from standard output and error, where LiteRT
writes what it likes.

A machine's processor may be slower for a second at a time: a virtual one whose neighbour works, a
laptop that cools. No counter of this system shows that, so a fixed piece of work is timed before
and after each run. A run beside a slow one is done again while there is patience left.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any

SEED = 0
"""The seed of the noise that networks are timed on."""
SLOW = 1.25
"""A processor is called slow where the fixed work takes so many times its best time."""
PATIENCE_SECONDS = 0.6
"""The time that a launch spends in all on waiting and on repeating disturbed runs."""


def main() -> None:
    """Import, read the request, answer it, and end without tearing LiteRT down."""
    answer_to = int(sys.argv[1])
    with contextlib.suppress(Exception):  # what can't be imported fails once more, and is told then
        import numpy  # noqa: F401
        from ai_edge_litert.interpreter import Interpreter  # noqa: F401
    os.write(answer_to, b"\n")
    request = json.loads(_read_line(0))
    _die_with(request["parent"])
    try:
        answer = _measure(request)
    except Exception as error:  # whatever LiteRT raises is an answer, not a crash
        answer = {"error": f"{type(error).__name__}: {error}"}
    content = json.dumps(answer).encode()
    while content:
        content = content[os.write(answer_to, content) :]
    os._exit(0)


def _measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time one artifact by the request's protocol; milliseconds and MB of 10^6 bytes."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    cpu_before = time.process_time()
    memory_before = _memory_mb("VmRSS")
    started = time.perf_counter_ns()
    interpreter = Interpreter(request["artifact"], num_threads=request["threads"])
    interpreter.allocate_tensors()
    init_ms = (time.perf_counter_ns() - started) / 1e6
    rng = np.random.default_rng(SEED)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], noise(rng, details))
    first_ms = timed_ms(interpreter)
    for _ in range(request["warmup"]):
        interpreter.invoke()
    runs, disturbed = timed_runs(interpreter, request)
    return {
        "init_ms": init_ms,
        "first_ms": first_ms,
        "samples_ms": [sample for _, sample in runs],
        "paces_ms": [pace for pace, _ in runs],
        "disturbed_runs": disturbed,
        "peak_memory_mb": _memory_mb("VmHWM"),
        "memory_before_load_mb": memory_before,
        "cpu_seconds": time.process_time() - cpu_before,
        "operations": operations_of(interpreter),
    }


def timed_runs(interpreter: Any, request: dict[str, Any]) -> tuple[list[tuple[float, float]], int]:
    """Time runs; returns (pace, time) of each in ms, and how many runs were left out.

    The pace of a run is the slower one of those before and after it. Runs beside a slow pace are
    left out, unless `runs` or half of all would not remain.
    """
    best, patience = request["best_pace_ms"] or float("inf"), PATIENCE_SECONDS
    runs: list[tuple[float, float]] = []
    timed = 0.0
    pace = pace_ms()
    while True:
        best = min(best, pace)
        waiting = time.perf_counter()
        while pace > SLOW * best and time.perf_counter() - waiting < patience:
            pace = pace_ms()
        patience -= time.perf_counter() - waiting
        block = _block(interpreter, None if request["min_seconds"] else request["runs"])
        before, pace = pace, pace_ms()
        runs += [(max(before, pace), sample) for sample in block]
        best = min(best, pace)
        timed += sum(block) / 1e3
        if max(before, pace) > SLOW * best:
            patience -= sum(block) / 1e3
        calm = sum(pace_ms <= SLOW * best for pace_ms, _ in runs)
        enough = calm >= request["runs"] or (patience <= 0 and len(runs) >= request["runs"])
        if enough and timed >= request["min_seconds"]:
            break
    count = max(calm, request["runs"], len(runs) // 2)
    calmest = sorted(sorted(range(len(runs)), key=lambda run: runs[run][0])[:count])
    return [runs[run] for run in calmest], len(runs) - len(calmest)


def _block(interpreter: Any, most: int | None) -> list[float]:
    """Time runs of some 10 ms together, at least one, without a look at the pace in between."""
    samples = [timed_ms(interpreter)]
    while sum(samples) < 10 and len(samples) != most:
        samples.append(timed_ms(interpreter))
    return samples


def pace_ms() -> float:
    """Time the fixed piece of work: the fastest of three, so that no interrupt counts."""
    times = []
    for _ in range(3):
        started, total = time.perf_counter_ns(), 0
        for number in range(4000):
            total += number
        times.append((time.perf_counter_ns() - started) / 1e6)
    return min(times)


def timed_ms(interpreter: Any) -> float:
    """Time one inference, in milliseconds."""
    started = time.perf_counter_ns()
    interpreter.invoke()
    return (time.perf_counter_ns() - started) / 1e6


def noise(rng: Any, details: dict[str, Any]) -> Any:
    """Draw a picture of noise in the input's own type: 0 to 1, or all values of an integer type."""
    import numpy as np

    dtype = np.dtype(details["dtype"])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, details["shape"], dtype, endpoint=True)
    return rng.random(details["shape"], dtype=np.float32).astype(dtype)


def operations_of(interpreter: Any) -> list[dict[str, Any]] | None:
    """List every operation and whether a delegate took it; None where LiteRT doesn't tell.

    A delegate's nodes are appended to the operations they replace. A node's operations are those
    that lead from its inputs to its outputs, so they are found by walking back from the outputs.
    """
    try:
        rows = interpreter._get_ops_details()
        operations = [row for row in rows if row["op_name"] != "DELEGATE"]
        nodes = [row for row in rows if row["op_name"] == "DELEGATE"]
        made_by = {int(tensor): row for row in operations for tensor in row["outputs"]}
        delegated: set[int] = set()
        for node in nodes:
            inputs = {int(tensor) for tensor in node["inputs"]}
            open_ends = [int(tensor) for tensor in node["outputs"]]
            while open_ends:
                tensor = open_ends.pop()
                if tensor in made_by and tensor not in inputs and tensor >= 0:
                    row = made_by[tensor]
                    if row["index"] not in delegated:
                        delegated.add(row["index"])
                        open_ends += [int(source) for source in row["inputs"]]
        return [
            {"index": row["index"], "op": row["op_name"], "delegated": row["index"] in delegated}
            for row in operations
        ]
    except (AttributeError, KeyError, TypeError):  # the method is private and may change
        return None


def _memory_mb(entry: str) -> float | None:
    """Read an entry of this process's status in MB; None where the system has no such file.

    Not `getrusage`: its peak starts at the memory of the process that started this one.
    """
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(f"{entry}:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return None


def _die_with(parent: int) -> None:
    """End this process as soon as `parent` has ended, however it did."""
    if sys.platform == "linux":
        import ctypes
        import signal

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _read_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1)
        if not piece:
            os._exit(1)
        line += piece
    return line


if __name__ == "__main__":
    main()
