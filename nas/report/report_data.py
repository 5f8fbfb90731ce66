"""Gathers what a report says, as values; other modules draw them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.data.degradations import degraded_word
from nas.devices.names import DeviceName
from nas.report.baselines import verdict
from nas.report.busy import disturbed_trials
from nas.report.certainty import Certainty, RungRow, certainty, rung_rows
from nas.report.choice import open_front, quality_of
from nas.report.compression import CompressionRow, compression_rows
from nas.report.definitions import Definition, definitions
from nas.report.effects import Effect, find_effects
from nas.report.explanation import explain_run
from nas.report.operations import FallenOperation, Refusal, fallen_operations, refusals
from nas.report.picks import Pick, find_picks
from nas.report.supernet import SupernetRanking, supernet_ranking
from nas.report.titles import title
from nas.search.learning import Learning, learning_of
from nas.storage.run_devices import run_names
from nas.storage.run_folder import LearnedFrom, LookTotals, RunFolder
from nas.study.metric import Metric
from nas.study.objectives import Objective
from nas.study.pareto import ReferencePoint, hypervolume_history, reference_point
from nas.study.picker import Offer
from nas.study.trial_result import STOPPED, TrialResult


@dataclass(frozen=True)
class Cause:
    """Trials that ended the same way.

    `what` is the error's class or the constraint, `example` one message, `trials` are their
    numbers.
    """

    state: str
    what: str
    example: str
    trials: tuple[int, ...]


@dataclass(frozen=True)
class ReportData:
    """Everything that a report of a run shows, except the pictures."""

    name: str
    """The name of the run's folder."""
    description: Mapping[str, Any]
    """What run.json holds: the study's fingerprint, conditions, the blurred pictures' quality."""
    objectives: tuple[Objective, ...]
    """What the study made better, in its order."""
    results: tuple[TrialResult, ...]
    """All trials that ended, by number; PSNR has an interval where the noise is known."""
    front: tuple[TrialResult, ...]
    """The members of the Pareto front, best first in the first objective."""
    picks: tuple[Pick, ...]
    """The members of the front that are worth a sentence each."""
    reference: ReferencePoint | None
    """The point up to which the hypervolume counts; None where there is none yet."""
    history: tuple[float, ...]
    """The hypervolume after each trial, as many as there are results."""
    effects: tuple[Effect, ...]
    """How objectives differ between the values of each parameter, strongest first."""
    causes: tuple[Cause, ...]
    """Why trials failed or are infeasible, the most frequent cause first."""
    timings_s: Mapping[str, float]
    """Seconds of each stage over all trials, the longest first."""
    definitions: tuple[Definition, ...]
    """What each figure means and how it was taken."""
    fallen: tuple[FallenOperation, ...] = ()
    """The operations that a phone's accelerators did not take."""
    refusals: tuple[Refusal, ...] = ()
    """The trials that have no latency on a device, and a reason."""
    compressions: tuple[CompressionRow, ...] = ()
    """A row for each pruned share and precision; none where there is only one of each."""
    verdict: str | None = None
    """Whether the search beat networks chosen by hand, in sentences; None without such."""
    certainty: Certainty | None = None
    """How sure PSNR is; None where no network was trained twice."""
    rungs: tuple[RungRow, ...] = ()
    """What happened at each rung; none for a search without halving."""
    ranking: SupernetRanking | None = None
    """How well a supernet's ranks held; None where no supernet ranked the candidates."""
    looks: LookTotals | None = None
    """Candidates that were measured before a training; None where none were."""
    learned_from: LearnedFrom | None = None
    """The earlier run that the sampler learned from; None where there was none."""
    ended: str | None = None
    """Why the search ended before it had all of its trials; None where it did not."""
    sentences: tuple[str, ...] = ()
    """The result in words: which models are alike, the one to take, the price of the next step."""
    offers: tuple[Offer, ...] = ()
    """The front's models as budgets see them, in the front's order."""
    resolved: float = 0.0
    """The difference of quality below which models are alike; 0 where no noise is known."""
    names: Mapping[str, DeviceName] = field(default_factory=dict)
    """People's names for the study's devices, by the names that files use."""
    learning: Learning | None = None
    """Where the sampler began to learn; None where that can't be told."""

    @property
    def study(self) -> Mapping[str, Any]:
        """Return the study's fingerprint, from run.json."""
        study: Mapping[str, Any] = self.description["study"]
        return study

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the required devices of the study."""
        return tuple(self.study["devices"])

    @property
    def optional_devices(self) -> tuple[str, ...]:
        """Return the devices on which candidates were measured where they could be."""
        return tuple(self.study.get("optional_devices", ()))

    def device(self, device: str) -> str:
        """Return the device's short name for people."""
        return self.names[device].name if device in self.names else device

    def named(self, text: str) -> str:
        """Return a text that names devices as files do, with people's name put before each."""
        called = {d: n.name for d, n in self.names.items() if n.name not in (d, f"adb:{n.serial}")}
        if not called:
            return text
        devices = "|".join(re.escape(device) for device in sorted(called, key=len, reverse=True))
        return re.sub(devices, lambda match: f"{called[match[0]]} ({match[0]})", text)

    def title(self, metric: str) -> str:
        """Return a metric's name for people, with people's name for its device."""
        return title(metric, self.device)

    @property
    def quality(self) -> Objective:
        """Return the first objective that goes up; the first of all where none does."""
        return quality_of(self.objectives)

    @property
    def costs(self) -> tuple[Objective, ...]:
        """Return the objectives that go down, without one that stands for the quality."""
        down = (o for o in self.objectives if o.direction == "minimize")
        return tuple(o for o in down if o != self.quality)

    @property
    def states(self) -> Counter[str]:
        """Count the trials by the state in which they ended."""
        return Counter(result.state for result in self.results)

    @property
    def trained(self) -> bool:
        """Tell whether the run trains anything; a search by models alone does not."""
        return bool(self.description.get("input", True))

    @property
    def timed(self) -> bool:
        """Tell whether any latency is of a network that ran, on a phone or here."""
        figures = [metric for result in self.results for metric in latency_metrics(result).values()]
        return any(figure.source in ("measured", "synthetic") for figure in figures)

    @property
    def degraded(self) -> str:
        """How the pictures look before they are restored, in a word such as "blurred"."""
        return degraded_word(str(self.study["data"]["spec"]))

    @property
    def input_psnr_db(self) -> float | None:
        """Return the held-out pictures' PSNR before restoration; None where it was not taken."""
        kept_psnr_db = self.description.get("input", {}).get("psnr_db")
        if kept_psnr_db is not None:
            return float(kept_psnr_db)
        name = "psnr_db_input"
        return next((r.value(name) for r in self.results if name in r.metrics), None)

    @property
    def disturbed(self) -> dict[int, str]:
        """Return the front's trials with a latency from a busy processor, with the reason."""
        return disturbed_trials(self.front)

    @property
    def sources(self) -> set[str]:
        """Return every source of a figure in the run."""
        return {definition.source for definition in self.definitions}


def gather(run: RunFolder) -> ReportData:
    """Read a run, finished or not.

    Raises RunError where the folder is no run's or is damaged.
    """
    description = run.description()
    study = description["study"]
    found = open_front(run)
    results, objectives = found.results, found.objectives
    reference = reference_point(results, objectives, description)
    names = run_names(run, results)
    ranking = supernet_ranking(run, results)
    return ReportData(
        name=run.path.resolve().name,
        description=description,
        objectives=objectives,
        results=results,
        front=found.front,
        sentences=tuple(explain_run(found, lambda one: names[one].name if one in names else one)),
        offers=found.offers,
        resolved=found.resolved,
        picks=tuple(find_picks(found, names)),
        reference=reference,
        history=tuple(hypervolume_history(results, objectives, reference)),
        effects=tuple(find_effects(results, objectives)),
        causes=tuple(_causes(results)),
        timings_s=_timings(results),
        definitions=tuple(definitions(results)),
        fallen=tuple(fallen_operations(run, results)),
        refusals=tuple(refusals(run, results)),
        compressions=compression_rows(results),
        verdict=verdict(results, description, study["devices"], names),
        certainty=certainty(run, results, found.front),
        rungs=rung_rows(results),
        ranking=ranking,
        looks=run.looks() if run.looks().count else None,
        learned_from=run.learned_from(),
        ended=run.ended_early(),
        names=names,
        learning=None if ranking else learning_of(study, len(results)),
    )


def latency_metrics(result: TrialResult) -> dict[str, Metric]:
    """Return a trial's latency on each device that it was timed on, by device."""
    latencies = {}
    for name, metric in result.metrics.items():
        match = re.fullmatch(r"latency_ms\[(.+)\]", name)
        if match:
            latencies[match[1]] = metric
    return latencies


def _causes(results: Sequence[TrialResult]) -> list[Cause]:
    """Group the trials that failed or are infeasible by their cause, the most frequent first."""
    groups: dict[tuple[str, str], list[TrialResult]] = {}
    for result in results:
        if result.state in ("complete", STOPPED):
            continue
        if result.failure is not None:
            what = result.failure.kind
        else:
            what = ", ".join(name for name, amount in result.violations.items() if amount > 0)
        groups.setdefault((result.state, what or "no reason was kept"), []).append(result)
    causes = [
        Cause(state, what, _example(trials), tuple(trial.number for trial in trials))
        for (state, what), trials in groups.items()
    ]
    return sorted(causes, key=lambda cause: -len(cause.trials))


def _example(trials: Sequence[TrialResult]) -> str:
    first = trials[0]
    if first.failure is not None:
        return first.failure.message
    over = max(trials, key=lambda trial: max(trial.violations.values(), default=0.0))
    amount = max(over.violations.values(), default=0.0)
    return f"the farthest is over by {100 * amount:.0f} % (trial {over.number})"


def _timings(results: Sequence[TrialResult]) -> dict[str, float]:
    """Return the seconds of each stage over all trials, the longest first."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(dict(result.timings_s))
    return dict(total.most_common())
