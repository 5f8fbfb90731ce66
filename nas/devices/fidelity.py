"""Device error: how far a device's outputs for held-out pictures are from the expected ones.

Table 5 of the paper. Both outputs are clipped to 0..1, as pictures are, but not rounded. Per-pixel
L2 error: the mean of the squared differences, over all values of a picture, then over pictures.
PSNR: 10 log10(1 / that of one picture), its mean and its standard deviation over pictures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nas.data import Pair
from nas.data.image_quality import PSNR_ID, UInt8Image, psnr_db, to_uint8
from nas.devices.output_devices import open_output_device
from nas.errors import ConfigError, DeviceStableError
from nas.tflite.expected_output import ExpectedOutput, picture_size
from nas.tflite.file import read_tflite
from nas.tflite.interpreter import Float32
from nas.tflite.size import check_fixed

ERROR_ID = "psnr-rgb-clipped-peak1-imgmean"
"""The name of the error's definition, which the module's docstring gives."""
BATCH_BYTES = 64_000_000
"""The most bytes of inputs that are on a phone at a time."""
BATCH = 8
"""The most pictures that are on a phone at a time."""


@dataclass(frozen=True)
class PictureError:
    """The errors of one picture; `psnr_db` is None where the two outputs are equal.

    `l2_error` is the mean squared difference of both outputs, `largest_error` their largest one,
    `psnr_db` follows from the first. `device_db` and `reference_db` are the PSNR of the device's
    and of the expected output against the sharp picture; None where that is infinite.
    """

    name: str
    l2_error: float
    largest_error: float
    psnr_db: float | None
    device_db: float | None
    reference_db: float | None


@dataclass(frozen=True)
class Fidelity:
    """How far a device's outputs are from those of `reference`, over all pictures.

    `source` is "measured", "simulated" or "synthetic"; `conditions` tells the size, the fitting of
    pictures and the device. The module's docstring defines the figures.
    """

    device: str
    source: str
    reference: str
    pictures: tuple[PictureError, ...]
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def l2_error(self) -> float:
        """The mean over pictures of the mean squared difference, of values from 0 to 1."""
        return statistics.fmean(picture.l2_error for picture in self.pictures)

    @property
    def largest_error(self) -> float:
        """The largest difference of one value, from 0 to 1."""
        return max(picture.largest_error for picture in self.pictures)

    @property
    def equal_pictures(self) -> int:
        """The number of pictures without any difference, which have no PSNR."""
        return sum(picture.psnr_db is None for picture in self.pictures)

    @property
    def psnr_db(self) -> float | None:
        """The mean PSNR over the pictures that differ; None where none does."""
        values = self._psnrs()
        return statistics.fmean(values) if values else None

    @property
    def psnr_db_std(self) -> float | None:
        """The sample's standard deviation of these PSNRs; None for fewer than two pictures."""
        values = self._psnrs()
        return statistics.stdev(values) if len(values) > 1 else None

    @property
    def device_db(self) -> float | None:
        """The mean PSNR of the device's outputs against the sharp pictures; None where infinite."""
        return _mean([picture.device_db for picture in self.pictures])

    @property
    def reference_db(self) -> float | None:
        """The mean PSNR of the expected outputs against the sharp pictures; None where infinite."""
        return _mean([picture.reference_db for picture in self.pictures])

    def _psnrs(self) -> list[float]:
        return [p.psnr_db for p in self.pictures if p.psnr_db is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return {
            "device": self.device,
            "source": self.source,
            "reference": self.reference,
            "definition": ERROR_ID,
            "psnr_db": self.psnr_db,
            "psnr_db_std": self.psnr_db_std,
            "l2_error": self.l2_error,
            "largest_error": self.largest_error,
            "equal_pictures": self.equal_pictures,
            "quality": {
                "definition": PSNR_ID,
                "device_psnr_db": self.device_db,
                "reference_psnr_db": self.reference_db,
            },
            "pictures": [asdict(picture) for picture in self.pictures],
            "conditions": self.conditions,
        }


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return statistics.fmean(finite) if finite and len(finite) == len(values) else None


def measure_fidelity(
    artifact: Path,
    device: str,
    pairs: Iterable[Pair],
    expected: ExpectedOutput,
    threads: int = 4,
    timeout_seconds: float = 300.0,
    progress: Callable[[int], None] | None = None,
) -> Fidelity:
    """Run the pictures through `artifact` on `device` and compare with the expected outputs.

    A picture of another size than the artifact's is cut at its centre, or its edges are mirrored.
    `progress` is called with the number of pictures done. Raises ConfigError where the device can't
    give outputs or the artifact is no network from one picture to one, DeviceError as
    `OutputDevice.open_outputs`, and DeviceStableError where an output is not finite.
    """
    file = read_tflite(artifact)
    check_fixed(file, artifact)
    height, width = picture_size(file, artifact)
    opened = open_output_device(device)
    opened.check_outputs()
    runner = opened.open_outputs(artifact, threads, timeout_seconds)
    fittings, rows = set[str](), list[PictureError]()
    rest = iter(pairs)
    size = max(1, min(BATCH, BATCH_BYTES // (height * width * 12)))
    while batch := list(islice(rest, size)):
        fitted = [fitted_pair(pair, height, width) for pair in batch]
        fittings |= {how for _, how in fitted}
        frames = [picture.blurred.astype(np.float32) / np.float32(255) for picture, _ in fitted]
        outputs = runner.run(frames, _from(len(rows), progress))
        for (pair, _), frame, output in zip(fitted, frames, outputs, strict=True):
            rows.append(_compared(pair, output, expected.run(frame), device))
    if not rows:
        raise ConfigError("there are no held-out pictures to compare on")
    conditions = {
        "pictures": len(rows),
        "size": [width, height],
        "fitting": " / ".join(sorted(fittings)),
        **runner.conditions,
    }
    return Fidelity(device, runner.source, expected.name, tuple(rows), conditions)


def _from(before: int, progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    """Count on from the pictures of earlier batches."""
    return None if progress is None else lambda done: progress(before + done)


def fitted_pair(pair: Pair, height: int, width: int) -> tuple[Pair, str]:
    """Cut or pad a pair to the artifact's size; returns it, and in words how it was fitted."""
    have = pair.blurred.shape[:2]
    if have == (height, width):
        return pair, "whole frames"
    top, left = max(0, have[0] - height) // 2, max(0, have[1] - width) // 2

    def cut(picture: UInt8Image) -> UInt8Image:
        part = picture[top : top + height, left : left + width]
        below, right = height - part.shape[0], width - part.shape[1]
        whole: UInt8Image = np.pad(part, ((0, below), (0, right), (0, 0)), mode="symmetric")
        return whole

    small = have[0] < height or have[1] < width
    how = f"edges mirrored to {width}x{height}" if small else f"{width}x{height} of the centre"
    return Pair(pair.name, cut(pair.blurred), cut(pair.sharp)), how


def _compared(pair: Pair, output: Float32, expected: Float32, device: str) -> PictureError:
    if not np.isfinite(output).all():
        bad = int(output.size - np.isfinite(output).sum())
        raise DeviceStableError(
            f"{device}: {bad} of {output.size} values of the output for {pair.name} are not finite"
        )
    difference = np.clip(output, 0, 1).astype(np.float64) - np.clip(expected, 0, 1)
    error = float(np.mean(np.square(difference)))
    return PictureError(
        pair.name,
        error,
        float(np.abs(difference).max()),
        10 * math.log10(1 / error) if error else None,
        *(_finite(psnr_db(to_uint8(picture), pair.sharp)) for picture in (output, expected)),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
