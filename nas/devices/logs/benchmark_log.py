"""The facts of one run of a benchmark tool, as values: figures, delegates, settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas.devices.logs.profile import ProfileRow

DISPATCH_OP = "DISPATCH_OP"
"""The operation that stands for what LiteRT compiled for an NPU."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of one block of runs, in milliseconds; None where the tool prints no such figure.

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
        """Return the figures as JSON types."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class ReplacedNodes:
    """Nodes of one subgraph that a delegate took: `nodes` of `total`, in `partitions` pieces.

    `total` and `partitions` are None where the log does not tell them.
    """

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
        """Return the figures as JSON types."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Delegation:
    """How much of the graph a delegate took: `coverage` is "complete", "partial" or "none".

    "complete" says that one node is left in the plan, not that an accelerator runs it. `kernels`
    counts the delegate's kernels, None where the log does not tell.
    """

    delegate: str
    coverage: str
    kernels: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON types."""
        return dict(self.__dict__)


@dataclass
class DelegationFacts:
    """The facts about delegates in one run's log, in the log's order.

    `said` holds the coverages that the tool put in words ("… will be partially executed by …"),
    with their lines. `replaced` holds counts of nodes, `replacing` those of the runtime itself, by
    delegate and subgraph, `offloaded` those that a compiler took for an accelerator before anything
    ran. `came_up` are the delegates that were created, `kernels` the numbers of their kernels,
    `refusals` the operations that they did not take. `reasons` are lines that tell why a delegate
    did not come up, `listing` the delegate whose refusals the next lines list.
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


@dataclass(frozen=True)
class RuntimeNode:
    """One operation of the graph that ran, as the CompiledModel tool's file of the runtime tells.

    `outputs` are its outputs' names, `delegate` the delegate that ran it, None for a plain kernel
    of the CPU. On an NPU the graph is the one that its compiler left: `DISPATCH_OP` stands for what
    was compiled.
    """

    op: str
    outputs: tuple[str, ...]
    delegate: str | None


@dataclass
class BenchmarkLog:
    """The facts of one run's output; fields stay None or empty where the output does not tell.

    The run: `parameters` are the tool's settings as it printed them, `asked` the delegates that it
    was started with ("cpu", "gpu", "nnapi", …), `option` the run's name in a summary of several
    runs, `unknown_flags` flags that the tool did not know, `limits` the bounds of each block.
    `generation` names the tool by the first year of its format. `signature` is the model's, `soc`
    the chip's name, `plugins` are the accelerators that the tool registered, `gpu_api` is the
    GPU's programming interface.

    The model: its path `model`, `model_size_mb`. `loaded`: the tool said that it loaded the model,
    CompiledModel's that it was about to. `built`: the latter then had it in memory.

    Figures: `blocks` holds the untimed and the timed statistics, `profiled` those of the profile;
    `init_ms`, `first_ms`, `warmup_mean_ms` and `mean_ms` come from the summary line. `memory` holds
    megabytes ("init_mb", "overall_mb", "peak_mb"). `compiled` holds CompiledModel's result table by
    its own names.

    Operations: `accelerators` are those that NNAPI offers, `facts` what the log tells of delegates,
    `delegation` is the delegate's coverage that follows. `profile` are the nodes in run order,
    `profile_summary` counts them by type, `nodes_executed` is the tool's own count.

    Doubts: `unread_profile` are lines of a profile that are no rows, `odd` lines that look like
    figures and are none, `warnings` the reader's own. `finished`: the tool came to its results;
    `failed`: the tool itself said that it failed.
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
    runtime: tuple[RuntimeNode, ...] = ()
    compilation: str | None = None
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
    built: bool = False
    finished: bool = False
    failed: bool = False

    @property
    def dispatched(self) -> bool:
        """Whether the log shows an operation that was compiled for an NPU."""
        return DISPATCH_OP in self.facts.came_up

    @property
    def kernels(self) -> dict[str, int]:
        """The number of kernels that each delegate made."""
        return self.facts.kernels

    @property
    def replaced(self) -> list[ReplacedNodes]:
        """The counts of nodes that delegates took."""
        return self.facts.replaced

    @property
    def refusals(self) -> list[dict[str, str]]:
        """The operations that a delegate did not take, with its reasons."""
        return self.facts.refusals

    @property
    def warmup(self) -> Statistics | None:
        """The statistics of the untimed runs: the first block."""
        return self.blocks[0] if self.blocks else None

    @property
    def timed(self) -> Statistics | None:
        """The statistics of the timed runs: the second block."""
        return self.blocks[1] if len(self.blocks) > 1 else None
