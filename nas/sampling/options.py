"""What an `EhviSampler` may be told: each option is checked before the first trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from optuna.study import StudyDirection

MOST_OBJECTIVES = 4
FEWEST_POINTS = 8
"""Surrogates of fewer trials say nothing."""


def whole(name: str, value: Any, least: int) -> int:
    """An option that is a whole number, `least` or more. Raises TypeError or ValueError."""
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected a whole number, {least} or more")
    if number < least:
        raise ValueError(f"{name} is {number}, expected a whole number, {least} or more")
    return number


def objectives(name: str, value: Any) -> frozenset[int] | None:
    """An option that is None or indices of objectives. Raises TypeError or ValueError."""
    if value is None:
        return None
    expected = f"expected indices of objectives, whole numbers from 0 to {MOST_OBJECTIVES - 1}"
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}, {expected}, such as [1]")
    found = list(value)
    for one in found:
        if isinstance(one, bool) or not hasattr(one, "__index__"):
            raise TypeError(f"{name} is {found!r}, {expected}")
        if not 0 <= index(one) < MOST_OBJECTIVES:
            raise ValueError(f"{name} is {found!r}, {expected}; {index(one)} is none")
    return frozenset(map(index, found))


def corner(name: str, value: Any) -> Any:
    """An option that is None, a function, or a finite number for each objective, as a tuple.

    Raises TypeError or ValueError.
    """
    if value is None or callable(value):
        return value
    expected = f"expected a function or a finite number for each of 1 to {MOST_OBJECTIVES} "
    expected += "objectives, such as (25.0, 100.0)"
    numbers = finite(value)
    if numbers is None:
        kind = ValueError if _numbers(value) else TypeError
        raise kind(f"{name} is {value!r}, {expected}")
    if not 1 <= len(numbers) <= MOST_OBJECTIVES:
        raise ValueError(f"{name} is {value!r}, which has {len(numbers)} values; {expected}")
    return numbers


def function(name: str, value: Any) -> Any:
    """An option that is None or a function. Raises TypeError."""
    if value is not None and not callable(value):
        raise TypeError(
            f"{name} is {value!r}, expected a function from a trial's parameters to what is known "
            "of objectives, by their index"
        )
    return value


def finite(value: Any) -> tuple[float, ...] | None:
    """The finite numbers that a sequence has; None where it is something else."""
    if not _numbers(value):
        return None
    try:
        found = tuple(float(one) for one in value)
    except OverflowError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _numbers(value: Any) -> bool:
    if isinstance(value, (str, bytes, dict, set, frozenset)) or not isinstance(value, Iterable):
        return False
    return all(hasattr(one, "__float__") and not isinstance(one, bool) for one in _scalars(value))


def _scalars(value: Any) -> list[Any]:
    """A sequence's entries; those that are sequences themselves are no numbers."""
    return [None if hasattr(one, "__len__") else one for one in value]


def check_study(
    directions: Sequence[StudyDirection], logarithmic: frozenset[int] | None, reference: Any
) -> None:
    """Raises ValueError where options are not of a study with these directions."""
    count = len(directions)
    if count > MOST_OBJECTIVES:
        raise ValueError(
            f"EhviSampler takes 1 to {MOST_OBJECTIVES} objectives, but this study has "
            f"{count}; use optuna.samplers.NSGAIISampler(population_size=20)"
        )
    said = f"this study has {count} objective{'s' * (count > 1)}"
    if logarithmic is not None and max(logarithmic, default=0) >= count:
        raise ValueError(
            f"logarithmic is {sorted(logarithmic)}, but {said}: expected indices from 0 to "
            f"{count - 1}"
        )
    if not isinstance(reference, tuple):
        return
    if len(reference) != count:
        raise ValueError(
            f"reference is {reference}, which has {len(reference)} values, but {said}: expected "
            "one value for each"
        )
    for place in logarithmic or ():
        if reference[place] <= 0 and directions[place] == StudyDirection.MINIMIZE:
            raise ValueError(
                f"reference is {reference}, but objective {place} is logarithmic: expected a "
                f"number above 0 for it, not {reference[place]}"
            )
