"""Compile and run a `.tflite` on LiteRT's GPU, in a process of its own, which may abort."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.devices.failures import Evidence
from nas.devices.gpu import worker
from nas.devices.gpu.driver import REMEDY, Driver
from nas.devices.gpu.failures import gpu_error
from nas.devices.limited_process import Limits, counted, ended_failure, run
from nas.errors import ConfigError, RunError
from nas.system.files import read_json

Precision = Literal["fp16", "fp32"]
Stored = npt.NDArray[Any]
MEMORY_MB = 24_000
"""Address space, of which a driver in software claims far more than it uses."""
_NO_ADAPTER = "No adapters found"
_NO_LOADER = "Couldn't load Vulkan"
_ADAPTER = re.compile(r"Selected adapter: ([^\n]*?), arch=")
_NOT_WHOLE = "Some ops are not accelerated"


@final
@dataclass(frozen=True)
class GpuRun:
    """What LiteRT's GPU made of a file.

    `compiled` is whether the GPU alone took it whole; the log then has no refusal. `outputs` are as
    stored, one a picture.
    """

    compiled: bool
    log: str
    outputs: tuple[Stored, ...]

    @property
    def adapter(self) -> str | None:
        """The driver's own name; None where the log does not tell it."""
        found = _ADAPTER.search(self.log)
        return found[1] if found else None


def run_on_gpu(
    artifact: Path,
    device: str,
    precision: Precision,
    driver: Driver,
    cpu_seconds: float,
    inputs: Sequence[Stored] = (),
    progress: Callable[[int], None] | None = None,
) -> GpuRun:
    """Compile a file for the GPU alone, and run it on each of `inputs`, as stored.

    `device` is what errors name; `progress` is called with the number of pictures done. Raises
    ConfigError, with the remedy, where the driver can't be used, GpuError where LiteRT refuses the
    file for another reason than an operation, dies or needs too much, GpuTransientError where the
    machine was too busy.
    """
    limits = Limits(cpu_seconds, MEMORY_MB)
    with tempfile.TemporaryDirectory(prefix="nas-gpu-") as name:
        folder = Path(name)
        for number, values in enumerate(inputs):
            np.save(folder / f"input-{number}.npy", values)
        script: list[str | Path] = [sys.executable, "-P", worker.__file__]
        script += [artifact.resolve(), precision, folder]
        environment = {**driver.environment, "XDG_RUNTIME_DIR": name, "MESA_SHADER_CACHE_DIR": name}
        watch = counted(folder, progress) if progress is not None else None
        ended = run([*script, str(len(inputs))], folder, limits, environment, watch)
        _check_driver(ended.text, driver)
        evidence = Evidence(device, "compilation", ended.code, stdout=ended.text[-20_000:])
        try:
            error = read_json(folder / worker.ANSWER)["error"]
        except RunError as missing:
            failure = ended_failure("LiteRT's GPU", ended, limits)
            raise gpu_error(device, failure.failure_class, failure.detail, evidence) from missing
        if error is not None and _NOT_WHOLE not in error:
            raise gpu_error(device, "compiler_refused", _reason(error, ended.text), evidence)
        outputs = (
            tuple(np.load(folder / f"output-{number}.npy") for number in range(len(inputs)))
            if error is None
            else ()
        )
    return GpuRun(error is None, ended.text, outputs)


def _check_driver(log: str, driver: Driver) -> None:
    """Raise ConfigError where LiteRT found no GPU behind the driver."""
    if _NO_LOADER in log:
        raise ConfigError(f"gpu: Vulkan's loader, libvulkan.so.1, is not installed: {REMEDY}")
    if _NO_ADAPTER not in log:
        return
    lacks = re.search(r"Warning: (Vulkan \S+ required)", log)
    why = f"lacks what LiteRT needs ({lacks[1]})" if lacks else "is of no use to LiteRT"
    raise ConfigError(f"gpu: the driver {driver.manifest} {why}; install a newer one: {REMEDY}")


def _reason(error: str, log: str) -> str:
    """LiteRT's last complaint in its log, else the text of its exception."""
    complaints = re.findall(r"^(?:ERROR: |E\d{4} \S+ +\d+ \S+\] )(.+)", log, re.MULTILINE)
    said = error.replace("\n", " ")
    return f"{said[:200]} ({complaints[-1][:200]})" if complaints else said[:300]
