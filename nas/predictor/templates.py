"""Templates that give the terms of a space's networks in microseconds.

All networks that differ in nothing but widths have the same operations, and every number of
channels in them is a constant plus so much a width. A template learns that from one network and one
neighbour for each width; two more networks prove it, or it is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.predictor.design import RandomTrial
from nas.predictor.terms import Term

Floats = npt.NDArray[np.float64]
Slow = Callable[[Mapping[str, Any]], tuple[Term, ...]]
_PROBES = 12
"""How many networks a parameter is tried in before it counts as a width."""


@final
@dataclass
class Templates:
    """The terms of a candidate by its parameters, always equal to those of `slow`.

    `slow` builds the network; `widths` are the parameters that change channels alone.
    """

    slow: Slow
    choices: Mapping[str, Sequence[Any]]
    """The choices of each parameter that any network of the space has."""
    widths: tuple[str, ...] = ()
    _known: dict[tuple[Any, ...], _Template | None] = field(default_factory=dict)

    @classmethod
    def of(cls, slow: Slow, draw: Callable[[Any], object]) -> Templates:
        """Return a space's templates; `draw` asks a trial for all parameters of a candidate."""
        random = np.random.default_rng(0)
        choices: dict[str, Sequence[Any]] = {}
        probes = []
        for _ in range(_PROBES):
            trial = RecordingTrial(random)
            draw(trial)
            choices |= trial.choices
            probes.append(trial.parameters)
        templates = cls(slow, choices)
        numbers = [name for name, values in choices.items() if _are_numbers(values)]
        templates.widths = tuple(name for name in numbers if templates._is_width(name, probes))
        return templates

    def __call__(self, parameters: Mapping[str, Any]) -> tuple[Term, ...]:
        """Return the terms of a candidate; raises as `slow` does."""
        widths = self.widths
        key = tuple((name, parameters[name]) for name in sorted(parameters) if name not in widths)
        if key not in self._known:
            self._known[key] = self._learned(parameters)
        template = self._known[key]
        if template is None:
            return self.slow(parameters)
        return template([parameters.get(name, self._middle(name)) for name in widths])

    def _middle(self, name: str) -> Any:
        choices = self.choices[name]
        return choices[len(choices) // 2]

    def _is_width(self, name: str, seen: Sequence[Mapping[str, Any]]) -> bool:
        low, high = min(self.choices[name]), max(self.choices[name])
        changed = False
        for parameters in seen:
            if name not in parameters:
                continue
            one, other = (self.slow({**parameters, name: value}) for value in (low, high))
            if [_fixed(term) for term in one] != [_fixed(term) for term in other]:
                return False
            changed |= one != other
        return changed

    def _learned(self, parameters: Mapping[str, Any]) -> _Template | None:
        """Return a template of candidates that differ in widths alone; None if its proof fails."""
        at = {name: parameters.get(name, self._middle(name)) for name in self.widths}
        whole = {**parameters, **at}
        base = self.slow(whole)
        slopes = []
        for name in self.widths:
            other = next(value for value in self.choices[name] if value != at[name])
            near = self.slow({**whole, name: other})
            if [_fixed(term) for term in near] != [_fixed(term) for term in base]:
                return None
            slopes.append((_channels(near) - _channels(base)) / (other - at[name]))
        template = _Template.of(base, list(at.values()), slopes)
        random = np.random.default_rng(1)
        for _ in range(2):
            values = {
                name: self.choices[name][int(random.integers(len(self.choices[name])))]
                for name in self.widths
            }
            if template(list(values.values())) != self.slow({**whole, **values}):
                return None
        return template


@final
class RecordingTrial(RandomTrial):
    """A random trial that remembers its parameters and their choices."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__(random)
        self.choices: dict[str, Sequence[Any]] = {}
        self.parameters: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        self.choices[name] = choices
        self.parameters[name] = choice = super().suggest_categorical(name, choices)
        return choice

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from `low` to `high`."""
        self.choices[name] = range(low, high + 1, step)
        self.parameters[name] = choice = super().suggest_int(name, low, high, step=step)
        return choice


def _are_numbers(values: Sequence[Any]) -> bool:
    return len(values) > 1 and all(type(value) is int for value in values)


def _fixed(term: Term) -> tuple[Any, ...]:
    """Return the part of a term that no width changes."""
    return term._replace(channels=(0,) * len(term.channels), cout=0)


def _channels(terms: Sequence[Term]) -> Floats:
    """Return all numbers of channels, in the order of the terms."""
    return np.array([one for term in terms for one in (*term.channels, term.cout)], np.float64)


@final
@dataclass(frozen=True)
class _Template:
    """Terms whose numbers of channels are `constant` + `slopes` @ widths.

    `constant` (n) and `slopes` (n, widths) have one row for each different number.
    """

    constant: Floats
    slopes: Floats
    rows: tuple[tuple[Term, tuple[int, ...], int], ...]
    """Each term with the indices of the numbers of its inputs' channels and its output's."""

    @classmethod
    def of(cls, base: Sequence[Term], at: Sequence[int], slopes: Sequence[Floats]) -> _Template:
        each = np.array(slopes, np.float64).reshape(len(slopes), -1).T
        constant = _channels(base) - each @ np.array(at, np.float64)
        forms: Floats
        forms, place = np.unique(
            np.round(np.column_stack([constant, each]), 9), axis=0, return_inverse=True
        )
        places = iter(place.ravel().tolist())
        rows = [(term, tuple(next(places) for _ in term.channels), next(places)) for term in base]
        return cls(forms[:, 0], forms[:, 1:], tuple(rows))

    def __call__(self, widths: Sequence[int]) -> tuple[Term, ...]:
        numbers = np.rint(self.constant + self.slopes @ np.array(widths, np.float64))
        n = numbers.astype(np.int64).tolist()
        return tuple(
            Term(
                term.op, term.dtype, term.given, tuple([n[one] for one in channels]), term.made,
                n[cout], term.area, term.after,
            )
            for term, channels, cout in self.rows
        )  # fmt: skip
