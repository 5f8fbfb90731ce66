"""What a scale needs of the machine, estimated before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from nas.candidate import Architecture
from nas.errors import ConfigError
from nas.graph import Graph
from nas.schedule import Schedule

if TYPE_CHECKING:
    from nas.paper.steps import Scale, Step

BASE = 1.2e9  # TensorFlow itself, with what it keeps for its kernels
KEPT = 2.5  # times a training step holds each activation: itself, its gradient, what kernels need
OPTIMIZER = 6.0  # times the weights: themselves, gradients, Adam's two moments, a checkpoint
CONVERTED = 3.0  # times the activations of one picture that are alive at once


@final
@dataclass(frozen=True)
class Need:
    """Bytes of memory that the largest network of a scale needs, and at what."""

    network: str
    training: float
    deployment: float

    @property
    def most(self) -> float:
        """The larger of both; they come after each other."""
        return max(self.training, self.deployment)


def training_bytes(graph: Graph, schedule: Schedule) -> float:
    """A training step's memory in bytes: all activations of a batch, several times.

    An estimate: measured for the full networks it is within 40 %.
    """
    side = graph.fits(schedule.patch)
    elements = sum(_elements(row.shape) for row in graph.costs(side, side))
    return BASE + 4 * (KEPT * schedule.batch * elements + OPTIMIZER * graph.parameters())


def deployment_bytes(graph: Graph, size: tuple[int, int]) -> float:
    """What converting and running a file for pictures of `size` (width, height) takes, in bytes."""
    rows = graph.costs(size[1], size[0])
    last = {name: place for place, row in enumerate(rows) for name in row.layer.inputs}
    alive: dict[str, int] = {}
    peak = 0
    for place, row in enumerate(rows):
        alive[row.layer.name] = _elements(row.shape)
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, place) > place}
    return BASE + 4 * CONVERTED * peak


def needs(scale: Scale, networks: dict[str, Architecture]) -> list[Need]:
    """What each network needs, the hungriest first."""
    study = scale.study
    found = [
        Need(
            name,
            training_bytes(network.graph(), study.schedule),
            deployment_bytes(network.graph(), study.size),
        )
        for name, network in networks.items()
    ]
    return sorted(found, key=lambda need: -need.most)


def check_memory(scale: Scale, steps: Sequence[Step], available: float | None = None) -> None:
    """Raise ConfigError where the machine has less memory than the hungriest network needs.

    `available` bytes; by default what the operating system would give now.
    """
    import psutil

    from nas.paper.run import networks_of

    free = psutil.virtual_memory().available if available is None else available
    worst = needs(scale, networks_of(steps, scale))[0]
    if worst.most <= free:
        return
    schedule, (width, height) = scale.study.schedule, scale.study.size
    raise ConfigError(
        f"--scale {scale.name} needs about {_gb(worst.most)} of memory for {worst.network} "
        f"({_gb(worst.training)} to train on {schedule.batch} patches of {schedule.patch}x"
        f"{schedule.patch}, {_gb(worst.deployment)} to convert and run it at {width}x{height}), "
        f"but {_gb(free)} are free here; free some, take a larger machine, or a smaller --scale"
    )


def _elements(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
