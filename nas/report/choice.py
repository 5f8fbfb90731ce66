"""Opens a run's front, and chooses one of its models within budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.report.noise import noise_of, with_intervals
from nas.report.notebook import front_as_html
from nas.storage.run_folder import RunFolder
from nas.study.objectives import Objective
from nas.study.pareto import front
from nas.study.picker import BudgetChoice, Offer, best_within, offers_of, resolved_difference
from nas.study.seed_noise import Noise
from nas.study.trial_result import TrialResult


@dataclass(frozen=True)
class RunFront:
    """A run's front, and what a choice among its models needs.

    `results` are all trials that ended, by number; their PSNR has an interval where the `noise` is
    known. `front` has the best first. `offers` are the front's models that have the `quality`.
    Below `resolved` two qualities are alike.
    """

    objectives: tuple[Objective, ...]
    results: tuple[TrialResult, ...]
    front: tuple[TrialResult, ...]
    noise: Noise | None
    quality: Objective
    offers: tuple[Offer, ...]
    resolved: float

    @property
    def figures(self) -> list[str]:
        """The names of all figures that a model of the front has, in their order."""
        return list(dict.fromkeys(name for member in self.front for name in member.metrics))

    def choose(self, budgets: Mapping[str, float] | None = None) -> BudgetChoice | None:
        """Return the best model within budgets such as `{"latency_ms[host]": 33}`.

        Without budgets all models are within. None where no model is: see `best_within`.
        """
        return best_within(self.offers, budgets or {}, self.resolved)

    def model(self, trial: int) -> TrialResult:
        """Return the front's model of that trial; KeyError where it is not on the front."""
        return {member.number: member for member in self.front}[trial]

    def _repr_html_(self) -> str:
        """Show the front as a table in a notebook."""
        if not self.front:
            return f"<p>{len(self.results)} trials ended, and none is on the front.</p>"
        choice = self.choose()
        metrics = dict.fromkeys(("psnr_db", *(one.metric for one in self.objectives)))
        taken = None if choice is None else choice.model.trial
        return front_as_html(self.front, list(metrics), taken)


def open_front(run: RunFolder) -> RunFront:
    """Read a run, finished or not; RunError where the folder is no run's or is damaged."""
    objectives = tuple(run.objectives())
    devices = run.description()["study"]["devices"]
    trials = run.results()
    noise = noise_of(run, trials)
    results = tuple(with_intervals(trials, noise))
    members = tuple(front(results, objectives))
    quality = quality_of(objectives)
    offers = tuple(offers_of(members, devices, quality.metric))
    resolved = resolved_difference(noise, quality.metric)
    return RunFront(objectives, results, members, noise, quality, offers, resolved)


def quality_of(objectives: Sequence[Objective]) -> Objective:
    """Return the first objective that goes up; the first of all where the study has only costs."""
    up = [objective for objective in objectives if objective.direction == "maximize"]
    return next(iter([*up, *objectives]), Objective.of("psnr_db"))
