"""Draws the fronts of several runs in one picture, and says whether they may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import ConfigError
from nas.report.choice import RunFront, open_front
from nas.report.titles import title, unit
from nas.storage.run_folder import RunFolder
from nas.study.objectives import MARGIN, Objective
from nas.study.pareto import Front, ReferencePoint
from nas.system.files import write_atomically

COLOURS = ("#0b7a75", "#c2501c", "#8b5cc7", "#3566a8", "#a0740a", "#7a4b2b", "#5f6b7a")
LEAST_RUNS = 3
"""Runs of one study from which on it is drawn what half of them reach."""
SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class NamedFront:
    """A run's front with the run's name, its folder and its study's fingerprint."""

    name: str
    run: RunFolder
    study: Mapping[str, Any]
    found: RunFront


@dataclass(frozen=True)
class Comparison:
    """Several fronts, the quality and the cost that are drawn, and what to mind.

    `hypervolumes` are taken up to one corner for all; they are None where the runs differ in their
    objectives.
    """

    fronts: tuple[NamedFront, ...]
    quality: str
    cost: str
    hypervolumes: tuple[float | None, ...]
    said: tuple[str, ...]


def compare_runs(runs: Sequence[RunFolder], cost: str | None = None) -> Comparison:
    """Open the runs and bring their fronts together; `cost` is the horizontal axis.

    Raises ConfigError where they share no quality or no cost, or not the one that is asked for, and
    RunError where a folder is no run's.
    """
    fronts = _named(runs)
    qualities = [found.found.quality.metric for found in fronts]
    if len(set(qualities)) > 1:
        raise ConfigError(f"the runs differ in what they make better: {', '.join(qualities)}")
    shared = [
        objective.metric
        for objective in fronts[0].found.objectives
        if objective.direction == "minimize"
        and objective.metric != qualities[0]
        and all(_has(front, objective.metric) for front in fronts)
    ]
    asked = cost or next(iter(shared), None)
    if asked is None:
        raise ConfigError("the runs share no cost that was made less; name one with --cost")
    for front in fronts:
        if not _has(front, asked):
            known = ", ".join(front.found.figures) or "none: it has no front yet"
            raise ConfigError(f"{front.name} has no {asked}; its figures: {known}")
    return Comparison(fronts, qualities[0], asked, _hypervolumes(fronts), tuple(_said(fronts)))


def _named(runs: Sequence[RunFolder]) -> tuple[NamedFront, ...]:
    """Open each run; runs of one folder's name are told apart by their whole path."""
    names = [run.path.resolve().name for run in runs]
    fronts = []
    for run, name in zip(runs, names, strict=True):
        called = name if names.count(name) == 1 else str(run.path)
        fronts.append(NamedFront(called, run, run.description()["study"], open_front(run)))
    return tuple(fronts)


def _has(front: NamedFront, metric: str) -> bool:
    return metric in front.found.figures


def _hypervolumes(fronts: Sequence[NamedFront]) -> tuple[float | None, ...]:
    """Return each front's hypervolume up to the worst of all fronts, costs times `MARGIN`."""
    objectives = fronts[0].found.objectives
    if any(front.found.objectives != objectives for front in fronts):
        return (None,) * len(fronts)
    members = [member for front in fronts for member in front.found.front]
    worst = [
        _worst(objective, [m.value(objective.metric) for m in members]) for objective in objectives
    ]
    point = ReferencePoint(tuple(worst), ("the worst of all fronts",) * len(worst))
    volumes = []
    for front in fronts:
        growing = Front(objectives, point)
        for member in front.found.front:
            growing.add(member)
        volumes.append(growing.hypervolume)
    return tuple(volumes)


def _worst(objective: Objective, values: Sequence[float]) -> float:
    if objective.direction == "maximize":
        return min(values)
    return max(values) * (MARGIN if objective.is_logarithmic else 1.0)


def _said(fronts: Sequence[NamedFront]) -> list[str]:
    """Say in what the runs differ such that their figures can't be laid beside each other."""
    subjects = {
        "picture sizes": [f"{w}x{h}" for w, h in (front.study["size"] for front in fronts)],
        "data sets": [str(front.study["data"].get("spec")) for front in fronts],
        "machines": [
            str(front.run.description().get("conditions", {}).get("processor", "unknown"))
            for front in fronts
        ],
    }
    said = []
    for what, values in subjects.items():
        if len(set(values)) > 1:
            pairs = zip((front.name for front in fronts), values, strict=True)
            named = ", ".join(f"{name}: {value}" for name, value in pairs)
            said.append(f"Mind: the runs differ in their {what} ({named}).")
    steps = [front.study.get("schedule", {}).get("steps") for front in fronts]
    if len(set(steps)) > 1:
        said.append(f"Mind: the trainings differ in length ({', '.join(map(str, steps))} steps).")
    return said


def attained_by_half(comparison: Comparison) -> list[tuple[float, float]]:
    """Return (cost, quality) that at least half of the runs reach or pass, by cost.

    It is the median attainment surface; empty for fewer than `LEAST_RUNS` runs, and where the runs
    are not of one study with the same objectives. Source: Grunert da Fonseca et al., "Inferential
    Performance Assessment of Stochastic Optimisers and the Attainment Function", 2001.
    """
    import moocore
    import numpy as np

    studies = {str(front.study["name"]) for front in comparison.fronts}
    alike = len(studies) == 1 and None not in comparison.hypervolumes
    if len(comparison.fronts) < LEAST_RUNS or not alike:
        return []
    x, y = comparison.cost, comparison.quality
    sign = -1.0 if comparison.fronts[0].found.quality.direction == "maximize" else 1.0
    points = [
        (member.value(x), sign * member.value(y), number)
        for number, front in enumerate(comparison.fronts, 1)
        for member in front.found.front
        if x in member.metrics and y in member.metrics
    ]
    table = np.asarray(points, np.float64)
    surface = moocore.eaf(table[:, :2], sets=table[:, 2].astype(np.int64), percentiles=[50])
    return sorted((float(cost), sign * float(quality)) for cost, quality, _ in surface)


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Draw the fronts into a .png, .svg or .pdf file; ConfigError for another ending."""
    from nas.report.png import DPI, log_ticks, styled_figure

    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: expected a name that ends with {', '.join(SUFFIXES)}")
    with styled_figure(8.6, 5.2) as (figure, axes):
        for index, front in enumerate(comparison.fronts):
            _draw(axes, front, comparison, COLOURS[index % len(COLOURS)])
        if half := attained_by_half(comparison):
            costs, qualities = zip(*half, strict=True)
            label = "reached by half of the runs"
            axes.step(costs, qualities, "k--", where="post", linewidth=1.6, label=label)
        members = [member for front in comparison.fronts for member in front.found.front]
        x = comparison.cost
        log_ticks(axes.xaxis, [one.value(x) for one in members if x in one.metrics])
        axes.set_xlabel(f"{title(comparison.cost)}, {unit(comparison.cost)}".rstrip(", "))
        axes.set_ylabel(f"{title(comparison.quality)}, {unit(comparison.quality)}".rstrip(", "))
        figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
        kind = path.suffix[1:]
        write_atomically(path, lambda file: figure.savefig(file, dpi=DPI, format=kind))


def _draw(axes: Any, front: NamedFront, comparison: Comparison, colour: str) -> None:
    """Draw one front: its models, and the stairs of the best that they offer."""
    x, y = comparison.cost, comparison.quality
    points = sorted((m.value(x), m.value(y)) for m in front.found.front if x in m.metrics)
    best = max if front.found.quality.direction == "maximize" else min
    reached: list[float] = []
    for _, quality in points:
        reached.append(best([quality, *reached[-1:]]))
    costs = [cost for cost, _ in points]
    axes.step(costs, reached, where="post", color=colour, linewidth=1.4, alpha=0.6)
    label = f"{front.name} ({len(points)} of {len(front.found.results)} trials)"
    axes.plot(costs, [q for _, q in points], "o", color=colour, markersize=6, label=label)
