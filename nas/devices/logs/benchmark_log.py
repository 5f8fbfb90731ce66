"""What the benchmark tool said, as values: statistics, delegation, settings, failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas.devices.logs.profile import ProfileRow

DISPATCH_OP = "DISPATCH_OP"
"""The operation that stands for what LiteRT compiled for an NPU."""


@dataclass(frozen=True)
class Statistics:
    """One block of runs, in milliseconds; None where this tool does not print the figure.

    `std_ms` is the population's deviation, truncated by the tool to a whole microsecond.
    `incomplete`: the line was cut, or held what is no number, so that no figure of it counts.
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
    incomplete: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON types."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class ReplacedNodes:
    """Nodes of one subgraph that a delegate took: `nodes` of `total`, in `partitions` pieces."""

    delegate: str
    nodes: int
    total: int | None
    partitions: int | None

    @property
    def coverage(self) -> str | None:
        """ "complete", "partial" or "none"; None where the total is not told and can't be guessed.

        A tool of before 2020 tells no total, but one partition is then the whole graph.
        """
        if self.nodes == 0:
            return "none"
        if self.total is not None:
            return "complete" if self.nodes >= self.total else "partial"
        if self.partitions is None:
            return None
        return "complete" if self.partitions == 1 else "partial"

    def __str__(self) -> str:
        of = f" of {self.total}" if self.total is not None else ""
        return f"{self.nodes}{of} nodes on {self.delegate}"

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
class DelegationFacts:
    """All that one run tells of delegates, in the log's order.

    `said` are sentences ("… will be partially executed by …") with their lines, `replaced` counts
    of nodes, `replacing` the counts of the runtime itself by delegate and subgraph, `offloaded`
    what a compiler took for an accelerator before anything ran, `came_up` delegates that were
    created, `kernels` their kernels, `reasons` lines that tell why one did not come up.
    """

    said: list[tuple[Delegation, str]] = field(default_factory=list)
    replaced: list[ReplacedNodes] = field(default_factory=list)
    replacing: dict[tuple[str, str | None], ReplacedNodes] = field(default_factory=dict)
    offloaded: list[ReplacedNodes] = field(default_factory=list)
    came_up: list[str] = field(default_factory=list)
    kernels: dict[str, int] = field(default_factory=dict)
    refusals: list[dict[str, str]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    listing: str | None = field(default=None, compare=False)


@dataclass
class BenchmarkLog:
    """Every fact of one run's output; fields stay None or empty where it does not tell.

    `asked` are the delegates that the run was started with ("cpu", "gpu", "nnapi", …), `option`
    the name of the run in the summary of several, `unread_profile` lines of a profile that are no
    rows, `odd` lines that look like figures and are none. `finished`: the tool came to its
    results; `failed`: it said itself that it failed.
    """

    parameters: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    option: str | None = None
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
    facts: DelegationFacts = field(default_factory=DelegationFacts)
    delegation: Delegation | None = None
    profile: tuple[ProfileRow, ...] = ()
    plugins: list[str] = field(default_factory=list)
    profile_summary: dict[str, int] = field(default_factory=dict)
    unread_profile: tuple[str, ...] = ()
    nodes_executed: int | None = None
    limits: list[dict[str, float | None]] = field(default_factory=list)
    gpu_api: str | None = None
    signature: str | None = None
    throughput_mb_per_s: float | None = None
    soc: str | None = None
    unknown_flags: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    generation: str | None = None
    compiled: dict[str, float] = field(default_factory=dict)
    loaded: bool = False
    finished: bool = False
    failed: bool = False

    @property
    def dispatched(self) -> bool:
        """Whether the log shows an operation that was compiled for an NPU."""
        return DISPATCH_OP in self.facts.came_up

    @property
    def kernels(self) -> dict[str, int]:
        """How many kernels each delegate made."""
        return self.facts.kernels

    @property
    def replaced(self) -> list[ReplacedNodes]:
        """Counts of nodes that delegates took."""
        return self.facts.replaced

    @property
    def refusals(self) -> list[dict[str, str]]:
        """Operations that a delegate did not take, with its reasons."""
        return self.facts.refusals

    @property
    def warmup(self) -> Statistics | None:
        """The untimed runs: always the first block."""
        return self.blocks[0] if self.blocks else None

    @property
    def timed(self) -> Statistics | None:
        """The timed runs: the second block."""
        return self.blocks[1] if len(self.blocks) > 1 else None
