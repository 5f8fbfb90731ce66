"""A process that times many small `.tflite` files one after another, for `nas.predictor.sessions`.

Started as a script, so that it imports no more than it needs. A request is one line of JSON on
standard input; its answer is one line of JSON on the descriptor given as the argument. The first
line says that all is imported. Standard input's end is this process's end.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

_PIXELS = 4096
"""How many pixels are drawn; others repeat them, as drawing takes longer than running."""


def main() -> None:
    """Answer requests until the input ends."""
    answer_to, parent = int(sys.argv[1]), int(sys.argv[2])
    worker = _host_worker()
    if os.getppid() != parent:
        os._exit(1)
    import numpy  # noqa: F401
    from ai_edge_litert.interpreter import Interpreter  # noqa: F401

    os.write(answer_to, b"{}\n")
    for line in sys.stdin.buffer:
        try:
            answer = timed(json.loads(line), worker)
        except Exception as error:  # whatever LiteRT raises is an answer, not a crash
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        content = json.dumps(answer).encode() + b"\n"
        while content:
            content = content[os.write(answer_to, content) :]
    os._exit(0)


def timed(request: dict[str, Any], worker: Any) -> dict[str, Any]:
    """Return latencies in ms: after `warmup` untimed runs, `runs`, then more for `seconds`.

    Never more than `most`. With each one how long processors were busy with it. Where the processor
    itself was slow meanwhile, the file is timed once more, while there is patience left.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(request["artifact"], num_threads=request["threads"])
    interpreter.allocate_tensors()
    rng = np.random.default_rng(worker.SEED)
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], _features(rng, details))
    for _ in range(1 + request["warmup"]):  # the first one is never counted
        interpreter.invoke()
    tried: list[tuple[float, dict[str, Any]]] = []
    while len(tried) < 2:
        before = _wait_for_pace(worker)
        samples = _samples(interpreter, request, worker)
        pace = max(before, _look(worker))
        tried.append((pace, samples))
        if pace <= worker.SLOW * _best[0] or _patience[0] <= 0:
            break
    return min(tried, key=lambda one: one[0])[1]


_best = [float("inf")]
"""The processor's best pace in this process so far."""
_patience = [30.0]
"""How many seconds in all this process may still wait for that pace."""


def _look(worker: Any) -> float:
    pace = float(worker.pace_ms())
    _best[0] = min(_best[0], pace)
    return pace


def _wait_for_pace(worker: Any) -> float:
    """Return the processor's pace once it is near its best, or once patience has run out."""
    pace, started = _look(worker), time.perf_counter()
    patience = min(worker.PATIENCE_SECONDS, _patience[0])
    while pace > worker.SLOW * _best[0] and time.perf_counter() - started < patience:
        pace = _look(worker)
    _patience[0] -= time.perf_counter() - started
    return pace


def _samples(interpreter: Any, request: dict[str, Any], worker: Any) -> dict[str, Any]:
    samples: list[float] = []
    busy: list[float] = []
    end = time.perf_counter() + request["seconds"]
    while len(samples) < request["runs"] or (
        time.perf_counter() < end and len(samples) < request["most"]
    ):
        before = time.process_time_ns()
        samples.append(worker.timed_ms(interpreter))
        busy.append((time.process_time_ns() - before) / 1e6)
    return {"samples_ms": samples, "cpu_ms": busy}


def _features(rng: Any, details: dict[str, Any]) -> Any:
    """Return features as they are within a network: channel means differ, with some noise.

    White noise would do for all but PReLU, whose int8 kernel asks for the sign of every value: of
    noise no processor guesses it, of features it does.
    """
    import numpy as np

    shape, dtype = details["shape"], np.dtype(details["dtype"])
    some = max(1, min(int(np.prod(shape[:-1])), _PIXELS))
    noise = 0.25 * rng.standard_normal((some, shape[-1]), np.float32)
    scale = 1.0 if dtype.kind == "f" else np.iinfo(dtype).max
    values = (rng.uniform(-1.0, 1.0, shape[-1]).astype(np.float32) + noise) * np.float32(scale)
    return np.resize(np.clip(values, -scale, scale).astype(dtype), shape)


def _host_worker() -> Any:
    """Load the host's worker by its path: an import by its name would load the package, too."""
    path = Path(__file__).resolve().parents[1] / "devices" / "host" / "worker.py"
    spec = importlib.util.spec_from_file_location("host_worker", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
