"""Measurements: latencies and placement of an artifact on a device, and their conditions."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from nas.errors import ConfigError


@dataclass(frozen=True)
class Placement:
    """Where one operation of an artifact ran; `accelerator` is None where nothing could tell.

    `index` is the operation's position in the file, `op` its name, NNAPI's under that delegate.
    """

    index: int
    op: str
    accelerator: str | None


@dataclass(frozen=True)
class Measurement:
    """Latencies of one artifact on one device.

    `samples_ms` holds one list a launch of the process; `latency_ms` is the median over launches of
    the launches' medians, `interval_ms` its order-statistic interval (the extremes of the
    launches' medians), which covers the true median with probability `interval_coverage`
    (1 - 2^(1 - launches), were the launches independent). `init_ms` (loading and preparing) and
    the first inference are kept apart from the samples. `source` is "measured", "simulated" (by a
    vendor's simulator), "modelled", "published" or "synthetic". A tool that prints statistics only
    gives one sample a launch (its median or mean); `counts` then tells how many inferences each
    stands for.
    A figure that nobody measured here ("simulated", "modelled", "published") is the one sample, has
    no counts, no init_ms and no first_ms; `stated_interval_ms` then holds the true latency with
    probability `stated_coverage`. Both are None where nothing is known of its spread, the
    probability alone where a simulator gives bounds of its own.
    A device that tells where operations run, and no latency, gives no samples: `timed` is False
    then, and whatever follows from samples raises ConfigError.
    `accelerated_mac_share` is the share of the MACs that ran on an accelerator, None where nothing
    tells. `figures` are what else the device tells of an inference, by names with units.
    """

    device: str
    source: str
    samples_ms: tuple[tuple[float, ...], ...]
    init_ms: float | None
    first_ms: float | None
    peak_memory_mb: float | None
    placement: tuple[Placement, ...]
    conditions: dict[str, Any] = field(default_factory=dict)
    counts: tuple[int, ...] = ()
    accelerated_mac_share: float | None = None
    stated_interval_ms: tuple[float, float] | None = None
    stated_coverage: float | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether a process ran for this figure, be it on an emulated phone."""
        return self.source in ("measured", "synthetic")

    @property
    def timed(self) -> bool:
        """Whether there is a latency."""
        return bool(self.samples_ms)

    @property
    def disturbed(self) -> str | None:
        """The other work that disturbed the measurement, in words; None where there was none."""
        words: str | None = self.conditions.get("disturbed")
        return words

    @property
    def launch_medians_ms(self) -> list[float]:
        """The median latency of each launch, in ms."""
        return [statistics.median(launch) for launch in self.samples_ms]

    @property
    def latency_ms(self) -> float:
        """The median over the launches' medians, in ms."""
        if not self.timed:
            raise ConfigError(f"{self.device} tells where operations run, and no latency")
        return statistics.median(self.launch_medians_ms)

    @property
    def interval_ms(self) -> tuple[float, float]:
        """The stated interval, else the lowest and the highest launch's median, in ms."""
        if self.stated_interval_ms is not None:
            return self.stated_interval_ms
        medians = self.launch_medians_ms
        return (min(medians), max(medians))

    @property
    def interval_coverage(self) -> float:
        """The probability that the interval holds the true median."""
        if self.stated_coverage is not None:
            return self.stated_coverage
        return float(1 - 2.0 ** (1 - len(self.samples_ms)))

    @property
    def spread(self) -> float:
        """The interval's width over the latency; a measurement over 0.1 is called unsteady."""
        low, high = self.interval_ms
        return (high - low) / self.latency_ms

    @property
    def count(self) -> int:
        """The number of timed inferences over all launches; 0 where nothing was measured."""
        if not self.measured:
            return 0
        return sum(self.counts) or sum(len(launch) for launch in self.samples_ms)

    def _latency(self) -> dict[str, Any]:
        names = ("latency_ms", "interval_ms", "interval_coverage", "spread")
        if not self.timed:
            return dict.fromkeys(names)
        values = (self.latency_ms, list(self.interval_ms), self.interval_coverage, self.spread)
        return dict(zip(names, values, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and what is derived from them, as JSON types."""
        return {
            "device": self.device,
            "source": self.source,
            **self._latency(),
            "count": self.count,
            "samples_ms": [list(launch) for launch in self.samples_ms],
            "init_ms": self.init_ms,
            "first_ms": self.first_ms,
            "peak_memory_mb": self.peak_memory_mb,
            "placement": [asdict(row) for row in self.placement],
            "accelerated_mac_share": self.accelerated_mac_share,
            "failure": None,
            "counts": list(self.counts),
            "stated_interval_ms": list(self.stated_interval_ms)
            if self.stated_interval_ms
            else None,
            "stated_coverage": self.stated_coverage,
            "figures": self.figures,
            "conditions": self.conditions,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Measurement:
        """Read what `to_dict` wrote; raises KeyError or TypeError on anything else."""
        return cls(
            device=values["device"],
            source=values["source"],
            samples_ms=tuple(tuple(launch) for launch in values["samples_ms"]),
            init_ms=values["init_ms"],
            first_ms=values["first_ms"],
            peak_memory_mb=values["peak_memory_mb"],
            placement=tuple(Placement(**row) for row in values["placement"]),
            conditions=values["conditions"],
            counts=tuple(values.get("counts", ())),
            accelerated_mac_share=values.get("accelerated_mac_share"),
            stated_interval_ms=tuple(stated)
            if (stated := values.get("stated_interval_ms"))
            else None,
            stated_coverage=values.get("stated_coverage"),
            figures=values.get("figures", {}),
        )


@dataclass(frozen=True)
class TimingProtocol:
    """The way in which latencies are taken; part of a study's fingerprint.

    A launch is one fresh process: `warmup` untimed inferences, then at least `runs` timed ones, and
    more until `min_seconds` have passed. `threads` are the interpreter's; a launch that takes over
    `timeout_seconds` fails.
    """

    launches: int = 5
    warmup: int = 2
    runs: int = 5
    min_seconds: float = 0.0
    threads: int = 2
    timeout_seconds: float = 300.0

    def to_dict(self) -> dict[str, Any]:
        """Return the protocol as JSON types."""
        return asdict(self)
