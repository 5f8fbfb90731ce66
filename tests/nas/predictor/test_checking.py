"""Checks of a predictor: scores, and no verdict on a busy machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import BusyMachineError
from nas.predictor.checking import NetworkCheck, Score, refuse_where_busy
from nas.predictor.predictor import linear_in


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    return


def _checked(count: int, busy: int) -> list[NetworkCheck]:
    row = NetworkCheck("net", "float", 1.0, 10.0, (9.9, 10.1), 10.2, (9.0, 11.0), 12.0, ())
    why = "others used 1.4 of this machine's 2 cores"
    return [replace(row, disturbed=why if number < busy else None) for number in range(count)]


@pytest.mark.parametrize(("count", "busy"), [(6, 6), (10, 6), (10, 9)])
def test_no_verdict_on_figures_of_a_busy_machine(count: int, busy: int) -> None:
    said = rf"no verdict on the predictor: others used 1.4 .* in {busy} of the first {count} "
    with pytest.raises(BusyMachineError, match=said):
        refuse_where_busy(_checked(count, busy), 10)


@pytest.mark.parametrize(("count", "busy"), [(5, 5), (10, 0), (10, 4)])
def test_a_verdict_where_most_figures_are_good(count: int, busy: int) -> None:
    refuse_where_busy(_checked(count, busy), 10)


def test_scores_by_hand() -> None:
    score = Score.of([10.5, 19.0, 30.0], [10.0, 20.0, 40.0], [(9, 12), (21, 22), (30, 50)])
    assert score.mape == pytest.approx((0.05 + 0.05 + 0.25) / 3)
    assert score.bias == pytest.approx((0.05 - 0.05 - 0.25) / 3)
    assert score.within_10 == pytest.approx(2 / 3)
    assert score.covered == pytest.approx(2 / 3)
    line = linear_in([1.0, 2.0, 4.0], [3.0, 5.0, 9.0])
    assert line(3.0) == pytest.approx(7.0)
