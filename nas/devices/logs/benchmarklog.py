"""What the benchmark tool said, as values: statistics, delegation, settings, failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas.devices.logs.profile import ProfileRow


@dataclass(frozen=True)
class Statistics:
    """One block of runs, in milliseconds; None where this tool does not print the figure.

    `std_ms` is the population's deviation, truncated by the tool to a whole microsecond.
    """

    count: int
    first_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    mean_ms: float | None = None
    std_ms: float | None = None
    p5_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON types."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Replaced:
    """Nodes of one subgraph that a delegate took: `nodes` of `total`, in `partitions` pieces."""

    delegate: str
    nodes: int
    total: int | None
    partitions: int | None

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON types."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Delegation:
    """Whether a delegate took the graph: `coverage` is "complete", "partial" or "none".

    "complete" says that one node is left in the plan, not that an accelerator runs it.
    """

    delegate: str
    coverage: str
    kernels: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON types."""
        return dict(self.__dict__)


@dataclass
class BenchmarkLog:
    """Every fact of one run's output; fields stay None or empty where it does not tell."""

    parameters: dict[str, str] = field(default_factory=dict)
    accelerators: list[str] = field(default_factory=list)
    model: str | None = None
    model_size_mb: float | None = None
    init_ms: float | None = None
    first_ms: float | None = None
    warmup_mean_ms: float | None = None
    mean_ms: float | None = None
    blocks: list[Statistics] = field(default_factory=list)
    profiled: Statistics | None = None
    memory: dict[str, float] = field(default_factory=dict)
    delegation: Delegation | None = None
    kernels: dict[str, int] = field(default_factory=dict)
    replaced: list[Replaced] = field(default_factory=list)
    refusals: list[dict[str, str]] = field(default_factory=list)
    profile: tuple[ProfileRow, ...] = ()
    plugins: list[str] = field(default_factory=list)
    profile_summary: dict[str, int] = field(default_factory=dict)
    nodes_executed: int | None = None
    limits: list[dict[str, float | None]] = field(default_factory=list)
    gpu_api: str | None = None
    signature: str | None = None
    throughput_mb_per_s: float | None = None
    soc: str | None = None
    unknown_flags: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    generation: str | None = None
    compiled: dict[str, float] = field(default_factory=dict)
    listing: str | None = field(default=None, compare=False)

    @property
    def warmup(self) -> Statistics | None:
        """The untimed runs: always the first block."""
        return self.blocks[0] if self.blocks else None

    @property
    def timed(self) -> Statistics | None:
        """The timed runs: the second block."""
        return self.blocks[1] if len(self.blocks) > 1 else None
