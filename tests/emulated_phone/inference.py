"""Inferences of the stand-in tool: really timed, or modelled and waited for."""

from __future__ import annotations

import hashlib
import math
import os
import time
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.emulated_phone import faults
from tests.emulated_phone.network import Network

if TYPE_CHECKING:
    from tests.emulated_phone.tool import Run


class Clock:
    """Blocks of inferences of one model, by the tool's rules of how many there are."""

    def __init__(
        self, run: Run, model: Network, path: Path, modelled_ms: float, half: bool = False
    ) -> None:
        """Prepare a model; `half`: outputs are rounded as by an accelerator of 16 bits."""
        self._run = run
        self._blocks = 0
        self._real = run.profile.timing == "real"
        self._interpreter: Any = None
        fault = faults.active(run.folder / "faults", "slow")
        self._modelled_ms = modelled_ms * (fault.seconds if fault else 1.0)
        needs = bool(run.flags.get("input_layer_value_files") or run.flags.get("output_filepath"))
        seen = self._seen(path)
        total_macs = sum(step.macs for step in model.steps)
        started = time.perf_counter()
        ours = all(step.op != "DISPATCH_OP" for step in model.steps)  # not a vendor's NPU's
        runs = ours and not seen.exists() and total_macs < 5_000_000_000
        if self._real or needs or runs:
            self._interpreter = _interpreter(path, int(run.number("num_threads")))
        self.init_ms = (
            (time.perf_counter() - started) * 1000
            if self._real
            else 5.0 + 0.2 * len(model.steps) + model.size_mb
        )
        self._wait(self.init_ms)
        if self._interpreter is not None:
            _fill(run, self._interpreter)
            if not self._real:
                self._interpreter.invoke()
                seen.touch()
            _keep_outputs(run, self._interpreter, half)
        from tests.emulated_phone.tool import noise

        self._noise = noise(run.profile)
        self._launch = self._noise.gauss(0.0, run.profile.launch_noise / 3)

    def _seen(self, path: Path) -> Path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return Path(os.environ["EMULATED_CACHE"]) / f"{digest}.ran"

    def _wait(self, milliseconds: float) -> None:
        if not self._real and self._run.profile.wait_scale > 0:
            time.sleep(milliseconds / 1000 * self._run.profile.wait_scale)

    def block(self, runs: int, low: float, high: float) -> list[float]:
        """Time at least `runs` inferences and `low` seconds, at most `high` seconds, in ms."""
        samples: list[float] = []
        elapsed = 0.0
        self._blocks += 1
        while (len(samples) < runs or elapsed < low) and elapsed < high:
            sample = self._one()
            if self._blocks == 2 and len(samples) == 1:
                sample += self._jumped_ms()
            samples.append(sample)
            elapsed += sample / 1000
        return samples

    def _jumped_ms(self) -> float:
        """Return by how much the clock was set in the middle of a run, as the tool sees it."""
        fault = self._run.fault("clock-jump")
        if fault is None:
            return 0.0
        (self._run.folder / "clock").write_text(f"{fault.seconds:g}\n")
        return fault.seconds * 1000

    def _one(self) -> float:
        if self._real:
            started = time.perf_counter()
            self._interpreter.invoke()
            return (time.perf_counter() - started) * 1000
        spread = self._run.profile.launch_noise
        sample = self._modelled_ms * math.exp(self._launch + self._noise.gauss(0.0, spread / 3))
        self._wait(sample)
        return sample


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads if threads > 0 else 1)
    interpreter.allocate_tensors()
    return interpreter


def _fill(run: Run, interpreter: Any) -> None:
    import numpy as np

    chosen = _value_files(run)
    generator = np.random.default_rng(0)
    for detail, given in zip_longest(interpreter.get_input_details(), chosen):
        shape, kind = tuple(detail["shape"]), detail["dtype"]
        size = math.prod(shape) * np.dtype(kind).itemsize
        if given is not None:
            data = Path(given).read_bytes()
            if len(data) != size:
                run.say(f"The size of {given} is {len(data)} bytes. It should be {size}.", "FATAL")
                os.abort()
            values = np.frombuffer(data, kind).reshape(shape)
        elif np.issubdtype(kind, np.floating):
            values = generator.random(shape).astype(kind)
        else:
            values = generator.integers(-100, 100, shape).astype(kind)
        interpreter.set_tensor(detail["index"], values)


def _value_files(run: Run) -> list[str | None]:
    """List a file, or None, for each input that `--input_layer` names, by the tool's rules."""
    names = [name for name in run.flags.get("input_layer", "").split(",") if name]
    shapes = [shape for shape in run.flags.get("input_layer_shape", "").split(":") if shape]
    if len(names) != len(shapes):
        run.say(f"The number of items in --input_layer_shape must match {names}", "ERROR")
        run.fail()
    files = [entry for entry in run.flags.get("input_layer_value_files", "").split(",") if entry]
    found: dict[str, str] = {}
    for entry in files:
        name, _, path = entry.partition(":")
        if name not in names:
            run.say(f"Cannot find the corresponding input_layer name({name})", "FATAL")
            os.abort()
        found[name] = path
    return [found.get(name) for name in names]


def _keep_outputs(run: Run, interpreter: Any, half: bool) -> None:
    import numpy as np

    target = run.flags.get("output_filepath")
    if not target:
        return
    interpreter.invoke()
    with Path(target).open("wb") as file:
        for detail in interpreter.get_output_details():
            values = interpreter.get_tensor(detail["index"])
            if half and values.dtype == np.float32:
                values = values.astype(np.float16).astype(np.float32)
            file.write(values.tobytes())
