"""Checks of `EhviSampler`'s options, before the first trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from operator import index
from typing import Any, SupportsFloat, SupportsIndex

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

MOST_OBJECTIVES = 4
FEWEST_POINTS = 8
"""Surrogates of fewer trials say nothing."""


def whole(name: str, value: Any, least: int) -> int:
    """Return an option that is a whole number, `least` or more; else TypeError or ValueError."""
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected a whole number, {least} or more")
    if number < least:
        raise ValueError(f"{name} is {number}, expected a whole number, {least} or more")
    return number


def switch(name: str, value: Any) -> bool:
    """Return an option that is True or False; else TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return value


def objectives(name: str, value: Any) -> frozenset[int] | None:
    """Return an option that is None or indices of objectives; else TypeError or ValueError."""
    if value is None:
        return None
    expected = f"expected indices of objectives, whole numbers from 0 to {MOST_OBJECTIVES - 1}"
    entries = _entries(value)
    if entries is None:
        raise TypeError(f"{name} is {value!r}, {expected}, such as [1]")
    for one in entries:
        if isinstance(one, bool) or not isinstance(one, SupportsIndex):
            raise TypeError(f"{name} is {entries!r}, {expected}")
        if not 0 <= index(one) < MOST_OBJECTIVES:
            raise ValueError(f"{name} is {entries!r}, {expected}; {index(one)} is none")
    return frozenset(map(index, entries))


def reference_point(name: str, value: Any) -> Any:
    """Return an option that is None, a function, or a tuple of finite numbers, one an objective.

    Raises TypeError or ValueError.
    """
    if value is None or callable(value):
        return value
    expected = f"expected a function or a finite number for each of 1 to {MOST_OBJECTIVES} "
    expected += "objectives, such as (25.0, 100.0)"
    entries = None if isinstance(value, (set, frozenset)) else _entries(value)
    if entries is None or not all(map(_is_number, entries)):
        raise TypeError(f"{name} is {value!r}, {expected}")
    numbers = finite(entries)
    if numbers is None:
        raise ValueError(f"{name} is {value!r}, {expected}")
    if not 1 <= len(numbers) <= MOST_OBJECTIVES:
        raise ValueError(f"{name} is {value!r}, which has {len(numbers)} values; {expected}")
    return numbers


def function(name: str, value: Any) -> Any:
    """Return an option that is None or a function; raises TypeError on anything else."""
    if value is not None and not callable(value):
        raise TypeError(
            f"{name} is {value!r}, expected a function from a trial's parameters to numbers: of "
            "objectives by their index, of features by name"
        )
    return value


def trials(name: str, value: Any) -> tuple[FrozenTrial, ...]:
    """Return an option that is a sequence of Optuna's frozen trials; else TypeError."""
    entries = _entries(value)
    if entries is None or not all(isinstance(one, FrozenTrial) for one in entries):
        raise TypeError(f"{name} is {value!r}, expected a study's trials, such as study.trials")
    return tuple(entries)


def finite(value: Any) -> tuple[float, ...] | None:
    """Return the finite numbers of a sequence as a tuple; None for anything else."""
    entries = _entries(value)
    if entries is None or not all(map(_is_number, entries)):
        return None
    try:
        numbers = tuple(map(float, entries))
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _entries(value: Any) -> list[Any] | None:
    """Return the entries of a sequence, a set or an array; None for anything else."""
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable):
        return None
    try:
        return list(value)
    except TypeError:  # an array without dimensions
        return None


def _is_number(value: Any) -> bool:
    """Return whether a value is one number, which a row of an array is not."""
    return isinstance(value, SupportsFloat) and not isinstance(value, (bool, Sized))


def check_study(
    directions: Sequence[StudyDirection], logarithmic: frozenset[int] | None, reference: Any
) -> None:
    """Raise ValueError where options do not fit a study with these directions."""
    count = len(directions)
    if count > MOST_OBJECTIVES:
        raise ValueError(
            f"EhviSampler takes 1 to {MOST_OBJECTIVES} objectives, but this study has "
            f"{count}; use optuna.samplers.NSGAIISampler(population_size=20)"
        )
    size = f"this study has {count} objective{'s' * (count > 1)}"
    if logarithmic is not None and max(logarithmic, default=0) >= count:
        raise ValueError(
            f"logarithmic is {sorted(logarithmic)}, but {size}: expected indices from 0 to "
            f"{count - 1}"
        )
    if not isinstance(reference, tuple):
        return
    if len(reference) != count:
        raise ValueError(
            f"reference is {reference}, which has {len(reference)} values, but {size}: expected "
            "one value for each"
        )
    for place in logarithmic or ():
        if reference[place] <= 0 and directions[place] == StudyDirection.MINIMIZE:
            raise ValueError(
                f"reference is {reference}, but objective {place} is logarithmic: expected a "
                f"number above 0 for it, not {reference[place]}"
            )
