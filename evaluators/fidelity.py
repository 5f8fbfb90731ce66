"""How near a device's pictures are to those of the same file on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from nas.devices.output_devices import open_output_device
from nas.errors import ConfigError, DeviceStableError, DeviceTransientError
from nas.study.evaluator import DeviceAwayError, DeviceRefusedError, Needs, Subject
from nas.study.metric import Metric
from nas.tflite.expected_output import file_output
from nas.tflite.size import at_other_size

MOST_DB = 150.0
"""What equal outputs count as: two computations in fp32 that differ only in order are at 145."""
FIDELITY_ID = "psnr-rgb-clipped-peak1-imgmean-most150"
"""The name of the figure's definition: `nas.devices.fidelity` has the formula."""


@dataclass(frozen=True)
class Fidelity:
    """Measures `fidelity_db[DEVICE]`: the PSNR of a device's outputs against this machine's.

    `device` computes outputs: `gpu` (fp16), `gpu:fp32`, `npu:CHIP`, a phone. The trained file runs
    there and by LiteRT's interpreter here, on the first `pictures` held-out ones, cut to `crop`
    (width, height). None is what the device can of the deployment size: all of it on `gpu`, whose
    faults can depend on the size, 128x128 on NPUs, which are slow. A picture may take
    `cpu_seconds`.

    What a device's arithmetic does to this file is in the figure, what quantization did to the
    network is not: that is in `psnr_db`.
    """

    device: str
    pictures: int = 1
    crop: tuple[int, int] | None = None
    cpu_seconds: float = 600.0
    needs: ClassVar[Needs] = "weights"

    def __post_init__(self) -> None:
        if self.pictures < 1:
            raise ConfigError(f"Fidelity: pictures={self.pictures}: expected 1 or more")
        open_output_device(self.device)  # an unknown name is an error here, not in a trial

    @property
    def metric(self) -> str:
        """The figure's name."""
        return f"fidelity_db[{self.device}]"

    def metrics(self, devices: tuple[str, ...]) -> tuple[str, ...]:
        """Name the figure, which is of this evaluator's own device."""
        return (self.metric,)

    def check(self) -> None:
        """Raise ConfigError, with the remedy, where what the device needs is missing here."""
        open_output_device(self.device).check_outputs()

    def evaluate(self, subject: Subject) -> dict[str, Metric]:
        """Run the artifact on the device and here.

        Raises DeviceRefusedError where the device can't run it, DeviceAwayError where it could not
        now, ConfigError, with the remedy, where something that the device needs is missing.
        """
        from nas.devices.fidelity import measure_fidelity

        if subject.artifact is None:
            raise ValueError("a fidelity needs an artifact")
        size = self.crop or open_output_device(self.device).crop(subject.size)
        pairs = islice(subject.dataset.heldout(), self.pictures)
        try:
            with at_other_size(subject.artifact, size) as path:
                found = measure_fidelity(
                    path, self.device, pairs, file_output(path, path), 1, self.cpu_seconds
                )
        except DeviceStableError as error:
            raise DeviceRefusedError(str(error), self.device, {}) from error
        except DeviceTransientError as error:
            raise DeviceAwayError(str(error), self.device, {}) from error
        psnrs = [MOST_DB if row.psnr_db is None else row.psnr_db for row in found.pictures]
        value = sum(min(MOST_DB, psnr) for psnr in psnrs) / len(psnrs)
        on = f"{subject.dataset.split}, {len(psnrs)} pictures, {found.conditions['fitting']}"
        about = [found.conditions.get(name) for name in ("precision", "driver")]
        conditions = ", ".join([on, *(str(part) for part in about if part)])
        return {self.metric: Metric(value, found.source, FIDELITY_ID, conditions=conditions)}

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluator as JSON types."""
        return {
            "name": "fidelity",
            "device": self.device,
            "pictures": self.pictures,
            "crop": None if self.crop is None else list(self.crop),
            "definition": FIDELITY_ID,
        }
