"""`npu:CHIP`: a Snapdragon's NPU, by its own compiler and the vendor's simulator. Nothing runs.

The latency's source is "simulated" where the simulator knows the very chip, else "modelled": fitted
to latencies that were published for a phone with it. It is never measured.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from nas.devices.limited_process import Limits
from nas.devices.measurement import Measurement, TimingProtocol
from nas.devices.npu import calibration, requirements
from nas.devices.npu.chips import CUT_FIGURES, FIGURES, PARTLY, Chip, chip_named
from nas.devices.npu.compilation import Compilation, compiled
from nas.devices.npu.failures import NpuError, NpuTransientError, npu_error
from nas.devices.npu.placement import NpuPlacement, placed
from nas.devices.npu.profile import Estimate
from nas.errors import ConfigError
from nas.system.hashing import canonical_json, file_sha256
from nas.tflite.file import TfliteFile, read_tflite

FORM = 1
"""Counted up whenever the same compilation gives another figure."""
Source = Literal["simulated", "modelled"]
_PRECISIONS = {"float32": "float", "int8": "int8", "int16": "int16"}
_INT16 = "no int16 latency was published for such networks: fitted to int8"


@final
@dataclass(frozen=True)
class Latency:
    """A latency that nobody measured: `coverage` is None where the interval is the simulator's."""

    source: Source
    milliseconds: float
    interval_ms: tuple[float, float]
    coverage: float | None
    about: str
    caution: str | None


@final
@dataclass(frozen=True)
class NpuDevice:
    """One chip's NPU; safe to share. It disturbs no training, and waits for the host's timing.

    With `partly` it says where operations run, also of networks that are cut between NPU and CPU,
    and no latency.
    """

    chip: Chip
    partly: bool = False

    @property
    def spec(self) -> str:
        """The name that `open_device` takes."""
        return f"{self.chip.spec}{PARTLY if self.partly else ''}"

    def answer(self) -> None:
        """Raise ConfigError, with the remedy, where the extra `npu` can't be used here."""
        requirements.check()

    def identity(self) -> dict[str, str]:
        """The versions of the compiler and the calibration; raises as `answer`."""
        self.answer()
        return {
            "form": str(FORM),
            "packages": canonical_json(requirements.versions()),
            "calibration": calibration.identity(),
        }

    def measure(self, artifact: Path, protocol: TimingProtocol) -> Measurement:
        """Place, compile and simulate a file; of `protocol` only the time limit counts.

        The limit is one of processor time for each program. Raises ConfigError where the file is no
        `.tflite` of a fixed size or the extra can't be used, NpuError where the NPU does not take
        the network whole, the compiler refuses it or dies, or its latency can't be told,
        NpuTransientError where this machine was too busy. With `partly` the file is only placed.
        """
        self.answer()
        file = read_tflite(artifact)
        limits = Limits(protocol.timeout_seconds)
        # Chips without a simulator are compiled for themselves, and once more for the simulator's.
        numbers = tuple(dict.fromkeys((self.chip.number, self.chip.estimated_as)))
        placement = placed(artifact, self.chip, self.spec, limits)
        if self.partly:
            return self._placed(artifact, placement)
        if not placement.whole:
            raise self.not_whole(placement)
        try:
            own, estimated = _both(
                lambda number: compiled(artifact, number, self.spec, limits), numbers
            )
            latency = self._latency(estimated, _precision(file))
        except (NpuError, NpuTransientError) as error:
            error.placement = placement.operations
            raise
        return Measurement(
            device=self.spec,
            source=latency.source,
            samples_ms=((latency.milliseconds,),),
            init_ms=None,
            first_ms=None,
            peak_memory_mb=None,
            placement=placement.operations,
            conditions=self._conditions(artifact, latency, own, estimated),
            accelerated_mac_share=placement.accelerated_mac_share,
            stated_interval_ms=latency.interval_ms,
            stated_coverage=latency.coverage,
            figures=_figures(own),
        )

    def latency(self, artifact: Path, protocol: TimingProtocol) -> Latency:
        """Return the latency alone, in half the time of `measure` for a phone's chip: the file is
        compiled for the simulator's chip, and not for its own, of which the memory traffic is told.

        Raises as `measure`, and ConfigError with `partly`.
        """
        self.answer()
        if self.partly:
            raise ConfigError(f"{self.spec} tells where operations run, and no latency")
        precision = _precision(read_tflite(artifact))
        limits = Limits(protocol.timeout_seconds)
        placement = placed(artifact, self.chip, self.spec, limits)
        if not placement.whole:
            raise self.not_whole(placement)
        estimated = compiled(artifact, self.chip.estimated_as, self.spec, limits)
        return self._latency(estimated, precision)

    def not_whole(self, placement: NpuPlacement) -> NpuError | NpuTransientError:
        """The error of a network that the NPU does not take whole, in one piece."""
        on_npu = len(placement.operations) - len(placement.refusals)
        detail = f"{on_npu} of {len(placement.operations)} operations on the NPU"
        if on_npu:
            detail += f" in {placement.partitions} pieces"
        first = "; ".join(map(str, placement.refusals[:3]))
        more = len(placement.refusals) - 3
        left = f"{first} and {more} more" if more > 0 else first
        kind: Literal["partially_delegated", "not_delegated"] = (
            "partially_delegated" if on_npu else "not_delegated"
        )
        error = npu_error(self.spec, kind, f"{detail}; left to the CPU: {left}")
        error.placement = placement.operations
        return error

    def _placed(self, artifact: Path, placement: NpuPlacement) -> Measurement:
        """Where operations run, with the reasons of those that are left to the CPU."""
        refusals = placement.refusals
        figures = (float(len(refusals)), float(placement.partitions))
        about = f"the compiler's placement for {self.chip.title}; no latency"
        return Measurement(
            device=self.spec,
            source="simulated",
            samples_ms=(),
            init_ms=None,
            first_ms=None,
            peak_memory_mb=None,
            placement=placement.operations,
            conditions={
                **self._chip_conditions(artifact),
                "about": about,
                "caution": "; ".join(map(str, refusals)) or None,
            },
            accelerated_mac_share=placement.accelerated_mac_share,
            figures=dict(zip(CUT_FIGURES, figures, strict=True)),
        )

    def _latency(self, estimated: Compilation, precision: str) -> Latency:
        estimate = estimated.estimate
        if estimate is None:
            detail = "the simulator gave no estimate"
            raise npu_error(self.spec, "not_simulated", detail)
        if self.chip.simulated:
            interval = (estimate.lower_ms, estimate.upper_ms)
            about = f"the vendor's simulator of {self.chip.title}"
            return Latency(
                "simulated", estimate.milliseconds, interval, None, about, _not_in_it(precision)
            )
        return self._modelled(estimate, precision)

    def _modelled(self, estimate: Estimate, precision: str) -> Latency:
        device = self.chip.published_device or ""
        fit = calibration.fitted(device, precision)
        cautions = []
        if fit is None and precision == "int16":
            fit = calibration.fitted(device, "int8")
            cautions.append(_INT16)
        if fit is None:
            detail = f"no latency of {device} was published in {precision}"
            raise npu_error(self.spec, "not_simulated", detail)
        if estimate.milliseconds > fit.largest_ms:
            cautions.append(f"no published network is as slow (at most {fit.largest_ms:.3g} ms)")
        return Latency(
            "modelled",
            fit.latency_ms(estimate.milliseconds),
            fit.interval_ms(estimate.milliseconds),
            None if _INT16 in cautions else fit.coverage,
            f"{fit.offset_ms:.2f} ms + {fit.slope:.2f} x {estimate.milliseconds:.3g} ms simulated, "
            f"fitted to {len(fit.left_out)} networks published for {device}",
            "; ".join(cautions) or None,
        )

    def _conditions(
        self, artifact: Path, latency: Latency, own: Compilation, estimated: Compilation
    ) -> dict[str, Any]:
        return {
            **self._chip_conditions(artifact),
            "about": latency.about,
            "caution": latency.caution,
            "simulated_chip_number": self.chip.estimated_as,
            "simulation": estimated.to_dict()["estimate"],
            "compile_seconds": own.seconds,
            "compile_peak_memory_mb": own.peak_memory_mb,
        }

    def _chip_conditions(self, artifact: Path) -> dict[str, Any]:
        return {
            "chip": self.chip.title,
            "hexagon": self.chip.hexagon,
            "stands_for": self.chip.stands_for,
            "packages": requirements.versions(),
            "artifact": {"sha256": file_sha256(artifact), "bytes": artifact.stat().st_size},
        }


def _both(
    compile_for: Callable[[int], Compilation], numbers: tuple[int, ...]
) -> tuple[Compilation, Compilation]:
    """The compilations for the first and for the last of one or two chips, side by side."""
    with ThreadPoolExecutor(len(numbers), "npu") as pool:
        done = list(pool.map(compile_for, numbers))
    return done[0], done[-1]


def _not_in_it(precision: str) -> str:
    """What the simulator's own figure leaves out."""
    offset = calibration.own_offset_ms(precision)
    more = (
        "" if offset is None else f": published latencies of this chip are {offset:.2f} ms longer"
    )
    return f"without what calling the NPU takes{more}"


def _precision(file: TfliteFile) -> str:
    """Of the file's input: "float", "int8" or "int16"; ConfigError for any other."""
    dtype = file.inputs[0].dtype
    if dtype not in _PRECISIONS:
        raise ConfigError(f"an NPU takes {', '.join(_PRECISIONS)} pictures, but this is {dtype}")
    return _PRECISIONS[dtype]


def _figures(own: Compilation) -> dict[str, float]:
    """Memory traffic of one inference and the size of what is loaded, in MB of 10^6 bytes."""
    traffic = own.traffic
    values = (traffic.read_mb, traffic.write_mb, traffic.spill_mb, traffic.fill_mb, own.context_mb)
    return dict(zip(FIGURES, values, strict=True))


def open_npu(spec: str) -> NpuDevice:
    """The device that `npu:CHIP` names, with `PARTLY` behind it or not; raises as `chip_named`."""
    return NpuDevice(chip_named(spec), partly="?" in spec)
