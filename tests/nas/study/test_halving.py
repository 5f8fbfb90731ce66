import itertools

import moocore
import numpy as np
import pytest

from nas.errors import ConfigError
from nas.study.halving import Forecast, Standing, best_addition, expected, promotion, rung_steps
from nas.study.objectives import Objective
from nas.training.schedule import Schedule, short_schedule
from tests.helpers.small_study import small_study
from tests.helpers.trained_study import trained_study

OBJECTIVES = (Objective.of("psnr_db"), Objective.of("latency_ms[host]"))
INPUT_QUALITY = {"psnr_db": 20.0, "ssim": 0.5}


def _standing(number: int, latency: float, *gains: float, **changes) -> Standing:
    known = {"latency_ms[host]": latency}
    return Standing(number, known, tuple({"psnr_db": gain} for gain in gains), **changes)


@pytest.mark.parametrize(("objectives", "seed"), itertools.product((1, 2, 3, 4), range(5)))
def test_the_best_addition_is_that_of_trying_all(objectives: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    points, chosen = random.random((30, objectives)), random.random((6, objectives))
    reference_point = np.full(objectives, 0.8)

    def volume(rows: np.ndarray) -> float:
        inside = rows[(rows < reference_point).all(axis=1)]
        return float(moocore.hypervolume(inside, ref=reference_point)) if len(inside) else 0.0

    gains = [volume(np.vstack([chosen, point])) - volume(chosen) for point in points]
    if max(gains) > 1e-12:
        assert best_addition(points, chosen, reference_point) == int(np.argmax(gains))


def test_where_nothing_is_added_the_second_best_come_in_order() -> None:
    chosen = np.array([[0.1, 0.1]])
    points = np.array([[0.5, 0.5], [0.2, 0.2], [0.9, 0.3]])
    assert best_addition(points, chosen, np.ones(2)) == 1
    assert best_addition(points, chosen, np.full(2, 0.15)) is None


def test_a_quarter_of_those_that_came_goes_on() -> None:
    three = [_standing(n, 10.0 + n, 1.0 + n / 10) for n in range(3)]
    assert promotion(three, OBJECTIVES, INPUT_QUALITY) is None
    four = [*three, _standing(3, 5.0, 1.1)]
    assert promotion(four, OBJECTIVES, INPUT_QUALITY) == 3
    on_its_way = promotion(four, OBJECTIVES, INPUT_QUALITY, busy={3})
    assert on_its_way is None
    sharper = _standing(7, 10.0, 2.0)
    eight = [*four, *(_standing(n, 30.0, 0.5) for n in (4, 5, 6)), sharper]
    assert promotion(eight, OBJECTIVES, INPUT_QUALITY, busy={3}) == 7


def test_the_highest_rung_comes_first_and_spared_ones_before_all() -> None:
    higher = [_standing(n, 10.0 + n, 1.0, 2.0) for n in range(4)]
    lower = [_standing(n, 10.0 + n, 1.0) for n in range(4, 16)]
    everyone = [*higher, *lower]
    assert promotion(everyone, OBJECTIVES, INPUT_QUALITY) == 0
    assert (
        promotion(everyone, OBJECTIVES, INPUT_QUALITY, busy={0}) is None
    )  # 4 of 16 went on before
    spared = _standing(20, 500.0, 0.1, spared=True)
    assert promotion([*everyone, spared], OBJECTIVES, INPUT_QUALITY, busy={0}) == 20


def test_what_failed_on_its_way_had_its_turn_and_what_was_stopped_had_none() -> None:
    waiting = [_standing(n, 10.0 + n, 1.0) for n in range(4)]
    failed = _standing(4, 9.0, 1.0, out=True)
    assert promotion([*waiting, failed], OBJECTIVES, INPUT_QUALITY) is None
    stopped = _standing(4, 9.0, 1.0, out=True, stopped=True)
    assert promotion([*waiting, stopped], OBJECTIVES, INPUT_QUALITY) == 0


def test_costs_beyond_a_bound_are_worth_nothing() -> None:
    four = [_standing(0, 15.0, 3.0), *(_standing(n, 10.0, 1.0 + n / 10) for n in (1, 2, 3))]
    assert promotion(four, OBJECTIVES, INPUT_QUALITY) == 0
    assert promotion(four, OBJECTIVES, INPUT_QUALITY, bounds={"latency_ms[host]": 12.0}) == 3


def test_a_forecast_of_nothing_good_does_not_stop_the_race() -> None:
    four = [_standing(n, 10.0 + n, -1.0 + n / 10) for n in range(4)]
    assert promotion(four, OBJECTIVES, INPUT_QUALITY) in (2, 3)  # of the better half
    beyond = {"latency_ms[host]": 9.0}
    assert promotion(four, OBJECTIVES, INPUT_QUALITY, bounds=beyond) is None


def test_what_a_gain_becomes_is_learned_from_those_that_went_on() -> None:
    nothing = Forecast.learned([_standing(0, 1.0, 0.3)], "psnr_db", 20.0)
    assert nothing.gain(_standing(1, 1.0, 0.3), "psnr_db") == pytest.approx(0.3)
    # at the second rung twice the first's and 1; at the end 0.5 more, int8 0.3 less than float
    some = []
    for number in range(200):
        first = number / 100
        group = "int8-ptq 0" if number % 2 else "float 0"
        second = 2 * first + 1
        final = 20 + second + 0.5 - 0.3 * (number % 2)
        some.append(_standing(number, 1.0, first, second, group=group, final={"psnr_db": final}))
    learned = Forecast.learned(some, "psnr_db", 20.0)
    fresh = [
        _standing(900, 1.0, 0.4, group="float 0"),
        _standing(901, 1.0, 0.4, group="int8-ptq 0"),
    ]
    gains = [learned.gain(one, "psnr_db") for one in fresh]
    assert gains[0] == pytest.approx(2.3, abs=0.03)
    assert gains[0] - gains[1] == pytest.approx(0.3, abs=0.02)


def test_expected_values_are_told_in_the_objectives_order() -> None:
    standings = [
        _standing(0, 7.0, 0.5, 1.5, final={"psnr_db": 22.5}),
        _standing(1, 8.0, 0.5),
        Standing(2, {"latency_ms[host]": 9.0}, ()),
    ]
    told = expected(standings, OBJECTIVES, INPUT_QUALITY)
    assert told == {0: [22.5, 7.0], 1: [pytest.approx(22.5), 8.0]}
    assert expected(standings, OBJECTIVES[::-1], INPUT_QUALITY)[0] == [7.0, 22.5]


def test_readings_are_after_a_sixteenth_and_a_quarter() -> None:
    assert rung_steps(short_schedule(600)) == (38, 150)
    assert rung_steps(Schedule(steps=16)) == (1, 4)


def test_a_study_that_halving_is_not_for_is_refused_with_why() -> None:
    with pytest.raises(ConfigError, match="study 'small' trains nothing"):
        small_study(halving=True).check()
    with pytest.raises(ConfigError, match=r"needs an objective .*, psnr_db or ssim; study .* has"):
        trained_study(halving=True, objectives=("latency_ms",)).check()
    with pytest.raises(ConfigError, match="can't tell bytes before the end of a training"):
        trained_study(halving=True, objectives=("psnr_db", "bytes")).check()
    with pytest.raises(ConfigError, match=r"15 steps is too short .* expected 16 at least"):
        trained_study(halving=True, schedule=Schedule(steps=15, patch=16)).check()
    trained_study(halving=True).check()
