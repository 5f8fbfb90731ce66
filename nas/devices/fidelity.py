"""Device error: how far a device's outputs for held-out pictures are from the expected ones.

Table 5 of the paper. Both outputs are clipped to 0..1, as pictures are, but not rounded. Per-pixel
L2 error: the mean of the squared differences, over all values of a picture, then over pictures.
PSNR: 10 log10(1 / that of one picture), its mean and its standard deviation over pictures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.data import Pair
from nas.data.image_quality import PSNR_ID, UInt8Image, psnr_db, to_uint8
from nas.devices import TimingProtocol, open_device
from nas.errors import ConfigError, DeviceStableError
from nas.tflite.expected_output import ExpectedOutput, picture_size
from nas.tflite.file import Tensor, TfliteFile, read_tflite
from nas.tflite.interpreter import Artifact, Float32, real_values, stored_values
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

    `source` is "measured" or "synthetic"; `conditions` tells the size, the fitting of pictures, the
    threads and the device. The module's docstring defines the figures.
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
            "failure": None,
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
    `Device.measure`, and DeviceStableError where an output is not finite.
    """
    file = read_tflite(artifact)
    check_fixed(file, artifact)
    height, width = picture_size(file, artifact)
    runner = _runner(device, artifact, file, threads, timeout_seconds)
    fittings, rows = set[str](), list[PictureError]()
    rest = iter(pairs)
    size = max(1, min(BATCH, BATCH_BYTES // (height * width * 12)))
    while batch := list(islice(rest, size)):
        fitted = [_fitted(pair, height, width) for pair in batch]
        fittings |= {how for _, how in fitted}
        frames = [picture.blurred.astype(np.float32) / np.float32(255) for picture, _ in fitted]
        for (pair, _), frame, output in zip(fitted, frames, runner.run(frames), strict=True):
            rows.append(_compared(pair, output, expected.run(frame), device))
            if progress is not None:
                progress(len(rows))
    if not rows:
        raise ConfigError("there are no held-out pictures to compare on")
    conditions = {
        "pictures": len(rows),
        "size": [width, height],
        "fitting": " / ".join(sorted(fittings)),
        "threads": threads,
        **runner.conditions,
    }
    return Fidelity(device, runner.source, expected.name, tuple(rows), conditions)


def _fitted(pair: Pair, height: int, width: int) -> tuple[Pair, str]:
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


@dataclass(frozen=True)
class _OutputSource:
    """A device that gives outputs, the source of its figures, and their conditions."""

    source: str
    run: Callable[[Sequence[Float32]], Iterator[Float32]]
    conditions: dict[str, Any]


def check_outputs_of(device: str) -> None:
    """Raise at once where a device can't give outputs.

    ConfigError for a device that has none, an unknown serial or a tool that can't; DeviceError
    where the phone can't be used now.
    """
    opened = open_device(device)
    if device == "host":
        return
    if not device.startswith("adb:"):
        raise ConfigError(f"device {device}: only host and phones (adb:SERIAL) give outputs")
    from nas.devices.phone.benchmark_tool import check_outputs
    from nas.devices.phone.spec import open_phone

    phone = open_phone(opened.spec)
    phone.answer()
    check_outputs(phone.tool())


def _runner(
    device: str, artifact: Path, file: TfliteFile, threads: int, seconds: float
) -> _OutputSource:
    check_outputs_of(device)
    if device == "host":
        from nas.system.environment import processor, versions

        here = Artifact(artifact, threads)
        conditions = {"processor": processor(), "versions": versions()}
        return _OutputSource(
            "measured", lambda frames: (here.run(frame) for frame in frames), conditions
        )
    return _phone_runner(device, artifact, file, TimingProtocol(1, 0, 1, 0.0, threads, seconds))


def _phone_runner(
    device: str, artifact: Path, file: TfliteFile, protocol: TimingProtocol
) -> _OutputSource:
    from nas.devices.phone.spec import open_phone
    from nas.devices.phone.tool_settings import computed_in
    from nas.devices.placement import accelerated_mac_share, fallbacks

    phone = open_phone(device)
    tool = phone.tool()
    placement, _ = phone.place(artifact)  # a failure is raised with the first outputs
    conditions = {
        "phone": phone.info().to_dict(),
        "delegate": str(phone.options.delegate),
        "method": phone.options.method,
        "precision": computed_in(tool, phone.options.delegate, phone.options.precision),
        "half_precision_allowed": tool.knows("allow_fp16")
        and phone.options.delegate.kind == "nnapi"
        and phone.options.precision != "fp32",
        "tool": {"path": tool.path, "sha256": tool.sha256},
        "accelerated_mac_share": accelerated_mac_share(artifact, placement),
        "fallbacks": fallbacks(placement),
    }
    source, target = (_details(tensor) for tensor in (file.inputs[0], file.outputs[0]))

    def run(frames: Sequence[Float32]) -> Iterator[Float32]:
        inputs = [stored_values(frame[None], source).tobytes() for frame in frames]
        for data in phone.outputs(artifact, inputs, protocol):
            stored: npt.NDArray[Any] = np.frombuffer(data, target["dtype"])
            yield real_values(stored.reshape(file.outputs[0].shape), target)[0]

    return _OutputSource(phone.info().source, run, conditions)


def _details(tensor: Tensor) -> dict[str, Any]:
    quantization = tensor.quantization
    pair = (quantization.scales[0], quantization.zero_points[0]) if quantization else (0.0, 0)
    return {"dtype": np.dtype(tensor.dtype).type, "quantization": pair}
