from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nas.study.metric import Metric
from nas.study.objectives import Objective
from nas.study.pareto import (
    FIRST_TRIALS,
    Front,
    ReferencePoint,
    eligible,
    front,
    hypervolume_history,
    knee,
    reference_point,
)
from nas.study.trial_result import State, TrialResult
from tests.helpers.fake_run import INPUT_PSNR, describe, make_results

PSNR = Objective("psnr_db", "maximize")
HOST = Objective("latency_ms[host]", "minimize")
PHONE = Objective("latency_ms[phone]", "minimize")


def trial(
    number: int,
    psnr_db: float,
    *latencies: float,
    key: str | None = None,
    state: State = "complete",
    violation: float = -1.0,
) -> TrialResult:
    names = ["psnr_db", "latency_ms[host]", "latency_ms[phone]"]
    values = (psnr_db, *latencies)
    metrics = {n: Metric(v, "synthetic") for n, v in zip(names, values, strict=False)}
    return TrialResult(
        number, key or f"key{number}", f"net {number}", {}, state, {}, metrics, {"b": violation}
    )


def random_trials(count: int, objectives: int, seed: int, steps: int | None = None) -> list:
    random = np.random.default_rng(seed)
    rows = random.random((count, objectives))
    if steps:  # a coarse grid makes ties
        rows = np.ceil(rows * steps) / steps
    return [
        trial(number, 20 + 10 * row[0], *(10 ** (1 + row[1:]))) for number, row in enumerate(rows)
    ]


def losses(result: TrialResult, objectives: list[Objective]) -> tuple[float, ...]:
    return tuple(
        -result.value(o.metric) if o.direction == "maximize" else math.log10(result.value(o.metric))
        for o in objectives
    )


def slow_front(results: list[TrialResult], objectives: list[Objective]) -> set[int]:
    points = {r.number: losses(r, objectives) for r in results}
    return {
        n
        for n, p in points.items()
        if not any(q != p and all(a <= b for a, b in zip(q, p)) for q in points.values())  # noqa: B905
    }


def slow_hypervolume(points: list[tuple[float, ...]], reference_point: tuple[float, ...]) -> float:
    """By inclusion and exclusion over every subset."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for subset in itertools.combinations(points, size):
            worst = [max(axis) for axis in zip(*subset, strict=True)]
            sides = [max(0.0, c - w) for c, w in zip(reference_point, worst, strict=True)]
            total += (-1) ** (size + 1) * math.prod(sides)
    return total


@pytest.mark.parametrize("steps", [None, 6])
@pytest.mark.parametrize("objectives", [[PSNR, HOST], [PSNR, HOST, PHONE]])
@pytest.mark.parametrize("seed", range(5))
def test_front_is_the_brute_force_one(objectives, seed, steps):
    results = random_trials(120, len(objectives), seed, steps)
    expected = slow_front(results, objectives)
    assert {r.number for r in front(results, objectives)} == expected
    growing = Front(objectives)
    for result in results:
        growing.add(result)
    assert {r.number for r in growing.members} == expected


def test_front_is_sorted_by_the_first_objective():
    results = random_trials(200, 2, 1)
    found = [r.value("psnr_db") for r in front(results, [PSNR, HOST])]
    assert len(found) > 2
    assert found == sorted(found, reverse=True)
    growing = Front([PSNR, HOST])
    for result in results:
        growing.add(result)
    assert [r.number for r in growing.members] == [r.number for r in front(results, [PSNR, HOST])]


def test_only_complete_feasible_trials_with_every_objective_count():
    good = trial(1, 25, 10)
    others = [
        trial(2, 30, 1, state="failed"),
        trial(3, 30, 1, state="infeasible"),
        trial(4, 30, 1, violation=0.01),
        trial(5, 30),
    ]
    assert front([good, *others], [PSNR, HOST]) == [good]
    assert [eligible(one, [PSNR, HOST]) for one in others] == [False] * 4
    assert eligible(trial(6, 25, 10, violation=0.0), [PSNR, HOST])


def test_a_candidate_counts_once_and_equals_stay():
    first, again = trial(1, 25, 10, key="a"), trial(2, 25, 10, key="a")
    twin = trial(3, 25, 10, key="b")
    assert front([again, twin, first], [PSNR, HOST]) == [first, twin]
    growing = Front([PSNR, HOST])
    assert [growing.add(one) for one in (first, again, twin)] == [True, False, True]


def test_no_trials_no_front():
    assert front([], [PSNR, HOST]) == []
    assert Front([PSNR, HOST]).members == []


@pytest.mark.parametrize("objectives", [[PSNR, HOST], [PSNR, HOST, PHONE]])
@pytest.mark.parametrize("seed", range(4))
def test_hypervolume_by_inclusion_and_exclusion(objectives, seed):
    results = random_trials(9, len(objectives), seed)
    reference = ReferencePoint((22.0, *[80.0] * (len(objectives) - 1)), ("said",) * len(objectives))
    point = (-22.0, *[math.log10(80.0)] * (len(objectives) - 1))
    history = hypervolume_history(results, objectives, reference)
    for count in range(1, 10):
        points = [losses(r, objectives) for r in results[:count]]
        assert history[count - 1] == pytest.approx(slow_hypervolume(points, point), abs=1e-12)


def test_hypervolume_by_throwing_darts():
    results = random_trials(60, 3, 11)
    reference = ReferencePoint((20.0, 100.0, 100.0), ("said",) * 3)
    darts = np.random.default_rng(0).random((40_000, 3)) * (10, 1, 1) + (-30, 1, 1)
    hit = np.zeros(len(darts), bool)
    for result in results:
        hit |= (darts >= losses(result, [PSNR, HOST, PHONE])).all(axis=1)
    history = hypervolume_history(results, [PSNR, HOST, PHONE], reference)
    assert history[-1] == pytest.approx(10 * hit.mean(), rel=0.03)
    assert history == sorted(history)


def test_hypervolume_of_two_known_boxes():
    """(2 dB, a factor of 10) and (1 dB, a factor of 100) over the point: 2 + 2 - 1 = 3."""
    reference = ReferencePoint((20.0, 1000.0), ("said", "said"))
    growing = Front([PSNR, HOST], reference)
    growing.add(trial(0, 22, 100))
    assert growing.hypervolume == pytest.approx(2.0)
    growing.add(trial(1, 21, 10))
    assert growing.hypervolume == pytest.approx(3.0)
    growing.add(trial(2, 19, 1))  # on the front, and beyond the reference point
    assert len(growing.members) == 3
    assert growing.hypervolume == pytest.approx(3.0)


def test_many_small_steps_add_up_to_the_whole():
    moocore = pytest.importorskip("moocore")
    results = random_trials(3000, 3, 5)
    objectives = [PSNR, HOST, PHONE]
    history = hypervolume_history(results, objectives, ReferencePoint((20, 100, 100), ("",) * 3))
    whole = moocore.hypervolume(
        np.array([losses(r, objectives) for r in results]), ref=np.array([-20.0, 2, 2])
    )
    assert history[-1] == pytest.approx(whole, rel=1e-10)


def test_reference_from_the_study():
    results = make_results(40)
    found = reference_point(results, [PSNR, HOST], describe())
    assert found is not None
    assert found.values == (INPUT_PSNR, 60.0)
    assert found.reasons == (
        "the pictures before restoration",
        "the constraint latency_ms[host]<=60",
    )
    assert reference_point([], [PSNR, HOST], describe()) == found


def test_reference_stands_still_once_enough_trials_are_there():
    results = make_results(60, bound_ms=None)
    found = reference_point(results, [PSNR, HOST])
    complete = [r for r in results if r.state == "complete"]
    assert found is not None
    slowest = max(r.value("latency_ms[host]") for r in complete[:FIRST_TRIALS])
    assert found.values == (INPUT_PSNR, 2 * slowest)
    assert found.reasons[1] == f"2 times the worst of the first {FIRST_TRIALS} complete trials"
    last = complete[FIRST_TRIALS - 1].number
    assert reference_point(results[: last + 1], [PSNR, HOST]) == found
    assert reference_point(list(reversed(results)), [PSNR, HOST]) == found


def test_no_reference_before_anything_is_known():
    assert reference_point([], [PSNR, HOST]) is None
    assert hypervolume_history([trial(0, 25, 10)], [PSNR, HOST], None) == [0.0]


def test_quality_reference_without_the_blurred_pictures():
    found = reference_point([trial(0, 25, 10), trial(1, 24, 5)], [PSNR, HOST])
    assert found == ReferencePoint(
        (24.0, 20.0),
        (
            "the worst of the first 2 complete trials",
            "2 times the worst of the first 2 complete trials",
        ),
    )


def test_knee_is_the_bend():
    members = front([trial(0, 30, 1000), trial(1, 29, 20), trial(2, 20, 10)], [PSNR, HOST])
    bend = knee(members, [PSNR, HOST])
    assert bend is not None
    assert bend.number == 1
    assert knee(members[:2], [PSNR, HOST]) is None


def test_a_latency_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"latency_ms\[host\] must be more than 0, but 0 came"):
        front([trial(0, 25, 0)], [PSNR, HOST])
