"""Finds places for the labels of a chart's dots, so that none covers another label or a dot."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 900.0, 380.0  # the plot that is reckoned with, in pixels
CHARACTER, LINE = 7.0, 14.0  # of a label, in pixels
DOT, GAP = 6.0, 3.0  # a dot's radius, and the gap to its label

PLACES = (
    "top left",
    "bottom right",
    "top right",
    "bottom left",
    "top center",
    "bottom center",
)
"""The places that are tried, by Plotly's names, the best first."""
Box = tuple[float, float, float, float]


def label_places(points: Sequence[tuple[float, float]], labels: Sequence[str]) -> list[str | None]:
    """Return for each dot where its label goes; None where it would cover something anywhere.

    `points` are (x, y) in any units, y upwards, taken to fill the plot.
    """
    if not points:
        return []
    dots = _pixels(points)
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
    found: list[str | None] = []
    for (x, y), label in zip(dots, labels, strict=True):
        place = None
        for name in PLACES:
            box = _box(name, x, y, len(label) * CHARACTER)
            if not any(_overlap(box, other) for other in taken):
                place = name
                taken.append(box)
                break
        found.append(place)
    return found


def _pixels(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points in pixels, y downwards."""
    ends = [(min(values), max(values)) for values in zip(*points, strict=True)]
    (left, right), (low, high) = ends
    return [
        (
            WIDTH * (x - left) / ((right - left) or 1.0),
            HEIGHT * (high - y) / ((high - low) or 1.0),
        )
        for x, y in points
    ]


def _box(place: str, x: float, y: float, width: float) -> Box:
    vertical, horizontal = place.split()
    top = y - DOT - GAP - LINE if vertical == "top" else y + DOT + GAP
    left = {"left": x - DOT - width, "right": x + DOT, "center": x - width / 2}[horizontal]
    return (left, top, left + width, top + LINE)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
