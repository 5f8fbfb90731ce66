from __future__ import annotations

import itertools

import numpy as np

from nas.report.label_places import CHARACTER, DOT, HEIGHT, LINE, WIDTH, label_places


def test_a_lone_dot_has_its_label_at_the_first_place() -> None:
    assert label_places([], []) == []
    assert label_places([(1.0, 2.0)], ["7"]) == ["top left"]


def test_neighbours_move_aside_and_the_crowded_go_without() -> None:
    apart = label_places([(0.0, 0.0), (1.0, 1.0)], ["1", "2"])
    assert apart == ["top left", "top left"]
    crowd = [(0.0, 0.0), *((0.5 + 0.001 * n, 0.5) for n in range(20)), (1.0, 1.0)]
    places = label_places(crowd, [str(100 + n) for n in range(len(crowd))])
    assert places[0] == "top left"
    assert None in places
    assert len(set(places)) > 3


def test_no_label_covers_another_one() -> None:
    random = np.random.default_rng(3)
    points = [(float(x), float(y)) for x, y in random.random((40, 2))]
    labels = [str(n) for n in range(40)]
    (left, low), (right, high) = np.min(points, axis=0), np.max(points, axis=0)
    boxes = []
    for (x, y), label, place in zip(points, labels, label_places(points, labels), strict=True):
        if place is None:
            continue
        across = WIDTH * (x - left) / (right - left)
        down = HEIGHT * (high - y) / (high - low)
        vertical, horizontal = place.split()
        middle = down + (-1 if vertical == "top" else 1) * (DOT + 3 + LINE / 2)
        width = len(label) * CHARACTER
        shift = {"left": -DOT - width / 2, "right": DOT + width / 2, "center": 0.0}[horizontal]
        boxes.append((across + shift, middle, width))
    assert len(boxes) > 25
    for (x, y, width), (u, v, wide) in itertools.combinations(boxes, 2):
        assert abs(x - u) >= (width + wide) / 2 - 1e-9 or abs(y - v) >= LINE - 1e-9
