"""How long an artifact takes on every device of the study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from nas.canonical import content_key
from nas.devices import Measurement, TimingProtocol, open_device
from nas.errors import RunError
from nas.evaluation import Needs, Subject
from nas.files import read_json, write_json
from nas.metrics import Metric
from nas.tflite import structure_key


@dataclass(frozen=True)
class Latency:
    """`latency_ms[DEVICE]`, `init_ms[DEVICE]` and, where known, `peak_memory_mb[DEVICE]`.

    Latency belongs to the structure, not to the weights: each structure is measured once a device
    and run, and kept.
    """

    protocol: TimingProtocol = field(default_factory=TimingProtocol)
    needs: ClassVar[Needs] = "structure"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """The figures' names."""
        return tuple(
            f"{name}[{device}]" for device in devices for name in ("latency_ms", "init_ms")
        )

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Measure on every device; a DeviceError where one of them can't."""
        if subject.artifact is None:
            raise ValueError("a latency needs an artifact")
        figures: dict[str, Metric] = {}
        for device in subject.devices:
            measurement = self._measure(subject.artifact, device, subject.cache)
            figures |= _figures(measurement, subject.size)
        return figures

    def _measure(self, artifact: Path, device: str, cache: Path) -> Measurement:
        key = content_key([structure_key(artifact), device, self.protocol.to_dict()])
        path = cache / f"{key}.json"
        if path.exists():
            try:
                return Measurement.from_dict(read_json(path))
            except (RunError, KeyError, TypeError):
                path.unlink()  # damaged: measured again, which costs seconds
        measurement = open_device(device).measure(artifact, self.protocol)
        write_json(path, measurement.to_dict())
        return measurement

    def to_dict(self) -> dict[str, Any]:
        """The evaluator as JSON types."""
        return {"name": "latency", "protocol": self.protocol.to_dict()}


def _figures(measurement: Measurement, size: tuple[int, int]) -> dict[str, Metric]:
    device, source = measurement.device, measurement.source
    threads = measurement.conditions.get("threads")
    at = (
        f"{size[0]}x{size[1]}, {len(measurement.samples_ms)} launches, {measurement.count} runs"
        + (f", {threads} threads" if threads else "")
    )
    figures = {
        f"latency_ms[{device}]": Metric(
            measurement.latency_ms, source, "median-of-launch-medians", measurement.interval_ms, at
        ),
        f"init_ms[{device}]": Metric(measurement.init_ms, source, conditions=at),
    }
    if measurement.peak_memory_mb is not None:
        name = f"peak_memory_mb[{device}]"
        figures[name] = Metric(measurement.peak_memory_mb, source, conditions=at)
    return figures
