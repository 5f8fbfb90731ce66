"""Optuna's distributions as rows of numbers: encoding, drawing, changing and never repeating.

A row holds for each parameter the number of its level where it has few, and a share of its range
(0 to 1) where it is continuous or has more than `MANY` levels. Categories that are numbers, such as
a layer's widths, have an order and are treated as numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MANY = 256


@final
@dataclass(frozen=True)
class Axis:
    """One parameter as a column.

    `levels` are its values where they are few; None where it is continuous or has many.
    `positions` (0 to 1) are those of the levels; None for unordered categories as well.
    """

    distribution: BaseDistribution
    levels: tuple[Any, ...] | None
    positions: Floats | None

    @classmethod
    def of(cls, distribution: BaseDistribution) -> Axis:
        """Return the axis of one of Optuna's distributions; TypeError for one of another kind."""
        if isinstance(distribution, CategoricalDistribution):
            choices = distribution.choices
            if len(choices) > 2 and all(type(one) in (int, float) for one in choices):
                rank = np.argsort(np.argsort(np.array(choices, np.float64)))
                return cls(distribution, choices, rank / (len(choices) - 1))
            return cls(distribution, choices, None)
        if not isinstance(distribution, (FloatDistribution, IntDistribution)):
            raise TypeError(f"no axis is known for {distribution}")
        low, high, step = distribution.low, distribution.high, distribution.step
        if low == high:  # a wrapper's: Optuna does not ask for it
            return cls(distribution, (low,), np.zeros(1))
        if step is None or (high - low) / step >= MANY:
            return cls(distribution, None, None)
        count = round((high - low) / step) + 1
        values = [min(low + index * step, high) for index in range(count)]  # 3 * 0.1 > 0.3
        return cls(
            distribution, tuple(values), np.array([_share(distribution, one) for one in values])
        )

    @property
    def unordered(self) -> bool:
        """True for categories without an order."""
        return self.levels is not None and self.positions is None

    def entry(self, value: Any) -> float:
        """Return the row's entry for a value of the parameter."""
        if isinstance(self.distribution, CategoricalDistribution):
            return float(self.distribution.to_internal_repr(value))
        if self.levels is not None:
            low, step = self.distribution.low, self.distribution.step or 1  # type: ignore[attr-defined]
            return float(min(max(round((value - low) / step), 0), len(self.levels) - 1))
        assert isinstance(self.distribution, (FloatDistribution, IntDistribution))
        low, high = self.distribution.low, self.distribution.high
        return _share(self.distribution, min(max(value, low), high))  # one may have been enqueued

    def value(self, entry: float) -> Any:
        """Return the parameter's value for a row's entry."""
        if self.levels is not None:
            return self.levels[round(entry)]
        assert isinstance(self.distribution, (FloatDistribution, IntDistribution))
        low, high, log = self.distribution.low, self.distribution.high, self.distribution.log
        share = min(max(entry, 0.0), 1.0)
        value = low * (high / low) ** share if log else low + (high - low) * share
        step = self.distribution.step
        if step is not None:
            value = low + round((value - low) / step) * step
        value = min(max(value, low), high)
        return int(value) if isinstance(self.distribution, IntDistribution) else float(value)

    def snapped(self, entries: Floats) -> Floats:
        """Return the entries of the nearest values that exist."""
        if self.levels is not None:
            nearest: Floats = np.clip(np.rint(entries), 0, len(self.levels) - 1)
            return nearest
        entries = np.clip(entries, 0.0, 1.0).astype(np.float64)
        if self.distribution.step is None:  # type: ignore[attr-defined]
            return entries
        return np.array([self.entry(self.value(one)) for one in entries])

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """Return `count` entries, drawn uniformly."""
        if self.levels is not None:
            return random.integers(0, len(self.levels), count).astype(np.float64)
        return self.snapped(random.random(count))

    def moved(self, random: np.random.Generator, entries: Floats) -> Floats:
        """Return entries near the given ones; any entries where there is no order."""
        count = len(entries)
        if self.unordered:
            return self.draw(random, count)
        if self.levels is None:
            return self.snapped(entries + 0.1 * random.standard_normal(count))
        steps = random.choice([-2, -1, 1, 2], count, p=[0.15, 0.35, 0.35, 0.15])
        return self.snapped(entries + steps)

    def neighbours(self, entry: float) -> Floats:
        """Return the entries next to one; all others where there is no order."""
        if self.levels is None:
            near = entry + np.array([-0.2, -0.05, -0.01, 0.01, 0.05, 0.2])
        elif self.unordered:
            near = np.arange(len(self.levels), dtype=np.float64)
        else:
            near = entry + np.array([-2.0, -1.0, 1.0, 2.0])
        entries: Floats = np.unique(self.snapped(near))
        others: Floats = entries[entries != entry]
        return others

    def features(self, entries: Floats) -> Floats:
        """Return the Gaussian process's inputs: positions from 0 to 1, or categories' numbers."""
        if self.positions is None:
            return entries
        position: Floats = self.positions[entries.astype(np.intp)]
        return position


def _share(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    low, high = distribution.low, distribution.high
    if low == high:
        return 0.0
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


@final
@dataclass(frozen=True)
class Gate:
    """The condition for a trial to lack a parameter: the level of another one is in `absent`.

    Levels stand for values because values may be lists, which no set can hold.
    """

    parameter: str
    absent: frozenset[float]

    def leaves_out(self, trial: FrozenTrial) -> bool:
        """Return whether the gate says that the trial lacks the parameter."""
        if self.parameter not in trial.params:
            return False
        distribution = trial.distributions[self.parameter]
        return level(distribution, trial.params[self.parameter]) in self.absent


@final
class Encoding:
    """A search space's parameters, each with more than one value, as columns.

    `gates` are of those that not every trial has: where one is absent its column holds 0, so that
    equal candidates have equal rows. `fixed` are the levels of parameters that are not drawn here.
    """

    def __init__(
        self,
        space: Mapping[str, BaseDistribution],
        gates: Mapping[str, Gate] | None = None,
        fixed: Mapping[str, float] | None = None,
    ) -> None:
        self.fixed = dict(fixed or {})
        self.names = tuple(space)
        self.axes = tuple(Axis.of(one) for one in space.values())
        self.categorical: Bools = np.array([axis.unordered for axis in self.axes], bool)
        self._gates = {self.names.index(name): gate for name, gate in (gates or {}).items()}
        self._closed = {index: self._closing(gate) for index, gate in self._gates.items()}

    @property
    def size(self) -> float:
        """The largest possible number of candidates; infinite with a continuous parameter."""
        return math.prod(len(axis.levels) if axis.levels else math.inf for axis in self.axes)

    def holds(self, trial: FrozenTrial, nothing_else: bool = False) -> bool:
        """Return whether a trial has all these parameters; with `nothing_else`, no other choice."""
        theirs = trial.distributions
        for index, (name, axis) in enumerate(zip(self.names, self.axes, strict=True)):
            if name not in theirs:
                gate = self._gates.get(index)
                if gate is None or not gate.leaves_out(trial):
                    return False
            elif not same(axis.distribution, theirs[name]):
                return False
        extra = () if not nothing_else else theirs.keys() - set(self.names)
        return all(theirs[name].single() or self._is_fixed(trial, name) for name in extra)

    def _is_fixed(self, trial: FrozenTrial, name: str) -> bool:
        value = level(trial.distributions[name], trial.params[name])
        return self.fixed.get(name) == value

    def row(self, trial: FrozenTrial) -> Floats:
        """Return the row of a trial; 0 stands for a parameter that its gate leaves out."""
        entries = [
            axis.entry(trial.params[name]) if name in trial.params else 0.0
            for name, axis in zip(self.names, self.axes, strict=True)
        ]
        return np.array(entries, np.float64)

    def rows(self, trials: Iterable[FrozenTrial]) -> Floats:
        """Return a row for each trial (trials, parameters)."""
        rows = [self.row(trial) for trial in trials]
        return np.array(rows, np.float64).reshape(-1, len(self.names))

    def parameters(self, row: Floats) -> dict[str, Any]:
        """Return a row's parameters by name; an absent one has an arbitrary value."""
        pairs = zip(self.names, self.axes, row, strict=True)
        return {name: axis.value(float(entry)) for name, axis, entry in pairs}

    def there(self, row: Floats) -> dict[str, Any]:
        """Return the parameters of a row that are not absent, by name."""
        values = self.parameters(row)
        return {name: values[name] for name in self.present(row)}

    def levels(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """Return parameters as the numbers that Optuna's storage has for them."""
        axes = dict(zip(self.names, self.axes, strict=True))
        return {name: level(axes[name].distribution, value) for name, value in parameters.items()}

    def row_of_levels(self, levels: Mapping[str, float]) -> Floats | None:
        """Return the row of a candidate as `levels` has it; None where the space has none such."""
        row = np.zeros(len(self.names))
        for index, (name, axis) in enumerate(zip(self.names, self.axes, strict=True)):
            if name in levels:
                distribution = axis.distribution
                try:
                    value = distribution.to_external_repr(levels[name])
                    if not distribution._contains(levels[name]):
                        return None
                except (IndexError, ValueError, TypeError):
                    return None
                row[index] = axis.entry(value)
            elif index not in self._gates:
                return None
        row = self._settled(row[None])[0]
        there = {*self.present(row)}
        return row if there == levels.keys() & {*self.names} else None

    def present(self, row: Floats) -> list[str]:
        """Return the names of a row's parameters that are not absent."""
        absent = {index for index in self._gates if self._absent(row[None], index)[0]}
        return [name for index, name in enumerate(self.names) if index not in absent]

    def features(self, rows: Floats) -> Floats:
        """Return the Gaussian process's inputs for rows (n, parameters).

        An absent number counts as the middle of its range, an absent category as one of its own.
        """
        columns = [axis.features(rows[:, index]) for index, axis in enumerate(self.axes)]
        for index in self._gates:
            nothing = -1.0 if self.axes[index].unordered else 0.5
            columns[index] = np.where(self._absent(rows, index), nothing, columns[index])
        return np.stack(columns, axis=1)

    def _closing(self, gate: Gate) -> tuple[int, list[float]]:
        """Return the column of a gate, and the entries there that leave the parameter out."""
        column = self.names.index(gate.parameter)
        axis = self.axes[column]
        values = [axis.distribution.to_external_repr(one) for one in gate.absent]
        return column, [axis.entry(value) for value in values]

    def _absent(self, rows: Floats, index: int) -> Bools:
        column, entries = self._closed[index]
        absent: Bools = np.isin(rows[:, column], entries)
        return absent

    def _settled(self, rows: Floats) -> Floats:
        """Write 0 into rows where a parameter is absent, and for -0; return them."""
        for index in self._gates:
            rows[self._absent(rows, index), index] = 0.0
        rows += 0.0
        return rows

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """Return `count` rows, drawn uniformly."""
        return self._settled(np.stack([axis.draw(random, count) for axis in self.axes], axis=1))

    def everything(self) -> Floats:
        """Return every row of the space, whose `size` must be finite."""
        ranges = [range(len(axis.levels or ())) for axis in self.axes]
        return self._settled(np.array(list(itertools.product(*ranges)), np.float64))

    def mutants(self, random: np.random.Generator, parents: Floats, count: int) -> Floats:
        """Return rows that differ from a parent in few entries; a quarter mix two parents first."""
        first = parents[random.integers(0, len(parents), count)]
        second = parents[random.integers(0, len(parents), count)]
        mixed = (random.random(first.shape) < 0.5) & (random.random((count, 1)) < 0.25)
        rows = np.where(mixed, second, first)
        width = len(self.axes)
        changes = np.minimum(random.geometric(0.5, (count, 1)), width)
        order = random.random(rows.shape).argsort(axis=1).argsort(axis=1)
        change = order < changes
        far = random.random(rows.shape) < 0.4
        for index, axis in enumerate(self.axes):
            near = axis.moved(random, rows[:, index])
            other = np.where(far[:, index], axis.draw(random, count), near)
            rows[:, index] = np.where(change[:, index], other, rows[:, index])
        return self._settled(rows)

    def neighbours(self, row: Floats) -> Floats:
        """Return the rows that differ from one row in one entry."""
        blocks = []
        for index, axis in enumerate(self.axes):
            near = axis.neighbours(float(row[index]))
            changed = np.repeat(row[None], len(near), axis=0)
            changed[:, index] = near
            blocks.append(changed)
        return self._settled(np.concatenate(blocks))


def unseen(rows: Floats, seen: set[bytes]) -> Floats:
    """Return the rows that are not in `seen` (bytes of rows), each once, in their order."""
    earlier: set[bytes] = set()
    places = []
    for index, row in enumerate(rows):
        key = row.tobytes()
        if key not in seen and key not in earlier:
            earlier.add(key)
            places.append(index)
    return rows[places]


def level(distribution: BaseDistribution, value: Any) -> float:
    """Return a value's number in Optuna's storage, which is equal for equal values."""
    return float(distribution.to_internal_repr(value))


def same(one: BaseDistribution, other: BaseDistribution) -> bool:
    """Return whether two distributions are equal; False if their choices can't be compared."""
    if one is other:
        return True
    try:
        # Optuna compares choices one by one, which takes longer than the rest of a suggestion.
        if isinstance(one, CategoricalDistribution) and isinstance(other, CategoricalDistribution):
            return bool(one.choices == other.choices or one == other)
        return bool(one == other)
    except Exception:  # of whatever kind a choice's own comparison raises
        return False
