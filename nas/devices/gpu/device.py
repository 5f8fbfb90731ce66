"""`gpu` and `gpu:fp32`: LiteRT's GPU on a Vulkan driver in software, a device without latency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, final, get_args

from nas.devices.gpu.adapter import Adapter, adapter_of
from nas.devices.gpu.driver import REMEDY, Driver, find_driver, litert_version
from nas.devices.gpu.execution import GpuRun, Precision, Stored, run_on_gpu
from nas.devices.gpu.failures import GpuError, GpuTransientError, gpu_error
from nas.devices.gpu.placement import GpuPlacement, placement_in
from nas.devices.outputs import OutputRun, Progress, Size, picture_ends
from nas.errors import ConfigError, unknown
from nas.system.hashing import canonical_json
from nas.tflite.file import TfliteFile, read_tflite
from nas.tflite.interpreter import Float32, real_values, stored_values
from nas.tflite.size import check_fixed

SPECS = ("gpu", "gpu:fp32")
"""The device's names: in fp16, LiteRT's default on phones, and in fp32."""
NO_LATENCY = (
    "has no latency, as this machine's processor does the work: `nas measure` and `nas probe` tell "
    "where operations run there, `nas fidelity` what they compute; in a study take "
    "evaluators.Fidelity"
)
MACS_A_SECOND = 0.1e9
"""About what lavapipe computes in a second of two cores that others use, too."""
FORM = 1
"""Counted up whenever the same file gives another answer with the same versions."""


@final
@dataclass(frozen=True)
class GpuDevice:
    """LiteRT's GPU at one precision; safe to share. It works in processes of its own."""

    precision: Precision = "fp16"

    @property
    def spec(self) -> str:
        """The device's name: "gpu" in fp16, "gpu:fp32" in fp32."""
        return "gpu" if self.precision == "fp16" else f"gpu:{self.precision}"

    def check(self) -> tuple[Driver, Adapter]:
        """The driver that is used, and what it can do.

        Raises ConfigError, with the remedy, where there is none, LiteRT can't use it, or it does
        not compute this precision.
        """
        driver = find_driver()
        adapter = adapter_of(driver)
        if self.precision == "fp16" and not adapter.fp16:
            raise ConfigError(
                f"{self.spec}: the driver {adapter.name} has no fp16 and computes fp32 whatever is "
                f"asked: take --device gpu:fp32, or install Mesa's: {REMEDY}"
            )
        return driver, adapter

    def check_outputs(self) -> None:
        """Raise as `check` where this device can compute nothing."""
        self.check()

    def identity(self) -> dict[str, str]:
        """The versions that an answer depends on; raises as `check`."""
        driver, adapter = self.check()
        return {
            "form": str(FORM),
            "driver": canonical_json(driver.identity()),
            "adapter": adapter.name,
        }

    def place(self, artifact: Path, cpu_seconds: float = 300.0) -> GpuPlacement:
        """Where the operations of a file run, and why not on the GPU.

        Raises ConfigError as `check` and where the file leaves its size open, GpuError where LiteRT
        refuses the file altogether or dies, GpuTransientError where the machine was too busy.
        """
        file = read_tflite(artifact)
        check_fixed(file, artifact)
        driver, _ = self.check()
        done = run_on_gpu(artifact, self.spec, self.precision, driver, cpu_seconds)
        return self._placement(done, file)

    def _placement(self, done: GpuRun, file: TfliteFile) -> GpuPlacement:
        try:
            return placement_in(done.log, file, done.compiled)
        except ValueError as error:
            raise gpu_error(self.spec, "unparsable", str(error)) from error

    def not_whole(self, placement: GpuPlacement) -> GpuError | GpuTransientError:
        """The error of a network that the GPU does not take whole."""
        kind: Literal["partially_delegated", "not_delegated"] = (
            "partially_delegated" if placement.on_gpu else "not_delegated"
        )
        error = gpu_error(self.spec, kind, placement.summary)
        error.placement = placement.operations
        return error

    def crop(self, size: Size) -> Size:
        """The size of pictures, (width, height), to compute where nobody gives one: a file's own.

        Faults of a GPU can depend on the size.
        """
        return size

    def seconds_a_picture(self, artifact: Path) -> float | None:
        """By its MACs; without starting, which takes a second more."""
        return read_tflite(artifact).conv_macs / MACS_A_SECOND

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        """Place a file and say how to run pictures through it; a picture may take `cpu_seconds`.

        Raises as `place`, and GpuError where the GPU does not take the network whole.
        """
        file = read_tflite(artifact)
        placement = self.place(artifact, cpu_seconds)
        if not placement.whole:
            raise self.not_whole(placement)
        driver, adapter = self.check()
        source, target = picture_ends(file)

        def run(frames: Sequence[Float32], progress: Progress | None) -> Iterator[Float32]:
            inputs: list[Stored] = [stored_values(frame[None], source) for frame in frames]
            seconds = cpu_seconds * max(1, len(inputs))
            done = run_on_gpu(
                artifact, self.spec, self.precision, driver, seconds, inputs, progress
            )
            for stored in done.outputs:
                yield real_values(stored, target)[0]

        return OutputRun("simulated", self._conditions(adapter, placement), run)

    def _conditions(self, adapter: Adapter, placement: GpuPlacement) -> dict[str, Any]:
        return {
            "precision": self.precision,
            "driver": adapter.name,
            "litert": litert_version(),
            "placement": placement.summary,
            "accelerated_mac_share": 1.0 if placement.whole else None,
        }


def open_gpu(spec: str) -> GpuDevice:
    """The device that `gpu`, `gpu:fp16` or `gpu:fp32` names; ConfigError for another precision."""
    precision = spec.partition(":")[2] or "fp16"
    if precision not in get_args(Precision):
        raise unknown("precision of gpu", precision, get_args(Precision))
    return GpuDevice(cast("Precision", precision))


def is_gpu(spec: str) -> bool:
    """Whether a device's name is that of LiteRT's GPU."""
    return spec.partition(":")[0] == "gpu"
