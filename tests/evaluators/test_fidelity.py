"""The device's error as a figure of a search."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from evaluators import Fidelity, fidelity
from nas.data import Pair
from nas.devices.failures import DeviceFailure, Evidence
from nas.devices.gpu.failures import GpuError, GpuTransientError
from nas.devices.outputs import OutputRun, Progress
from nas.errors import ConfigError
from nas.networks.candidate import Candidate
from nas.study.evaluator import DeviceAwayError, DeviceRefusedError, Subject
from nas.study.objectives import Constraint, Objective
from search_spaces import UNet
from studies.quickstart import STUDY
from tests.emulated_phone import models
from tests.helpers.gpu_graphs import needs_driver


class Pictures:
    """Three pictures of noise, 64x48."""

    split = "noise"

    def heldout(self) -> Any:
        for number in range(3):
            values = np.random.default_rng(number).integers(0, 256, (2, 48, 64, 3))
            yield Pair(str(number), *values.astype(np.uint8))


@dataclasses.dataclass
class OffBy:
    """A device whose outputs are those of this machine, and a bit more; it computes 32x32."""

    offset: float
    error: Exception | None = None
    sizes: list[tuple[int, ...]] = dataclasses.field(default_factory=list)

    spec = "gpu"

    def check_outputs(self) -> None:
        """Nothing is missing."""

    def crop(self, size: tuple[int, int]) -> tuple[int, int]:
        return (min(size[0], 32), min(size[1], 32))

    def seconds_a_picture(self, artifact: Path) -> float | None:
        return None

    def open_outputs(self, artifact: Path, threads: int, cpu_seconds: float) -> OutputRun:
        from nas.tflite.interpreter import Artifact

        if self.error is not None:
            raise self.error

        def run(frames: Sequence[Any], progress: Progress | None) -> Any:
            self.sizes += [frame.shape for frame in frames]
            return (Artifact(artifact).run(frame).clip(0.2, 0.8) + self.offset for frame in frames)

        return OutputRun("simulated", {"precision": "fp16"}, run)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    artifact = models.small_unet(tmp_path / "unet.tflite", 64)
    dataset: Any = Pictures()
    candidate = Candidate(UNet("resize-bilinear", "relu", (4, 8), 1, 3, False))
    return Subject(candidate, (64, 64), artifact, dataset, ("host",), tmp_path)


def put(monkeypatch: pytest.MonkeyPatch, device: OffBy) -> None:
    for module in (fidelity, __import__("nas.devices.fidelity", fromlist=["fidelity"])):
        monkeypatch.setattr(module, "open_output_device", lambda spec: device)


def test_the_figure_by_formula(monkeypatch: pytest.MonkeyPatch, subject: Subject) -> None:
    device = OffBy(0.0)
    put(monkeypatch, device)
    (figure,) = Fidelity("gpu", pictures=2).evaluate(subject).items()
    assert device.sizes == [(32, 32, 3)] * 2
    name, metric = figure
    assert name == "fidelity_db[gpu]"
    from nas.tflite.interpreter import Artifact
    from nas.tflite.resizing import at_size

    assert subject.artifact is not None
    here = Artifact(at_size(subject.artifact.read_bytes(), 32, 32))
    psnrs = []
    for pair in list(Pictures().heldout())[:2]:
        frame = pair.blurred[8:40, 16:48].astype(np.float32) / np.float32(255)
        output = here.run(frame)
        psnrs.append(
            peak_signal_noise_ratio(output.clip(0, 1), output.clip(0.2, 0.8), data_range=1)
        )
    assert metric.value == pytest.approx(np.mean(psnrs), abs=1e-3)
    assert metric.source == "simulated"
    assert metric.conditions == "noise, 2 pictures, 32x32 of the centre, fp16"


def test_equal_outputs_count_as_the_most(monkeypatch: pytest.MonkeyPatch, subject: Subject) -> None:
    metric = Fidelity("host").evaluate(subject)["fidelity_db[host]"]
    assert (metric.value, metric.source) == (150.0, "measured")
    assert Fidelity("host", crop=(16, 32)).evaluate(subject)["fidelity_db[host]"].value == 150


def test_failures_are_those_of_a_device(monkeypatch: pytest.MonkeyPatch, subject: Subject) -> None:
    stable = GpuError("gpu: refused", DeviceFailure("not_delegated", ""), Evidence("gpu"))
    put(monkeypatch, OffBy(0, stable))
    with pytest.raises(DeviceRefusedError, match="gpu: refused"):
        Fidelity("gpu").evaluate(subject)
    busy = GpuTransientError("gpu: busy", DeviceFailure("timeout", ""), Evidence("gpu"))
    put(monkeypatch, OffBy(0, busy))
    with pytest.raises(DeviceAwayError, match="gpu: busy"):
        Fidelity("gpu").evaluate(subject)


def test_it_serves_as_objective_and_constraint_of_a_study() -> None:
    study = dataclasses.replace(
        STUDY,
        evaluators=(*STUDY.evaluators, Fidelity("gpu"), Fidelity("npu:sm8650")),
        objectives=(*STUDY.objectives, "fidelity_db[npu:sm8650]"),
        constraints=("fidelity_db[gpu]>=60",),
        halving=False,
    )
    study.check()
    assert Objective.of("fidelity_db[npu:sm8650]").direction == "maximize"
    assert Constraint.parse("fidelity_db[gpu]>=60").metric == "fidelity_db[gpu]"
    assert Fidelity("gpu").to_dict() != Fidelity("gpu", pictures=2).to_dict()


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigError, match="unknown chip 'sm9999'"):
        Fidelity("npu:sm9999")
    with pytest.raises(ConfigError, match="nothing computes there"):
        Fidelity("paper:pixel-4")
    with pytest.raises(ConfigError, match="pictures=0: expected 1 or more"):
        Fidelity("gpu", pictures=0)


@needs_driver
def test_on_the_gpu(subject: Subject) -> None:
    found = Fidelity("gpu:fp32").evaluate(subject)["fidelity_db[gpu:fp32]"]
    assert 120 < found.value <= 150
    assert "fp32" in (found.conditions or "")
