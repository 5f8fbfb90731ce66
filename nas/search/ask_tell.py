"""A run's Optuna study: what a search asks of it and tells it.

One driver owns both. Trials are asked for, and told, in the order of their numbers, so that what
the sampler knows when it draws a candidate does not depend on which trial happened to end first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, TrialState

from nas.errors import RunError, TrainingError
from nas.networks.candidate import Candidate
from nas.sampling import Convergence, convergence_of
from nas.sampling.history import SUBSTITUTED
from nas.sampling.looks import KEY
from nas.search.earlier_run import EarlierRun
from nas.search.expected_study import READINGS, ForeseenStudy, readings_attribute, standing_of
from nas.search.sampler_choice import DUPLICATE_OF, FAILURE, learning_sampler, sampler_of
from nas.search.study_looks import SECONDS, StudyLooks
from nas.storage.journal import RunJournal
from nas.storage.postgres import SharedStudy
from nas.storage.study_copy import _STUDY
from nas.study.halving import READING_METRICS, Standing, expected, readings_of
from nas.study.study import Study
from nas.study.trial_result import STOPPED, TrialResult

CANDIDATE = "candidate"  # the key, a space, the label
BASELINE = "baseline"
QUEUED = "queued"  # the key of a candidate that somebody asked for

SYNC_SECONDS = 5.0
_DRAWS = 50  # duplicates in a row before a candidate is looked for at random instead


def came_to_nothing(result: TrialResult) -> bool:
    """Return whether a training died or diverged; what the network costs is known."""
    return result.failure is not None and result.failure.kind == TrainingError.__name__


def _state(result: TrialResult) -> TrialState:
    """Return how Optuna is told that a trial ended."""
    if result.state == "failed" and not came_to_nothing(result):
        return TrialState.FAIL
    return TrialState.PRUNED if result.state == STOPPED else TrialState.COMPLETE


@dataclass(frozen=True)
class AskedTrial:
    """A candidate that the search wants evaluated."""

    number: int
    candidate: Candidate
    parameters: Mapping[str, Any]
    baseline: bool = False


class OptunaStudy:
    """Optuna's study of one run, in a journal file, or `shared`, in a database.

    `input_quality` is the blurred pictures' own quality, which readings at rungs are compared with.
    `looks` are those that the sampler may take, `earlier` is a run that it learns from; None for
    none.

    Raises RunError where the journal can't be read or written, or the disk is full.
    """

    def __init__(
        self,
        study: Study,
        journal: Path,
        shared: SharedStudy | None = None,
        input_quality: Mapping[str, float] | None = None,
        looks: StudyLooks | None = None,
        earlier: EarlierRun | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study_value = study
        self._objectives = study.expanded_objectives
        self._journal: RunJournal | SharedStudy = shared or RunJournal(journal, (KEY,))
        with self._written():
            self._storage: Any = (
                optuna.storages.JournalStorage(self._journal)
                if isinstance(self._journal, RunJournal)
                else self._journal.storage
            )
            fresh = not journal.exists() if shared is None else False
            self._study = optuna.create_study(
                study_name=shared.name if shared else _STUDY,
                storage=self._storage,
                directions=[objective.direction for objective in self._objectives],
                load_if_exists=True,
            )
            if fresh:
                with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                    self._study.set_metric_names([o.metric for o in self._objectives])
            if shared is not None:
                shared.check(self._study)
            self._drawn: optuna.Study = self._study
            if study.halving:
                self._drawn = ForeseenStudy(self._study.study_name, self._storage)
        self._input_quality = input_quality or {}
        self._looks, self._earlier = looks, earlier
        self._seen: dict[str, int] = {
            trial.user_attrs[CANDIDATE].split()[0]: trial.number
            for trial in self.trials()
            if CANDIDATE in trial.user_attrs
        }
        self._baselines_due = True

    def trials(self) -> list[FrozenTrial]:
        """Return every trial that was asked for, duplicates too; callers must not change them."""
        waiting = TrialState.WAITING
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != waiting]

    def asked(self, number: int) -> AskedTrial | None:
        """Return a trial as it was asked for; None where it was a duplicate."""
        with self._written():
            self._seed(number)
            return self._accept(self._reopen(number))

    def candidates(self) -> int:
        """Return how many different candidates were asked for."""
        return len(self._seen)

    def convergence(self) -> Convergence | None:
        """Return what further trials are expected to add; None while that can't be told."""
        return convergence_of(self.trials())

    def open_trials(self) -> list[AskedTrial]:
        """Return trials that an earlier driver asked for and did not tell, by number."""
        opened = [trial.number for trial in self.trials() if trial.state == TrialState.RUNNING]
        asked = (self.asked(number) for number in opened)
        return [trial for trial in asked if trial is not None]

    def ask(self) -> AskedTrial | None:
        """Return a candidate that this run has not seen; None where the space has no more."""
        if self._baselines_due:
            self.enqueue(self._study_value.baselines)
        for _ in range(_DRAWS):
            with self._written():
                self._seed(len(self._study.get_trials(deepcopy=False)))
                if isinstance(self._drawn, ForeseenStudy):
                    self._drawn.expected = self._expected()
                trial = self._drawn.ask()
                asked = self._accept(trial)
            if asked is not None:
                return asked
        return self._ask_unseen()

    def enqueue(self, candidates: Iterable[Candidate]) -> int:
        """Queue candidates to be asked for next, in order; known ones are left out.

        Without it, the study's baselines are, before the first is asked for. Returns how many
        different candidates the run has then. Raises ConfigError where the study's space has no
        such candidate.
        """
        self._baselines_due = False
        trials = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        known = self._seen.keys() | {str(t.user_attrs.get(QUEUED, t.number)) for t in trials}
        for candidate in candidates:
            if candidate.key not in known:
                known |= {candidate.key}
                baseline = candidate in self._study_value.baselines
                attributes = {QUEUED: candidate.key} | ({BASELINE: True} if baseline else {})
                parameters = dict(self._study_value.to_parameters(candidate))
                with self._written():
                    self._study.enqueue_trial(parameters, user_attrs=attributes)
        return len(known)

    def tell(self, result: TrialResult, input_quality: Mapping[str, float]) -> None:
        """Tell Optuna what a finished trial came to.

        Optuna wants a value for every objective of a completed trial. One that broke a bound
        before it was trained has no quality: `input_quality`, that of the blurred pictures, is
        substituted; where a latency is missing, too, the worst one told so far is. The trial's
        attributes name what was substituted.

        A training that died or diverged is a completed trial with that very quality, and nothing
        substituted: so much its network is worth, and samplers learn to avoid its like. Other
        failures say nothing about quality: they are told as failed.
        """
        with self._written():
            trial = self._reopen(result.number)
            trial.set_user_attr(SECONDS, round(sum(result.timings_s.values()), 3))
            for constraint, violation in result.violations.items():
                trial.set_constraint(constraint, violation)
            if result.state == "failed":
                message = result.failure.message if result.failure else "unknown"
                trial.set_user_attr(FAILURE, message)
            state = _state(result)
            if state != TrialState.COMPLETE:
                self._study.tell(result.number, state=state)
                return
            values, missing = self._values(result, input_quality)
            if missing:
                trial.set_user_attr(SUBSTITUTED, missing)
            self._study.tell(result.number, values)
        self._journal.tidy(self._storage, result.number)

    def rest(self, result: TrialResult) -> None:
        """Keep the readings of a trial that waits at a rung, so that samplers learn from them."""
        trial = self._study.get_trials(deepcopy=False)[result.number]
        kept = readings_attribute(Standing.of(result, self._objectives))
        if trial.user_attrs.get(READINGS) != kept:
            with self._written():
                self._storage.set_trial_user_attr(trial._trial_id, READINGS, kept)

    def standings(self) -> list[Standing]:
        """Return where each trial stands that was read at a rung, by number."""
        found = (standing_of(trial, self._final(trial)) for trial in self.trials())
        return [standing for standing in found if standing is not None]

    def _final(self, trial: FrozenTrial) -> dict[str, float] | None:
        """Return the quality that a trial ended with, None where it has none."""
        if trial.state != TrialState.COMPLETE or trial.user_attrs.keys() & {SUBSTITUTED, FAILURE}:
            return None
        pairs = zip(self._objectives, trial.values, strict=True)
        return {o.metric: value for o, value in pairs if o.metric in READING_METRICS}

    def _expected(self) -> dict[int, list[float]]:
        return expected(self.standings(), self._objectives, self._input_quality)

    def told(self) -> set[int]:
        """Return the numbers of the trials that were told a result; duplicates have none."""
        return {
            trial.number
            for trial in self.trials()
            if trial.state.is_finished() and CANDIDATE in trial.user_attrs
        }

    def adopt(self, results: Iterable[TrialResult], input_quality: Mapping[str, float]) -> None:
        """Fill an empty journal from a run's results: the journal was lost, the results were not.

        Raises RunError where a result is not of this study's space.
        """
        with self._written():
            for result in results:
                trial = self._frozen(result, input_quality)
                while len(self._study.get_trials(deepcopy=False)) < result.number:
                    self._study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
                self._study.add_trial(trial)
                self._seen[result.key] = result.number

    def _frozen(self, result: TrialResult, input_quality: Mapping[str, float]) -> FrozenTrial:
        fixed = optuna.trial.FixedTrial(dict(result.parameters))
        if self._study_value.sample(fixed).key != result.key:
            raise RunError(f"trial {result.number}'s parameters don't give its candidate")
        values, missing = self._values(result, input_quality)
        state = _state(result)
        complete = state == TrialState.COMPLETE
        attributes: dict[str, Any] = {CANDIDATE: f"{result.key} {result.label}"}
        if result.failure is not None and result.state == "failed":
            attributes[FAILURE] = result.failure.message
        if missing and complete:
            attributes[SUBSTITUTED] = missing
        if readings_of(result):
            attributes[READINGS] = readings_attribute(Standing.of(result, self._objectives))
        trial = optuna.trial.create_trial(
            state=state,
            values=values if complete else None,
            params=dict(result.parameters),
            distributions=fixed.distributions,
            user_attrs=attributes,
        )
        for constraint, violation in result.violations.items():
            trial.set_constraint(constraint, violation)
        return trial

    def _values(
        self, result: TrialResult, input_quality: Mapping[str, float]
    ) -> tuple[list[float], list[str]]:
        """Return a value for each objective, and the names of those that were substituted."""
        missing = [o.metric for o in self._objectives if o.metric not in result.metrics]
        values = [
            self._substitute(index, o.metric, input_quality)
            if o.metric in missing
            else result.value(o.metric)
            for index, o in enumerate(self._objectives)
        ]
        if came_to_nothing(result):
            missing = [metric for metric in missing if metric not in input_quality]
        return values, missing

    def _substitute(self, index: int, metric: str, input_quality: Mapping[str, float]) -> float:
        if metric in input_quality:
            return input_quality[metric]
        told = (trial.values[index] for trial in self.trials() if trial.values)
        worst = max if self._objectives[index].direction == "minimize" else min
        return worst(told, default=0.0)

    def _accept(self, trial: optuna.Trial) -> AskedTrial | None:
        """Sample the trial's candidate; tell it at once, and None, where it was seen before."""
        candidate = self._study_value.sample(trial)
        key = candidate.key
        first = self._seen.get(key)
        if first is not None and first != trial.number:
            trial.set_user_attr(DUPLICATE_OF, first)
            self._repeat(trial, first)
            return None
        if first is None:
            trial.set_user_attr(CANDIDATE, f"{key} {candidate.label}")
            self._seen[key] = trial.number
        baseline = bool(trial.user_attrs.get(BASELINE))
        return AskedTrial(trial.number, candidate, dict(trial.params), baseline)

    def _repeat(self, trial: optuna.Trial, first: int) -> None:
        """Tell a duplicate what the first one came to, or nothing while that is not known."""
        known = self._study.get_trials(deepcopy=False)[first]
        if known.state != TrialState.COMPLETE:
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for constraint, violation in known.constraints.items():
            trial.set_constraint(constraint, violation)
        self._study.tell(trial, known.values)

    def _reopen(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._drawn, self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _ask_unseen(self) -> AskedTrial | None:
        """Draw at random, without the storage, until a new candidate comes."""
        draws = optuna.create_study(sampler=optuna.samplers.RandomSampler(self.candidates()))
        for _ in range(_DRAWS * 20):
            draw = draws.ask()
            candidate = self._study_value.sample(draw)
            if candidate.key not in self._seen:
                with self._written():
                    self._study.enqueue_trial(draw.params)
                    return self._accept(self._study.ask())
        return None

    @cached_property
    def _learning(self) -> optuna.samplers.BaseSampler | None:
        return learning_sampler(self._study_value, self._input_quality, self._looks, self._earlier)

    def _seed(self, number: int) -> None:
        """Set a sampler that depends on the trial's number alone: a resumed run draws the same."""
        chosen = self._learning or sampler_of(self._study_value, number)
        self._study.sampler = self._drawn.sampler = chosen

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Flush the journal on exit, so that changes survive this process.

        Every `SYNC_SECONDS` they are also fsynced, so that they survive a power cut.

        What such a crash loses of the journal is asked for again, the same by its number, and its
        results, which are on the disk before they are told, are recognised.
        """
        try:
            yield
        except StorageInternalError as error:
            if isinstance(self._journal, RunJournal):
                raise
            raise self._journal.failed(error) from error
        self._journal.sync(SYNC_SECONDS)
