"""`EhviSampler`: expected hypervolume improvement for a few dozen expensive trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.sampling import options
from nas.sampling.allowed import Allowed, AllowedRows
from nas.sampling.convergence import keep
from nas.sampling.data import Data, LookedRows, settled
from nas.sampling.features import FeatureColumns, Features
from nas.sampling.gaussian import FitError
from nas.sampling.history import TrialTable
from nas.sampling.looks import Look, Looker
from nas.sampling.losses import PredictedLosses, Predictor, Scale
from nas.sampling.options import FEWEST_POINTS
from nas.sampling.pool import best_rows, first_row
from nas.sampling.reading import Reading, metric_names, signs
from nas.sampling.space import Encoding
from nas.sampling.surrogates import Beliefs
from nas.sampling.threads import one_thread
from nas.study.objectives import is_logarithmic

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_warned: set[tuple[str, str]] = set()
_warning_lock = Lock()
_ROUNDS = 4  # shortlists that are looked at where every candidate of the last one is refused
Reference = Sequence[float] | Callable[[Sequence[FrozenTrial]], Sequence[float] | None]
"""The hypervolume's reference point, in the objectives' units, or a function of the trials."""


class EhviSampler(BaseSampler):
    """Proposes the candidate that is expected to add most to the dominated hypervolume.

    For one to four objectives and any mix of categorical, integer and float parameters. Each
    objective gets a Gaussian process; constraints (`trial.set_constraint`, feasible where <= 0)
    one each, and the expected gain is weighted by the probability that all hold. Trials that still
    run count as if they had ended as expected. No candidate comes twice. A parameter that another
    one's value decides on is learned with the rest; one that some trials lack without such a rule
    is drawn independently, by Optuna's TPE, which takes over, with a warning, where no surrogate
    can be fitted.

    `n_startup_trials` are drawn at random first. What is drawn depends on `seed`, the trial's
    number and the trials before it, on nothing that the sampler remembers: one made anew for every
    trial draws the same.

    `logarithmic` are the indices of objectives that count in proportion (latencies); by default
    those whose metric name, but for a device in brackets, is one of
    `nas.study.objectives.LOGARITHMIC`. `predictor` tells of a candidate's parameters what some
    objectives are expected to be, in their own unit: then only the difference (for logarithmic
    objectives the ratio) is learned. It is called for some 600 candidates a trial, so it should
    take microseconds. `reference` is the hypervolume's reference point, in the objectives' units,
    or a function from the trials to it; by default (and where it returns None) the worst values on
    the front so far, and a tenth of their range beyond. A point further out than half of that
    range counts as one there: else the ends of the front would be all that matters. `pool`
    candidates are compared for each trial, half of them with a predictor or after 100 trials, an
    eighth after 500; surrogates learn from `most_points` trials at most (after 500 trials half of
    that), the best and a part of the rest.

    `look` tells of a candidate's parameters what it costs, found out without a trial: the best
    `looks` candidates (or as many as a function of the trials allows) are looked at, `look_threads`
    at once, and the best of them, as it then is, is drawn. An infinite cost says that a candidate
    can't be used; None is no answer. What was seen is kept in the study, beside the trial.
    `allowed` tells of parameters whether they may be tried at all: a limit on what can be counted
    costs no trial then. It is called for a few candidates a trial, so it may take a millisecond.
    `features` tells of parameters what describes a candidate, by name: what that means for the
    objectives is learned. `earlier` are trials of another study of the same space: what they let
    expect is a feature, too. With `keep_gains` the study keeps beside each trial what it was
    expected to add: `nas.sampling.convergence_of` tells by these whether more trials are worth it.

    Options are checked here, and with the study at its first suggestion: TypeError or ValueError
    name the option and its value. Threads may share a sampler: their suggestions take turns, and
    each counts those that other threads are about to try as running. It asks of a study what
    Optuna's own samplers ask, so pruners and samplers that wrap others work with it.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int = 10,
        logarithmic: Sequence[int] | None = None,
        predictor: Predictor | None = None,
        reference: Reference | None = None,
        look: Look | None = None,
        looks: int | Callable[[Sequence[FrozenTrial]], int] = 6,
        look_threads: int = 1,
        allowed: Allowed | None = None,
        features: Features | None = None,
        earlier: Sequence[FrozenTrial] = (),
        keep_gains: bool = False,
        pool: int = 1000,
        most_points: int = 150,
    ) -> None:
        self._seed = np.random.SeedSequence().entropy
        if seed is not None:
            self._seed = options.whole("seed", seed, 0)
        self._startup = options.whole("n_startup_trials", n_startup_trials, 0)
        self._logarithmic = options.objectives("logarithmic", logarithmic)
        self._predictor: Predictor | None = options.function("predictor", predictor)
        self._reference: Reference | None = options.reference_point("reference", reference)
        self._look: Look | None = options.function("look", look)
        self._looks = looks if callable(looks) else options.whole("looks", looks, 0)
        self._look_threads = options.whole("look_threads", look_threads, 1)
        self._allowed: Allowed | None = options.function("allowed", allowed)
        self._features: Features | None = options.function("features", features)
        self._earlier = options.trials("earlier", earlier)
        self._keep_gains = options.switch("keep_gains", keep_gains)
        self._pool = options.whole("pool", pool, 1)
        self._most_points = options.whole("most_points", most_points, FEWEST_POINTS)
        self._reading = Reading()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the trials that were read: a sampler made anew draws the same."""
        return {name: value for name, value in vars(self).items() if name != "_reading"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reading = Reading()

    def reseed_rng(self) -> None:
        """Do nothing: a draw depends on the seed and on the trial's number alone."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters of all completed trials, and those that a gate decides on.

        Raises ValueError on too many objectives, and on options that do not fit the study.
        """
        options.check_study(study.directions, self._logarithmic, self._reference)
        with self._reading.lock:
            return self._reading.space(self._reading.trials(study), self._startup)[0]

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a candidate's parameters; none where all are seen, or TPE has to take over."""
        options.check_study(study.directions, self._logarithmic, self._reference)
        with self._reading.lock:
            trials = self._reading.trials(study)
            table = self._reading.known(study, trials, trial.number, search_space, self._startup)
            if table is None:
                return {}
            encoding, known = table
            row = self._row(study, trial, encoding, known, trials)
            if row is None:
                return {}
            self._reading.drew(study, trial.number, encoding.there(row), search_space)
            return encoding.parameters(row)

    def _row(
        self,
        study: Study,
        trial: FrozenTrial,
        encoding: Encoding,
        known: TrialTable,
        trials: Sequence[FrozenTrial],
    ) -> Floats | None:
        random = np.random.default_rng([_entropy(self._seed), trial.number])
        looker = Looker(
            self._look,
            self._looks(trials) if callable(self._looks) else self._looks,
            self._look_threads,
            study,
            trial,
            encoding,
            trials,
            lambda message: _warn(study, message),
        )
        allowed = AllowedRows(self._allowed, encoding, lambda message: _warn(study, message))
        if len(known.rows) < max(self._startup, 1):
            return first_row(encoding, random, known, looker, allowed)
        try:
            with one_thread():
                data = self._data(study, encoding, known, trials, looker.looked)
                if not data.learns:
                    return first_row(encoding, random, known, looker, allowed)
                learned = self._learned(data, random, known, looker, allowed)
                if learned is None:
                    return None
                beliefs, row = learned
                expected = beliefs.expected_gain(row) if self._keep_gains else None
                if expected is not None:
                    keep(study, trial, expected)
                return row
        except (FitError, np.linalg.LinAlgError, FloatingPointError) as error:
            _warn(study, f"no surrogate can be fitted ({error}); TPESampler draws instead")
            return None

    def _learned(
        self,
        data: Data,
        random: np.random.Generator,
        known: TrialTable,
        looker: Looker,
        allowed: AllowedRows,
    ) -> tuple[Beliefs, Floats] | None:
        """Return the best candidate, as looks have it, and what is believed; None: all are seen."""
        count = len(known.rows)
        most_points = self._most_points // (1 if count <= 500 else 2)
        best: tuple[Beliefs, Floats] | None = None
        for _ in range(_ROUNDS):
            beliefs = Beliefs(data, known.running, most_points)
            seen = known.seen | looker.refused
            pool = best_rows(
                data.encoding,
                beliefs,
                random,
                seen,
                self._candidates(count),
                looker.most,
                allowed,
            )
            if not len(pool):
                return best
            best = beliefs, pool[0]
            if not looker.most:
                return best
            looker.at(pool)
            refused = looker.refused
            usable = [row for row in pool if row.tobytes() not in refused]
            data = data.with_looks(looker.looked)
            if usable:
                rows, looking = np.array(usable), beliefs.looking(data)
                return looking, rows[np.argmax(looking.score(rows))]
        return best

    def _candidates(self, trials: int) -> int:
        """Return how many candidates to compare: fewer after many trials, to stay cheap."""
        most = self._pool if self._predictor is None else self._pool // 2
        return max(1, most // (1 if trials <= 100 else 2 if trials <= 500 else 8))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return one parameter's value, drawn by TPE on its own."""
        with self._reading.lock:
            tpe = self._reading.independent(study, trial.number, lambda: self._tpe(trial.number))
            return tpe.sample_independent(study, trial, param_name, param_distribution)

    def _tpe(self, number: int) -> BaseSampler:
        random = np.random.default_rng([_entropy(self._seed), number, 1])
        seed = int(random.integers(2**32))
        return optuna.samplers.TPESampler(
            n_startup_trials=self._startup, seed=seed, multivariate=False
        )

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget the draw for the trial."""
        with self._reading.lock:
            self._reading.ended(study, trial.number)

    def _reference_point(
        self, study: Study, trials: Sequence[FrozenTrial]
    ) -> Sequence[float] | None:
        """Return the hypervolume's reference point, one value an objective; None for the default.

        Raises ValueError where a function returns anything but finite numbers.
        """
        if not callable(self._reference):
            return self._reference
        point = self._reference(trials)
        if point is None:
            return None
        numbers, wanted = options.finite(point), len(study.directions)
        if numbers is None or len(numbers) != wanted:
            raise ValueError(
                f"reference told {point!r}, expected None or {wanted} finite numbers, one for each "
                "objective"
            )
        return numbers

    def _data(
        self,
        study: Study,
        encoding: Encoding,
        known: TrialTable,
        trials: Sequence[FrozenTrial],
        looked: LookedRows,
    ) -> Data:
        values, there = known.values, np.isfinite(known.values)
        first = settled(len(values))
        logs = self._logs(study, values, there)
        scale = Scale(signs(study), logs, values[:first], there[:first])
        predict = None
        if self._predictor is not None:
            known_before = self._reading.predictions(encoding)
            predict = PredictedLosses(self._predictor, encoding, scale, known_before)
            try:
                predict(known.rows[:1])
            except Exception as error:
                _warn(study, f"the predictor failed ({error!r}); learning without it")
                predict = None
        return Data.of(
            encoding,
            known,
            scale,
            predict,
            self._reference_point(study, trials),
            self._columns(study, encoding),
            looked,
        )

    def _columns(self, study: Study, encoding: Encoding) -> FeatureColumns | None:
        if self._features is None and not self._earlier:
            return None
        try:
            return self._reading.columns(self._features, self._earlier, encoding)
        except Exception as error:  # of whatever kind somebody's function raises
            _warn(study, f"the features failed ({error!r}); learning without them")
            return None

    def _logs(self, study: Study, values: Floats, known: Bools) -> Bools:
        """Return which objectives (k) count by logarithms; not those with a value <= 0."""
        names = metric_names(study)
        if self._logarithmic is not None:
            chosen = [index in self._logarithmic for index in range(values.shape[1])]
        else:
            chosen = [is_logarithmic(name) for name in names or [""] * values.shape[1]]
        positive = np.where(known, values, 1.0).min(axis=0) > 0
        if (~positive & chosen).any():
            at = np.flatnonzero(~positive & chosen).tolist()
            _warn(study, f"objectives {at} have values <= 0: they can't be taken as logarithms")
        usable: Bools = positive & np.array(chosen)
        return usable


def _entropy(seed: Any) -> int:
    return int(seed) % 2**63


def _warn(study: Study, message: str) -> None:
    """Warn once for a study, however many samplers draw for it."""
    key = (study.study_name, message.split("(")[0])
    with _warning_lock:
        first = key not in _warned
        _warned.add(key)
    if first:
        warnings.warn(f"EhviSampler: {message}", UserWarning, stacklevel=4)
