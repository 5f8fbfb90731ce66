"""Parsers of numbers and of lines of statistics, as the benchmark tools print them."""

from __future__ import annotations

import math
import re

from nas.devices.logs.benchmark_log import Statistics

NUMBER = r"([-+\w.]{1,40})"
"""A word that `figure` may find to be a number; a sentence's full stop may cling to it."""
_FIGURE = re.compile(r"\+?\d{1,18}(?:\.\d{0,18})?(?:[eE][+-]?\d{1,3})?$")
_COUNT = re.compile(r"count=(\d{1,12})(?=\s|$)")
_FULL = ("first", "curr", "min", "max", "avg")
_PERCENTILES = ("p5", "median", "p95")
_KEYS = frozenset((*_FULL, "std", *_PERCENTILES))


def figure(word: str | None) -> float | None:
    """Parse a number of 0 or more; None for any other word ("nan", "1.2.3", "inf")."""
    if word is None or not _FIGURE.match(word.rstrip(".")):
        return None
    value = float(word.rstrip("."))
    return value if math.isfinite(value) else None


def milliseconds(word: str | None) -> float | None:
    """Parse microseconds into milliseconds; None where the word is no number."""
    value = figure(word)
    return None if value is None else value / 1000


def statistics_of(text: str) -> Statistics | None:
    """Parse a `count=` line into milliseconds; None for any other line.

    A line that was cut, or whose figures are no numbers, is `incomplete` and has no mean: `curr` is
    the last inference, not a statistic. One inference, or several that are all the same, have only
    `curr`.

    >>> statistics_of("count=4 first=130 curr=120 min=110 max=130 avg=122.5 std=4").mean_ms
    0.1225
    >>> statistics_of("count=50 first=8000 curr=12345").mean_ms is None
    True
    """
    match = _COUNT.match(text)
    if match is None:
        return None
    count = int(match[1])
    words = [word.partition("=") for word in text[match.end() : match.end() + 600].split()]
    values = {key: milliseconds(value) for key, equals, value in words if equals and key in _KEYS}
    if set(values) == {"curr"} and (count == 1 or "(all same)" in text):
        only = _only(text)
        return Statistics(count, only, only, only, only, 0.0, None, only, None, only is None)
    if count == 0:
        return Statistics(0)
    if "std" not in values or any(values.get(key) is None for key in _FULL):
        return Statistics(count, values.get("first"), incomplete=True)
    low, high, mean = (values[key] for key in ("min", "max", "avg"))
    p5, median, p95 = (values.get(key) for key in _PERCENTILES)
    if p5 is None or p95 is None:  # it was cut within them
        median = p95 = p5 = None
    return Statistics(count, values["first"], low, high, mean, values["std"], p5, median, p95)


def _only(text: str) -> float | None:
    """Parse the figure of `curr=X` or `curr=X(all same)`."""
    return milliseconds(text.partition("curr=")[2].partition("(")[0].strip())
