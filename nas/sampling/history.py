"""A study's trials as arrays; each ended trial is read once, however many there are.

The arrays are a function of the trials alone, so a sampler that starts anew reads the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, count, repeat
from operator import is_, is_not
from typing import final

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from nas.sampling.space import Encoding, Gate, level, same

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
SUBSTITUTED = "stand_in"
"""The attribute of a trial that names its objectives whose values are substituted: the trial has
none of its own."""

Change = tuple[int, FrozenTrial | None, FrozenTrial | None]
"""The index of a trial, the ended trial there at the last look, and the one there now."""


@final
class TrialChanges:
    """The trials that ended, or were replaced, since the last look."""

    def __init__(self) -> None:
        self._read: list[FrozenTrial | None] = []

    def changes(self, trials: Sequence[FrozenTrial]) -> list[Change]:
        """Return these changes by index, and take the trials as seen."""
        read = self._read
        gone = [(index, one, None) for index, one in enumerate(read) if index >= len(trials)]
        del read[len(trials) :]
        read.extend([None] * (len(trials) - len(read)))
        changes: list[Change] = [change for change in gone if change[1] is not None]
        for index in list(compress(count(), map(is_not, read, trials))):
            new = trials[index] if trials[index].state.is_finished() else None
            if read[index] is not None or new is not None:
                changes.append((index, read[index], new))
                read[index] = new
        return changes

    def going(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that had not ended at the last look."""
        return list(compress(trials, map(is_, self._read, repeat(None))))


def _alike(old: FrozenTrial | None, new: FrozenTrial | None) -> bool:
    """Return whether two ended trials have equal parameters; True where there was no old one."""
    if old is None or new is None:
        return old is None
    ours, theirs = old.distributions, new.distributions
    return ours.keys() == theirs.keys() and all(
        same(one, theirs[name]) and level(one, old.params[name]) == level(one, new.params[name])
        for name, one in ours.items()
    )


class _Parameters:
    """The parameters of trials, and for each the gate that says which trials have it."""

    def __init__(self) -> None:
        self._distributions: dict[str, BaseDistribution] = {}
        self._changed: set[str] = set()
        self._values: dict[frozenset[str], dict[str, set[float]]] = {}

    def copy(self) -> _Parameters:
        twin = _Parameters()
        twin._distributions, twin._changed = dict(self._distributions), set(self._changed)
        for pattern, values in self._values.items():
            twin._values[pattern] = {name: set(seen) for name, seen in values.items()}
        return twin

    def take(self, trial: FrozenTrial) -> None:
        theirs = trial.distributions
        seen = self._values.setdefault(frozenset(theirs), {})
        for name, distribution in theirs.items():
            if not same(self._distributions.setdefault(name, distribution), distribution):
                self._changed.add(name)
            if isinstance(distribution, (CategoricalDistribution, IntDistribution)):
                seen.setdefault(name, set()).add(level(distribution, trial.params[name]))

    def space(self) -> tuple[dict[str, BaseDistribution], dict[str, Gate]]:
        """Return the parameters with a choice that all trials have, or that a gate decides on."""
        usable = {
            name: self._distributions[name]
            for name in sorted(self._distributions)
            if name not in self._changed and not self._distributions[name].single()
        }
        always = [name for name in usable if all(name in pattern for pattern in self._values)]
        gates = {}
        for name in usable:
            gate = None if name in always else self._gate(name, always)
            if gate is not None:
                gates[name] = gate
        return {n: one for n, one in usable.items() if n in always or n in gates}, gates

    def _gate(self, name: str, always: Sequence[str]) -> Gate | None:
        """Return a gate from the first of `always` whose value decides if a trial has `name`."""
        for other in always:
            there: set[float] = set()
            absent: set[float] = set()
            for pattern, values in self._values.items():
                (there if name in pattern else absent).update(values.get(other, ()))
            if there and absent and not there & absent:
                return Gate(other, frozenset(absent))
        return None


@final
class SharedSpace:
    """The parameters that all complete trials share, or all trials while few are complete.

    So the first draws do not depend on how many trials have ended.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._ended, self._count = TrialChanges(), 0
        self._complete, self._all = _Parameters(), _Parameters()
        self._found: tuple[dict[str, BaseDistribution], dict[str, Gate]] = ({}, {})

    def of(
        self, trials: Sequence[FrozenTrial], few: int = 1
    ) -> tuple[dict[str, BaseDistribution], dict[str, Gate]]:
        """Return distributions by name in order, and the gates of those that some trials lack."""
        changes = self._ended.changes(trials)
        for _, old, new in changes:
            if old is not None and (old.state != (new and new.state) or not _alike(old, new)):
                self._clear()
                changes = self._ended.changes(trials)
                break
        before = self._count
        for trial in [new for _, old, new in changes if old is None and new is not None]:
            if trial.distributions:
                self._all.take(trial)
            if trial.state == TrialState.COMPLETE:
                self._complete.take(trial)
                self._count += 1
        if self._count < max(few, 1):
            begun = self._all.copy()
            for trial in self._ended.going(trials):
                if trial.distributions:
                    begun.take(trial)
            return begun.space()
        if self._count > before or not self._found[0]:
            self._found = self._complete.space()
        return self._found


@final
@dataclass(frozen=True)
class TrialTable:
    """A study's trials: its complete ones (n) as arrays, in the order of their numbers.

    `rows` (n, d) are their parameters, `values` (n, k) their objectives, NaN where unknown.
    `feasible` (n) says whether all constraints hold; `constraints` are values (n) by name, NaN
    where a trial has none. `front` are the indices of feasible trials with all values that no
    other one dominates. `running` are the rows (r, d) of trials that run, `tried` (t, d) those of
    all ended and running trials; `seen` are the rows of all trials as bytes.
    """

    rows: Floats
    values: Floats
    feasible: Bools
    constraints: dict[str, Floats]
    front: npt.NDArray[np.intp]
    running: Floats
    tried: Floats
    seen: set[bytes]


@final
class History:
    """A reader of a study's trials in one encoding.

    `signs` (k) turn objectives into losses; `names` are those of the objectives, None if unknown.
    """

    def __init__(self, encoding: Encoding, signs: Floats, names: Sequence[str] | None) -> None:
        self._encoding, self._signs, self._names = encoding, signs, names
        self._clear()

    def _clear(self) -> None:
        width = len(self._encoding.names)
        self._ended = TrialChanges()
        self._rows = np.empty((0, width))
        self._values = np.empty((0, len(self._signs)))
        self._tried = np.empty(0, bool)
        self._complete = np.empty(0, bool)
        self._feasible = np.empty(0, bool)
        self._constraints: dict[str, dict[int, float]] = {}
        self._front: list[int] = []
        self._seen: set[bytes] = set()

    def read(self, trials: Sequence[FrozenTrial], but: int) -> TrialTable:
        """Return the table of all trials except the one with number `but`."""
        changes = self._ended.changes(trials)
        if not all(_alike(old, new) for _, old, new in changes):
            self._clear()
            changes = self._ended.changes(trials)
        self._grow(len(trials))
        for index, _, new in changes:
            if new is not None and self._encoding.holds(new):
                self._take(index, new)
        if any(old is not None for _, old, _ in changes):
            self._front = []
            for index in np.flatnonzero(self._complete & self._feasible).tolist():
                self._join_front(index)
        elif changes:
            for index, _, _ in changes:
                if self._complete[index] and self._feasible[index]:
                    self._join_front(index)
        return self._known(trials, but)

    def _known(self, trials: Sequence[FrozenTrial], but: int) -> TrialTable:
        going = [t for t in self._ended.going(trials) if t.number != but]
        begun = [t for t in going if self._encoding.holds(t)]
        running = self._encoding.rows(t for t in begun if t.state == TrialState.RUNNING)
        exact = self._encoding.rows(t for t in begun if self._encoding.holds(t, nothing_else=True))
        count = len(trials)
        complete = np.flatnonzero(self._complete[:count])
        constraints = {}
        for name, told in sorted(self._constraints.items()):
            column = np.full(len(self._rows), np.nan)
            column[list(told)] = list(told.values())
            constraints[name] = column[complete]
        return TrialTable(
            self._rows[complete],
            self._values[complete],
            self._feasible[complete],
            constraints,
            np.searchsorted(complete, sorted(self._front)),
            running,
            np.concatenate([self._rows[:count][self._tried[:count]], running]),
            self._seen | {row.tobytes() for row in exact},
        )

    def _grow(self, count: int) -> None:
        if len(self._rows) < count:
            more = max(64, 2 * count) - len(self._rows)
            for name in ("_rows", "_values", "_tried", "_complete", "_feasible"):
                old = getattr(self, name)
                new = np.zeros((more, *old.shape[1:]), old.dtype)
                setattr(self, name, np.concatenate([old, new]))

    def _take(self, index: int, trial: FrozenTrial) -> None:
        row = self._encoding.row(trial)
        self._rows[index], self._tried[index] = row, True
        if self._encoding.holds(trial, nothing_else=True):
            self._seen.add(row.tobytes())
        told_all = trial.values is not None and len(trial.values) == len(self._signs)
        self._complete[index] = trial.state == TrialState.COMPLETE and told_all
        for told in self._constraints.values():
            told.pop(index, None)
        if not self._complete[index]:
            return
        values = np.array(trial.values, np.float64)
        values[~np.isfinite(values)] = np.nan
        missing = trial.user_attrs.get(SUBSTITUTED, ()) if self._names is not None else ()
        if missing:
            values[[name in missing for name in self._names or ()]] = np.nan
        constraints = trial.constraints
        for name, value in constraints.items():
            self._constraints.setdefault(name, {})[index] = value
        self._values[index] = values
        self._feasible[index] = all(value <= 0 for value in constraints.values())

    def _join_front(self, index: int) -> None:
        here = self._values[index] * self._signs
        if not np.isfinite(here).all():
            return
        front = self._values[self._front] * self._signs
        if ((front <= here).all(axis=1) & (front < here).any(axis=1)).any():
            return
        beaten = (here <= front).all(axis=1) & (here < front).any(axis=1)
        self._front = [one for one, out in zip(self._front, beaten, strict=True) if not out]
        self._front.append(index)
