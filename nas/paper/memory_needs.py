"""Estimates how much memory a scale needs, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from nas.errors import ConfigError
from nas.networks.candidate import Architecture
from nas.networks.graph import Graph
from nas.paper.steps import PaperScale, PaperStep, networks_of
from nas.training.schedule import Schedule

BASE = 1.2e9  # TensorFlow itself, with what it keeps for its kernels
KEPT = 1.5  # times a training step holds each activation: for the gradient, and what kernels need
OPTIMIZER = 6.0  # times the weights: themselves, gradients, Adam's two moments, a checkpoint
CONVERTED = 3.0  # times the activations of one picture that are alive at once


@final
@dataclass(frozen=True)
class Need:
    """Bytes of memory that one network of a scale needs, to train and to convert and run."""

    network: str
    training: float
    deployment: float

    @property
    def most(self) -> float:
        """Return the larger of both: they come after each other."""
        return max(self.training, self.deployment)


def training_bytes(graph: Graph, schedule: Schedule) -> float:
    """Return a training step's memory in bytes: all activations of a batch, several times.

    The estimate is on the safe side: full networks took 0.5 to 0.7 of it (U-Net, RDN and EDSR, four
    patches of 128x128).
    """
    side = graph.fits(schedule.patch)
    elements = sum(_elements(row.shape) for row in graph.costs(side, side))
    return BASE + 4 * (KEPT * schedule.batch * elements + OPTIMIZER * graph.parameters())


def deployment_bytes(graph: Graph, size: tuple[int, int]) -> float:
    """Return the bytes to convert and run a file for pictures of `size` (width, height)."""
    rows = graph.costs(size[1], size[0])
    last = {name: place for place, row in enumerate(rows) for name in row.layer.inputs}
    alive: dict[str, int] = {}
    peak = 0
    for place, row in enumerate(rows):
        alive[row.layer.name] = _elements(row.shape)
        peak = max(peak, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, place) > place}
    return BASE + 4 * CONVERTED * peak


def needs(scale: PaperScale, networks: dict[str, Architecture]) -> list[Need]:
    """Return what each network needs, the hungriest first."""
    study = scale.study
    all_needs = [
        Need(
            name,
            training_bytes(network.graph(), study.schedule),
            deployment_bytes(network.graph(), study.size),
        )
        for name, network in networks.items()
    ]
    return sorted(all_needs, key=lambda need: -need.most)


def check_memory(
    scale: PaperScale, steps: Sequence[PaperStep], workers: int = 1, available: float | None = None
) -> None:
    """Raise ConfigError where `workers` at a time need more memory than there is.

    `available` is in bytes; by default it is what the operating system would give now.
    """
    free = free_bytes() if available is None else available
    worst = _worst(scale, steps)
    if worst.most * workers <= free:
        return
    schedule, (width, height) = scale.study.schedule, scale.study.size
    at_a_time = f"{workers} times " if workers > 1 else ""
    fewer = "start fewer --workers, " if workers > 1 else ""
    raise ConfigError(
        f"--scale {scale.name} needs about {at_a_time}{_gb(worst.most)} of memory for "
        f"{worst.network} ({_gb(worst.training)} to train on {schedule.batch} patches of "
        f"{schedule.patch}x{schedule.patch}, {_gb(worst.deployment)} to convert and run it at "
        f"{width}x{height}), but {_gb(free)} are free here: {fewer}free some, take a larger "
        "machine, or a smaller --scale"
    )


def workers_that_fit(scale: PaperScale, wanted: int, available: float | None = None) -> int:
    """Return how many workers the memory holds: `wanted` at most, one at least."""
    free = free_bytes() if available is None else available
    return max(1, min(wanted, int(free // _worst(scale, scale.steps).most)))


def free_bytes() -> float:
    """Return the bytes that the operating system would give now."""
    import psutil

    return float(psutil.virtual_memory().available)


def _worst(scale: PaperScale, steps: Sequence[PaperStep]) -> Need:
    return needs(scale, networks_of(steps, scale))[0]


def _elements(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
